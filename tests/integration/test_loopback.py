"""Stand-ins and the proxy on real sockets, asked by a real HTTP client."""

import functools
import http.server
import json
import socket
import threading
import time

import httpx
import pytest

from stepline.testing.loopback import (
    Cut,
    CutReply,
    FailAfter,
    Hold,
    Refuse,
    RefusedError,
    Reply,
    Slow,
    StandIn,
    WrongBytes,
    json_reply,
)
from stepline.testing.loopback.proxy import FaultProxy


class Shelf(StandIn):
    """Keeps what is put under a path."""

    def __init__(self, **options):
        super().__init__(**options)
        self.kept = {}

    def answer(self, request):
        with self.lock:
            if request.method == "PUT":
                self.kept[request.path] = request.data
                return json_reply({"size": len(request.data), "base": request.base})
            if request.path not in self.kept:
                raise RefusedError(404, f"nothing at {request.path}")
            return Reply(200, self.kept[request.path], {"ETag": "1"})


@pytest.fixture
def shelf():
    with Shelf() as shelf:
        yield shelf


@pytest.fixture
def client(shelf):
    with httpx.Client(base_url=shelf.url, trust_env=False, timeout=20) as client:
        yield client


def test_put_then_get_gives_the_bytes_back_on_one_connection(shelf, client):
    data = bytes(range(256)) * 4096

    assert client.put("/a", content=data).json() == {"size": len(data), "base": shelf.url}
    assert client.get("/a").content == data
    head = client.head("/a")

    assert (head.content, head.headers["ETag"], head.status_code) == (b"", "1", 200)
    assert shelf.operations == ["PUT /a", "GET /a", "HEAD /a"]
    assert [call.number for call in shelf.calls] == [1, 2, 3]


def test_chunked_body_arrives_whole(shelf, client):
    client.put("/a", content=iter([b"abc", b"d" * 70_000, b"e"]))

    assert shelf.kept == {"/a": b"abc" + b"d" * 70_000 + b"e"}


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(b"GET http://example.com/x HTTP/1.1", b"403", id="absolute-url"),
        pytest.param(b"CONNECT example.com:443 HTTP/1.1", b"403", id="connect"),
        pytest.param(b"PUT /a HTTP/1.1\r\nContent-Length: 2000000", b"400", id="too-large"),
        pytest.param(b"PUT /a HTTP/1.1\r\nContent-Length: -1", b"400", id="no-length"),
        pytest.param(b"PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked", b"400", id="no-chunk"),
    ],
)
def test_request_that_leads_nowhere_is_refused(head, status):
    with (
        Shelf(max_body=1_000_000) as shelf,
        socket.create_connection(("127.0.0.1", shelf.port)) as link,
    ):
        link.sendall(head + b"\r\nHost: x\r\n\r\n\r\n")

        assert link.recv(4096).split()[1] == status
    assert shelf.kept == {}


def test_own_host_by_absolute_url_is_served(shelf):
    with httpx.Client(proxy=shelf.url, trust_env=False) as client:
        reply = client.put("http://localhost/a", content=b"x")

    assert reply.json()["base"] == "http://localhost"


def test_refuse_sends_status_words_and_wait_and_keeps_nothing(shelf, client):
    shelf.faults.append(Refuse("PUT /a", 429, "too many", retry_after=7, times=1))

    refused = client.put("/a", content=b"x")

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    assert refused.json()["message"] == "too many"
    assert shelf.kept == {}
    assert client.put("/a", content=b"x").status_code == 200
    assert [call.status for call in shelf.calls] == [429, 200]


def test_fail_after_keeps_the_bytes_and_says_500(shelf, client):
    shelf.faults.append(FailAfter("PUT *"))

    assert client.put("/a", content=b"x").status_code == 500
    assert shelf.kept == {"/a": b"x"}


@pytest.mark.parametrize("size", [10, 5_000_000], ids=["small", "large"])
def test_cut_within_the_body_keeps_nothing_and_breaks_the_connection(shelf, client, size):
    shelf.faults.append(Cut("PUT *", after_bytes=5, times=1))

    with pytest.raises(httpx.TransportError):
        client.put("/a", content=b"x" * size)

    assert shelf.kept == {}
    assert [call.status for call in shelf.calls] == [None]
    assert client.put("/a", content=b"x").status_code == 200


def test_cut_reply_keeps_the_bytes_and_breaks_the_connection(shelf, client):
    shelf.faults.append(CutReply("PUT *"))

    with pytest.raises(httpx.TransportError):
        client.put("/a", content=b"x")

    assert shelf.kept == {"/a": b"x"}
    assert [call.status for call in shelf.calls] == [None]


def test_slow_answers_late_and_holds_up_nobody_else(shelf, client):
    shelf.faults.append(Slow("GET /slow", 0.5))
    started = time.monotonic()
    slow = threading.Thread(target=httpx.get, args=(f"{shelf.url}/slow",))
    slow.start()

    assert client.get("/b").status_code == 404
    assert time.monotonic() - started < 0.5
    slow.join(20)
    assert time.monotonic() - started >= 0.5


def test_hold_outlasts_its_client_and_acts_once_released(shelf, client):
    shelf.faults.append(hold := Hold("PUT *"))

    with pytest.raises(httpx.ReadTimeout):
        client.put("/a", content=b"x", timeout=0.2)

    assert hold.reached.is_set()
    assert shelf.kept == {}
    hold.release()
    assert shelf.kept == {"/a": b"x"}


def test_wrong_bytes_on_read_back_differ_in_one(shelf, client):
    client.put("/a", content=b"abc")
    shelf.faults.append(WrongBytes("GET *"))

    assert client.get("/a").content == b"acc"
    assert shelf.kept == {"/a": b"abc"}


def test_record_is_written_before_the_answer_and_holds_no_key(tmp_path):
    with Shelf(record=tmp_path / "record") as shelf:
        httpx.put(f"{shelf.url}/a", content=b"x", auth=("me", "secret-key"), trust_env=False)
        text = (tmp_path / "record/record.json").read_text()

    assert "secret-key" not in text
    (call,) = json.loads(text)["calls"]
    assert (call["operation"], call["user"], call["status"]) == ("PUT /a", "me", 200)


@pytest.fixture
def folder(tmp_path):
    """A real server's folder, and its address."""
    (tmp_path / "a.txt").write_text("hello")
    handler = functools.partial(Quiet, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and answers a POST with what it got."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        said = f"{self.path} {self.headers['Host']} {self.headers['X-Own']} ".encode() + body
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_):
        pass


def test_proxy_hands_requests_on_and_answers_back(folder):
    with FaultProxy(folder) as proxy:
        got = httpx.get(f"{proxy.url}/a.txt", trust_env=False)
        head = httpx.head(f"{proxy.url}/a.txt", trust_env=False)
        post = httpx.post(f"{proxy.url}/p%20q?a=1%2F2", content=b"body", headers={"X-Own": "me"})

    assert (got.text, got.headers["Content-Type"]) == ("hello", "text/plain")
    assert len(got.headers.get_list("Date")) == 1
    assert (head.content, head.headers["Content-Length"]) == (b"", "5")
    host = proxy.url.removeprefix("http://")
    assert (post.status_code, post.text) == (201, f"/p%20q?a=1%2F2 {host} me body")
    assert proxy.operations == ["GET /a.txt", "HEAD /a.txt", "POST /p%20q"]


def test_proxy_has_the_same_faults(folder):
    faults = [Refuse("GET /a.txt", 503, "busy", times=1), WrongBytes("GET /a.txt")]
    with FaultProxy(folder, faults=faults) as proxy:
        refused = httpx.get(f"{proxy.url}/a.txt", trust_env=False)
        wrong = httpx.get(f"{proxy.url}/a.txt", trust_env=False)

    assert (refused.status_code, wrong.text) == (503, "hemlo")


def test_proxy_without_a_server_says_so():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with FaultProxy(f"http://127.0.0.1:{port}") as proxy:
        reply = httpx.get(f"{proxy.url}/a.txt", trust_env=False)

    assert reply.status_code == 502
    assert "no answer from" in reply.json()["message"]
