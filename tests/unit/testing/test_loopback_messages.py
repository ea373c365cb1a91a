"""Requests and replies as values."""

import base64
import json

import pytest

from stepline.testing.loopback import RefusedError, Request, error_reply


def basic(pair):
    return "Basic " + base64.b64encode(pair).decode()


def request(**fields):
    return Request(method="POST", path="/x", **fields)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(basic(b"me:k:e"), ("me", "k:e"), id="basic"),
        pytest.param("Bearer abc", (None, "abc"), id="bearer"),
        pytest.param("", (None, None), id="none"),
        pytest.param("Bearer ", (None, None), id="empty-bearer"),
        pytest.param("Basic ???", (None, None), id="not-base64"),
        pytest.param(basic(b"\xff"), (None, None), id="not-text"),
        pytest.param("Digest x", (None, None), id="another-scheme"),
    ],
)
def test_credentials_of_a_header_are_user_and_key(header, expected):
    assert request(headers={"authorization": header}).credentials == expected


def test_arguments_are_unquoted_and_keep_empty_values():
    assert request(query="a=1%202&b=&a=3").arguments == {"a": "3", "b": ""}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"{", "not JSON", id="broken"),
        pytest.param(b"[1]", "not a JSON object", id="list"),
    ],
)
def test_json_object_of_another_body_is_refused(data, words):
    with pytest.raises(RefusedError, match=words) as refused:
        request(data=data).json_object()

    assert refused.value.status == 400


def test_json_object_of_no_body_is_empty():
    assert request().json_object() == {}


def test_error_reply_says_its_words_in_every_form_and_one_header_line():
    reply = error_reply(403, "no\nroom \u2713")

    said = json.loads(reply.data)
    assert said == {
        "code": 403,
        "message": "no\nroom \u2713",
        "error": "no\nroom \u2713",
        "error_code": "PERMISSION_DENIED",
    }
    assert reply.headers["X-Error-Message"] == "no room ?"
