"""What the stand-in for an HTTP endpoint understands of requests, and what it remembers."""

import base64
import hashlib
import hmac

import pytest

from stepline.testing.http import wire
from stepline.testing.http.state import HttpState
from stepline.testing.loopback import RefusedError, Request

SECRET = "not-a-real-secret"
NOW = 1_900_000_000
BODY = b"well,od\n"
DIGEST = f"sha-256=:{base64.b64encode(hashlib.sha256(BODY).digest()).decode()}:"
HEADERS = {
    "idempotency-key": '"abc"',
    "content-digest": DIGEST,
    "content-type": "text/csv",
    "content-disposition": "attachment; filename*=UTF-8''notes%2Fday%20%C2%B5.csv",
    "stepline-note": "ein%20Tag%20im%20M%C3%A4rz",
}


def signed(at=NOW, secret=SECRET, **changed):
    """A request that was signed before some of it was changed."""
    values = [HEADERS.get(name, "") for name in wire.SIGNED_HEADERS]
    text = "\n".join([str(at), "POST /plates?x=1", *values])
    mark = hmac.digest(secret.encode(), text.encode(), "sha256").hex()
    headers = {**HEADERS, "stepline-signature": f"t={at}, v1={mark}"}
    parts = {"method": "POST", "path": "/plates", "query": "x=1", "data": BODY}
    return Request(**{**parts, "headers": headers, **changed})


def test_signature_of_the_holder_of_the_secret_is_good():
    wire.check_signature(signed(), SECRET, now=NOW + 299)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (signed(headers={}), "not signed"),
        (signed(at=NOW - 301), "too old"),
        (signed(at=NOW + 301), "too old"),
        (signed(secret="another-secret"), "does not fit"),
        (signed(path="/others"), "does not fit"),
        (signed(query=""), "does not fit"),
        (signed(method="PUT"), "does not fit"),
    ],
)
def test_signature_of_something_else_is_refused(request_, words):
    with pytest.raises(RefusedError, match=words) as caught:
        wire.check_signature(request_, SECRET, now=NOW)
    assert caught.value.status == 401


@pytest.mark.parametrize("header", HEADERS)
def test_signature_of_other_headers_is_refused(header):
    request = signed()
    changed = {**request.headers, header: f"{HEADERS[header]}x"}
    with pytest.raises(RefusedError, match="does not fit"):
        wire.check_signature(signed(headers=changed), SECRET, now=NOW)


def test_body_that_was_changed_is_refused():
    wire.check_digest(signed())
    with pytest.raises(RefusedError, match="does not have the digest"):
        wire.check_digest(signed(data=BODY + b"x"))


def test_request_says_key_note_and_file():
    assert wire.key_of(signed()) == "abc"
    assert wire.note_of(signed()) == "ein Tag im M\u00e4rz"
    assert wire.files_of(signed()) == [wire.ReceivedFile("notes/day \u00b5.csv", BODY)]


def test_request_of_several_files_gives_back_their_bytes():
    datas = {"a.bin": bytes(range(256)), "b/\u00b5.txt": b"\r\n--x\r\n", "empty": b""}
    parts = [
        b'--x1\r\nContent-Disposition: form-data; name="files"; filename="%s"\r\n\r\n%s\r\n'
        % (name.encode(), data)
        for name, data in datas.items()
    ]
    headers = {"content-type": "multipart/form-data; boundary=x1"}
    request = signed(headers=headers, data=b"".join([*parts, b"--x1--\r\n"]))
    assert {file.name: file.data for file in wire.files_of(request)} == datas


@pytest.mark.parametrize("call", [wire.key_of, wire.files_of])
def test_request_that_lacks_a_key_or_a_name_is_refused(call):
    with pytest.raises(RefusedError) as caught:
        call(signed(headers={}))
    assert caught.value.status == 400


@pytest.fixture
def state():
    state = HttpState()
    state.add("/p", [wire.ReceivedFile("a", b"1")], key="k1", body_sha256="d1")
    return state


def test_key_that_is_known_gives_its_version_and_takes_no_other_body(state):
    assert state.known("/p", "k1", body_sha256="d1") == state.versions["/p"][0]
    assert state.known("/p", "k2", body_sha256="d1") is None
    assert state.known("/q", "k1", body_sha256="d1") is None
    with pytest.raises(RefusedError) as caught:
        state.known("/p", "k1", body_sha256="d2")
    assert caught.value.status == 422


@pytest.mark.parametrize(
    ("path", "match", "none_match", "holds"),
    [
        ("/p", '"1"', "", True),
        ("/p", '"2"', "", False),
        ("/p", "", "*", False),
        ("/p", "", "", True),
        ("/q", "", "*", True),
        ("/q", '"1"', "", False),
    ],
)
def test_condition_is_held_against_the_newest_version(state, path, match, none_match, holds):
    if holds:
        state.check_newest(path, match=match, none_match=none_match)
        return
    with pytest.raises(RefusedError) as caught:
        state.check_newest(path, match=match, none_match=none_match)
    assert caught.value.status == 412
