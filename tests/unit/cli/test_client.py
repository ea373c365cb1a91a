"""What a client makes of answers, and of none."""

import httpx
import pytest

from stepline.app import masking
from stepline.cli.client import TRIES, Answered, Client, Unreachable, path_of
from stepline.cli.connection import Connection
from stepline.cli.report import report_error
from stepline.errors import PlatformError, SettingsError

TOKEN = "token-of-the-service"


@pytest.fixture
def client(monkeypatch):
    """Make a client whose requests are answered in turn; ``seen`` has what was sent."""
    monkeypatch.setattr(masking, "_read_by_process", set())

    def make(*answers):
        left = list(answers)

        def answer(request):
            client.seen.append(request)
            found = left.pop(0)
            if isinstance(found, Exception):
                raise found
            return found

        connection = Connection(
            api_url="http://127.0.0.1:8765/v1",
            auth_token=TOKEN,
            org="demo",
            ignore_ssl=False,
            origin="a.json",
        )
        client = Client(
            connection, transport=httpx.MockTransport(answer), sleep=lambda seconds: None
        )
        client.seen = []
        return client

    return make


def refusal(status, message="no", **more):
    return httpx.Response(status, json={"statusCode": status, "message": message, **more})


def test_get_sends_token_and_org_and_leaves_empty_parameters_out(client):
    one = client(httpx.Response(200, json={"a": 1}))
    assert one.get("files", prefix="", after=None, limit=5) == {"a": 1}
    [request] = one.seen
    assert str(request.url) == "http://127.0.0.1:8765/v1/files?limit=5"
    assert (request.headers["ts-auth-token"], request.headers["x-org-slug"]) == (TOKEN, "demo")


def test_send_answer_without_content_returns_none(client):
    assert client(httpx.Response(204)).send("DELETE", "settings/a") is None


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, Answered, 2),
        (401, SettingsError, 2),
        (403, SettingsError, 2),
        (404, Answered, 2),
        (409, Answered, 2),
        (413, Answered, 2),
        (422, Answered, 2),
        (500, PlatformError, 3),
        (503, PlatformError, 3),
    ],
)
def test_send_refused_is_an_error_with_the_house_s_exit_code(client, status, kind, code):
    with pytest.raises(kind) as raised:
        client(refusal(status, "it cannot be. Hint: do that")).send("POST", "x")
    assert (raised.value.what, raised.value.hint) == ("it cannot be", "do that")
    assert raised.value.exit_code == code


def test_send_without_a_hint_tells_what_usually_helps(client):
    with pytest.raises(SettingsError) as unknown:
        client(refusal(401)).send("POST", "x")
    assert unknown.value.hint == "the token of a.json is not that of http://127.0.0.1:8765/v1"
    with pytest.raises(PlatformError) as failed:
        client(refusal(500)).send("POST", "x")
    assert failed.value.hint == "is the service running? stepline serve"


def test_send_problems_are_shown_as_validate_shows_them(client, tmp_path, capsys):
    file = tmp_path / "p.yml"
    file.write_text("name: a\nretry: offf\n")
    problem = {"file": str(file), "line": 2, "column": 8, "severity": "error", "code": "x"}
    body = {"problems": [{**problem, "message": "no such word", "hint": "write off"}]}
    with pytest.raises(Answered) as refused:
        client(refusal(422, **body)).send("PUT", "pipelines")
    assert report_error(refused.value) == 2
    shown = f"{file}:2:8: error: no such word [x]\n  retry: offf\n         ^\n  hint: write off\n"
    assert capsys.readouterr().err.strip() == shown.strip()


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        pytest.param(
            httpx.Response(502, text="bad\x1b gateway"),
            "the answer is 502: bad\ufffd gateway",
            id="text",
        ),
        pytest.param(httpx.Response(500, html="<p>no</p>"), "the answer is 500", id="page"),
        pytest.param(httpx.Response(404, json=["x"]), 'the answer is 404: ["x"]', id="a list"),
        pytest.param(httpx.Response(302), "the answer is 302", id="elsewhere"),
        pytest.param(
            httpx.Response(200, html="<p>welcome</p>"),
            "what answers at http://127.0.0.1:8765/v1 is no Stepline service",
            id="another service",
        ),
    ],
)
def test_send_answer_of_somebody_else_is_an_error_too(client, answer, what):
    with pytest.raises((Answered, PlatformError)) as raised:
        client(answer).send("POST", "x")
    assert raised.value.what == what


def test_get_broken_connection_is_tried_again(client):
    one = client(httpx.ReadError("broke"), refusal(503), httpx.Response(200, json=[1]))
    assert one.get("x") == [1]


def test_get_gives_up_after_its_tries(client):
    one = client(*[httpx.ReadError("broke")] * TRIES)
    with pytest.raises(Unreachable, match=r"no answer from http://127.0.0.1:8765/v1: broke"):
        one.get("x")
    assert len(one.seen) == TRIES


def test_get_refused_connection_is_told_at_once_unless_it_is_patient(client):
    one = client(httpx.ConnectError("refused"))
    with pytest.raises(Unreachable) as raised:
        one.get("x")
    assert (raised.value.exit_code, "stepline serve" in raised.value.hint) == (3, True)
    patient = client(*[httpx.ConnectError("refused")] * TRIES, httpx.Response(200, json=[1]))
    assert patient.get("x", tries=TRIES + 1, patient=True) == [1]


def test_send_is_not_done_twice(client):
    one = client(httpx.ReadError("broke"))
    with pytest.raises(Unreachable):
        one.send("POST", "x", body={})
    assert len(one.seen) == 1


def test_send_error_shows_neither_token_nor_body(client, capsys):
    with pytest.raises(PlatformError) as raised:
        client(refusal(500, f"cannot use {TOKEN}")).send("PUT", "x", body={"value": "hidden"})
    report_error(raised.value)
    assert capsys.readouterr().err.startswith("error: cannot use ***\n")
    assert "hidden" not in str(raised.value)


def test_path_of_quotes_what_would_be_a_path():
    assert path_of("pipeline", "a/b c?é", "status") == "pipeline/a%2Fb%20c%3F%C3%A9/status"
