"""Who is let in, and the one form of everything that is refused."""

import json
import re

import pytest

from stepline.errors import PlatformError
from stepline.server.access import SPACE, Access, Asked, Verdict
from stepline.server.faults import RETRY_AFTER_S
from tests.support.serving import error_of, raw_exchange, serving


@pytest.fixture(scope="module")
def api(tmp_path_factory, stepline_cache):
    with serving(tmp_path_factory.mktemp("service"), cache=stepline_cache) as made:
        yield made


@pytest.mark.parametrize(
    "headers",
    [
        lambda token: {"ts-auth-token": token},
        lambda token: {"x-api-key": token},
        lambda token: {"Authorization": f"Bearer {token}"},
        lambda token: {"authorization": f"bearer {token}", "x-org-slug": "demo"},
    ],
    ids=["ts-auth-token", "x-api-key", "bearer", "with org"],
)
def test_access_right_token_is_let_in(api, headers):
    with api.anybody() as client:
        assert client.get("/v1/files", headers=headers(api.token)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{}, {"ts-auth-token": "wrong"}, {"authorization": "Basic YTpi"}, {"x-api-key": ""}],
    ids=["none", "wrong", "basic", "empty"],
)
@pytest.mark.parametrize("path", ["/v1/files", "/v1/nothing", "//v1/secrets"])
def test_access_without_token_is_refused(api, headers, path):
    with api.anybody() as client:
        answer = client.get(path, headers=headers)
    assert answer.status_code == 401
    assert "token" in error_of(answer)


def test_access_other_organisation_is_refused(api):
    answer = api.get("/v1/files", headers={"x-org-slug": "other"})
    assert answer.status_code == 403
    assert "another organisation" in error_of(answer)


def test_access_health_needs_no_token_and_tells_faults(api, monkeypatch):
    with api.anybody() as client:
        assert client.get("/health").json()["status"] == "ok"
        monkeypatch.setattr(type(api.running.service), "faults", ["the folder is gone"])
        found = client.get("/health").json()
    assert (found["status"], found["faults"]) == ("degraded", ["the folder is gone"])


def test_access_state_holds_no_token(api):
    with api.running.service.state.read() as view:
        assert api.token not in json.dumps(dict(view.values.all(SPACE)))


def test_access_token_is_made_once_and_rotated(tmp_path):
    from stepline.plugins.state_sql import stepline_state

    state = stepline_state(f"sqlite:///{tmp_path}/state.db")
    first = Access(state).ensure_token()
    assert Access(state).ensure_token() is None
    second = Access(state).rotate()
    assert [Access(state).allows(each) for each in (first, second)] == [False, True]
    state.close()


def test_access_link_expires_and_is_of_one_file_only(tmp_path):
    from stepline.plugins.state_sql import stepline_state

    state, now = stepline_state(f"sqlite:///{tmp_path}/state.db"), [1000.0]
    access = Access(state, clock=lambda: now[0])
    expires, signature = access.sign("f-1", ttl_s=10)

    def verdict(file_id="f-1", method="GET", **query):
        given = {"expires": str(expires), "signature": signature, **query}
        path = f"/v1/files/{file_id}/content"
        return access.decide(Asked(method=method, path=path, query=given, headers={}), org="demo")

    assert verdict() is verdict(method="HEAD") is Verdict.ALLOWED
    assert verdict("f-2") is verdict(method="DELETE") is Verdict.BAD_LINK
    assert verdict(expires="99999") is verdict(expires="x") is Verdict.BAD_LINK
    assert verdict(signature="é") is Verdict.BAD_LINK
    now[0] = 1010.0
    assert verdict() is Verdict.BAD_LINK
    state.close()


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/v1/nothing", 404, "there is nothing at /v1/nothing"),
        ("GET", "/v1/", 404, "there is nothing"),
        ("PATCH", "/v1/secrets", 405, "PATCH is not possible"),
        ("GET", "/v1/files?lable=x", 400, "the parameter 'lable' is not known"),
        ("GET", "/v1/files?limit=1001", 400, "the parameter 'limit': input should be less"),
        ("GET", "/v1/files?after=x", 400, "the parameter 'after'"),
        ("GET", "/v1/fileinfo/none", 404, "there is no file with the id 'none'"),
        ("GET", "/v1/pipeline/none", 404, "there is no pipeline 'none'"),
        ("GET", "/v1/workflow/none", 404, "there is no workflow"),
        ("GET", "/v1/workflow/search?size=1000&from=11", 422, "pages end at"),
        ("GET", "/v1/files?prefix=%00%ff", 200, ""),
    ],
)
def test_errors_have_one_form(api, method, path, status, said):
    answer = api.request(method, path)
    assert answer.status_code == status
    if said:
        assert said in error_of(answer)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "the body is not JSON"),
        (b"[]", 400, "the body"),
        (b"{}", 400, "the field 'value' is missing"),
        (b'{"value": 1}', 400, "the field 'value': input should be a valid string"),
        (b'{"value": "abcdef", "valu": 1}', 400, "the field 'valu' is not known"),
        (b'{"value": "abc"}', 422, "could not be masked"),
        (b"[" * 100_000, 400, "body"),
        (b'"' + b"x" * 10_000_001 + b'"', 413, "at most 10,000,000 bytes"),
    ],
    ids=["cut", "list", "missing", "type", "unknown", "short", "deep", "long"],
)
def test_errors_bad_body_is_named(api, body, status, said):
    answer = api.put("/v1/secrets/a-secret", content=body)
    assert answer.status_code == status
    assert said in error_of(answer)


def test_errors_long_body_without_length_is_cut_off(api):
    chunks = (b" " * 100_000 for _ in range(200))
    answer = api.put("/v1/secrets/a-secret", content=chunks)
    assert answer.status_code == 413
    assert "at most" in error_of(answer)


def test_errors_form_instead_of_json_is_refused(api):
    answer = api.put("/v1/secrets/a-secret", data={"value": "abcdefgh"})
    assert answer.status_code == 415
    assert "application/json" in error_of(answer)


def test_errors_refused_sender_of_much_gets_the_answer(api):
    with api.anybody() as client:
        chunks = (b"x" * 1_000_000 for _ in range(30))
        answer = client.post("/v1/files?path=a.bin", content=chunks)
    assert answer.status_code == 401


def test_errors_sender_that_waits_for_leave_is_answered_at_once(api):
    head = b"POST /v1/files?path=a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
    answer = raw_exchange(api.url, head + b"Expect: 100-continue\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 401 ")


def test_errors_fault_of_the_service_is_masked_and_reported(api, monkeypatch):
    def fail(_self):
        raise RuntimeError("the inside is broken")

    monkeypatch.setattr(type(api.running.service.settings), "all", fail)
    answer = api.get("/v1/settings")
    assert answer.status_code == 500
    number = re.search("number ([0-9a-f]{12})$", error_of(answer))[1]
    assert "inside" not in answer.text
    (report,) = [each for each in api.reports if number in each]
    assert "the inside is broken" in report


@pytest.mark.parametrize("retryable", [True, False])
def test_errors_of_the_platform_tell_whether_to_try_again(api, monkeypatch, retryable):
    def fail(_self):
        raise PlatformError("the disk is full", hint="make room", retryable=retryable)

    monkeypatch.setattr(type(api.running.service.settings), "all", fail)
    answer = api.get("/v1/settings")
    assert answer.status_code == 503
    assert error_of(answer) == "the disk is full. Hint: make room"
    assert answer.headers.get("retry-after") == (str(RETRY_AFTER_S) if retryable else None)
