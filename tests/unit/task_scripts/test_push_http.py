"""What `common/push-http` makes of answers, addresses and headers: plain functions."""

import importlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from stepline.testing.http import wire
from stepline.testing.kit.script_import import importable
from stepline.testing.loopback import Request
from stepline_sdk.push import Mark, Refused, TryAgain

FOLDER = Path(__file__).parents[3] / "task-scripts/push-http"
MODULES = ("answers", "endpoint", "listing", "posting", "putting", "saying", "signing")
URL = "https://data.example.org/plates"
SHA = "ab" * 32


@pytest.fixture(scope="module")
def script():
    """The modules of the task script."""
    with importable(FOLDER):
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})


def answer(script, status=200, data=b"", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return script.answers.Answer(status, f"{status} Title", httpx.Headers(named), data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"message": "no\\n such  plate"}', "404 Title: no such plate"),
        (b'{"detail": [1], "error": "gone"}', "404 Title: gone"),
        (b'{"other": 1}', "404 Title"),
        (b"plain words", "404 Title: plain words"),
        (b"", "404 Title"),
        (b"x" * 999, "404 Title: " + "x" * 300),
    ],
)
def test_words_of_an_answer_are_the_endpoints_own(script, data, words):
    assert answer(script, 404, data).words == words


def test_words_of_a_page_are_its_title_alone(script):
    assert answer(script, 502, b"<html>", Content_Type="text/html").words == "502 Title"


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7), ("", None), ("soon", None), ("-1", None), ("1.5", None)]
)
def test_waiting_is_what_retry_after_says(script, text, seconds):
    assert script.answers.waiting(answer(script, 429, Retry_After=text)) == seconds


def test_waiting_until_a_date_is_the_time_from_now(script):
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 57 < script.answers.waiting(answer(script, 429, Retry_After=then)) <= 60


@pytest.mark.parametrize(
    ("status", "headers", "error", "clear"),
    [
        (400, {}, Refused, None),
        (307, {"Location": "/x"}, Refused, None),
        (409, {}, Refused, None),
        (409, {"Retry_After": "1"}, TryAgain, False),
        (412, {}, Refused, None),
        (429, {}, TryAgain, True),
        (500, {}, TryAgain, False),
        (501, {}, Refused, None),
        (503, {}, TryAgain, True),
        (507, {}, TryAgain, False),
        (524, {}, TryAgain, False),
        (529, {}, TryAgain, False),
    ],
)
def test_answer_that_took_nothing_is_an_error(script, status, headers, error, clear):
    with pytest.raises(error) as caught:
        script.answers.took(answer(script, status, **headers))
    assert getattr(caught.value, "clear", None) == clear


SIGNED = "https://store.example/b?X-Amz-Signature=abc"


def test_addresses_in_words_are_without_what_lets_in(script):
    elsewhere = answer(script, 302, b"see " + SIGNED.encode(), Location=SIGNED)
    with pytest.raises(Refused) as caught:
        script.answers.took(elsewhere)
    assert "X-Amz" not in str(caught.value)
    assert str(caught.value).count("https://store.example/b") == 2


def test_version_shows_addresses_without_what_lets_in_and_keeps_them_whole(script):
    said = {"version": SIGNED, "id": SIGNED, "location": "/b?token=abc"}
    version = script.listing.published_of(said, URL)
    plain = "https://store.example/b"
    assert version[:3] == (plain, plain, "https://data.example.org/b")
    assert version.token[:3] == (SIGNED, SIGNED, "https://data.example.org/b?token=abc")
    assert script.listing.merged(version, version).url == "https://data.example.org/b"


def test_version_without_a_number_is_not_named_by_an_address_that_may_not_be_shown(script):
    endpoint = script.endpoint.Endpoint(f"{URL}?token=abc")
    posted = script.posting.Posted(endpoint)
    mark = Mark("a" * 32, "b" * 32)
    for location, version in ((SIGNED, mark.key), ("/b/3", "/b/3")):
        told = posted._told(answer(script, 201, b"", Location=location), mark)
        assert told[:2] == (URL, version)
    assert posted.ref == URL


def test_addresses_that_differ_in_their_query_are_different_places(script):
    queries = ["", "?table=a", "?table=b"]
    endpoints = [script.endpoint.Endpoint(URL + query) for query in queries]
    for kind in (script.posting.Posted, script.putting.Put):
        places = [kind(endpoint) for endpoint in endpoints]
        assert {place.ref for place in places} == {URL}
        assert len({str(place.about) for place in places}) == 3


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"token": "not-a-real-token"}, "the token would be readable"),
        ({"headers": {"authorization": "x"}}, "the token would be readable"),
        ({"headers": {"X-Key": "x"}, "secret_headers": ["X-Key"]}, "the header 'X-Key' would"),
        ({"is_secret": True}, "the address would be readable"),
    ],
    ids=["token", "authorization", "secret header", "address"],
)
def test_credentials_go_by_https_or_to_this_machine(script, how, words):
    with pytest.raises(ValueError, match=words):
        script.endpoint.Endpoint("http://data.example.org/plates", **how)
    for url in (URL, "http://127.0.0.1:8000/plates"):
        script.endpoint.Endpoint(url, **how)
    script.endpoint.Endpoint("http://data.example.org/plates", headers={"X-Lab": "north"})


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"version": 3}, (URL, "3", "", None)),
        ({"version": "v3", "id": 7}, ("7", "v3", "", None)),
        ({"version": 3, "location": "/a/3"}, (URL, "3", "https://data.example.org/a/3", None)),
        (
            {"version": 3, "idempotency_key": "a" * 32, "content": "b" * 32},
            (URL, "3", "", Mark("a" * 32, "b" * 32)),
        ),
        ({"version": 3, "idempotency_key": "theirs"}, (URL, "3", "", None)),
    ],
)
def test_version_is_what_the_endpoint_tells(script, said, expected):
    assert script.listing.published_of(said, URL)[:4] == expected


def test_files_of_a_version_are_found_from_its_location(script):
    files = [{"name": "a", "url": "a.csv"}, {"name": "b", "sha256": SHA.upper()}]
    said = {"version": 3, "location": "/v/3/", "files": files}
    entry = script.listing.published_of(said, URL).token
    assert entry.files["a"].url == "https://data.example.org/v/3/a.csv"
    assert entry.files["b"] == ("", SHA)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "has no 'version'"),
        ({"version": [1]}, "under 'version' is neither text nor number"),
        ({"version": True}, "under 'version' is neither text nor number"),
        ({"version": 1, "files": {"a": 1}}, "under 'files' is no list of objects"),
    ],
)
def test_version_that_cannot_be_understood_is_refused(script, said, words):
    with pytest.raises(Refused, match=words):
        script.listing.published_of(said, URL)


def test_template_is_filled_with_quoted_parts(script):
    version = script.listing.Entry("a/b", "1 2")
    template = "https://x.example/{id}/{version}/{name}?n={name}"
    filled = script.listing.filled(template, version, "c/d {id}")
    assert filled == "https://x.example/a%2Fb/1%202/c%2Fd%20%7Bid%7D?n=c%2Fd%20%7Bid%7D"


@pytest.mark.parametrize(
    ("template", "several", "words"),
    [("/{nr}", False, "has {nr}"), ("/{version}", True, "needs {name}"), ("/{}", False, "has {}")],
)
def test_template_that_cannot_be_filled_is_refused(script, template, several, words):
    with pytest.raises(Refused) as caught:
        script.listing.check_template(template, several=several)
    assert words in str(caught.value)


def test_signature_is_good_at_the_other_end(script):
    headers = {"Idempotency-Key": '"k"', "Stepline-Note": script.saying.encoded("\u00b5 100 %")}
    signed = script.signing.signature("secret", "GET", "/plates?x=1", headers=headers)
    request = Request(
        method="GET",
        path="/plates",
        query="x=1",
        headers={n.lower(): v for n, v in {**headers, "Stepline-Signature": signed}.items()},
    )
    wire.check_signature(request, "secret", now=datetime.now(UTC).timestamp())
    assert wire.note_of(request) == "\u00b5 100 %"


def test_signed_headers_are_the_same_at_both_ends_and_on_the_page(script):
    named = [name.lower() for name in script.signing.SIGNED_HEADERS]
    assert named == list(wire.SIGNED_HEADERS)
    page = (FOLDER.parents[1] / "docs/how-to/receive-pushes.md").read_text()
    [start] = [page.index("then the values of")]
    listed = page[start : page.index("where a missing header")]
    assert [name for name in script.signing.SIGNED_HEADERS if f"`{name}`" not in listed] == []
