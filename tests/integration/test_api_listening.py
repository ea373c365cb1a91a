"""Listening and ending: a port in use, signals while requests are under way."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest

from stepline.errors import PlatformError
from stepline.server.listening import listen, url_of
from tests.support.serving import ANSWER_S

# Serves one request that lasts two seconds, and says what came of the end.
CHILD = """
import asyncio
from fastapi import FastAPI
from stepline.server.listening import listen, serve, url_of

app = FastAPI()
app.state.stopping = asyncio.Event()

@app.get("/slow")
async def slow():
    await asyncio.sleep(2)
    return {"done": True, "stopping": app.state.stopping.is_set()}

with listen("127.0.0.1", 0) as listening:
    serve(app, listening, ready=lambda: print(url_of(listening), flush=True))
print("ended", flush=True)
"""


@pytest.fixture
def child():
    """A process that serves; its address."""
    process = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True)
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate(timeout=ANSWER_S)


def test_listen_at_free_port_says_which():
    with listen("127.0.0.1", 0) as first, listen("localhost", 0) as second:
        assert re.fullmatch(r"http://127\.0\.0\.1:[1-9]\d*", url_of(first))
        assert url_of(first) != url_of(second)


def test_listen_at_ipv6_address_puts_it_in_brackets():
    try:
        listening = listen("::1", 0)
    except PlatformError:
        pytest.skip("no IPv6 here")
    with listening:
        assert url_of(listening).startswith("http://[::1]:")


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_listen_where_it_cannot_is_refused(host):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PlatformError, match=rf"{host}:{port}") as caught:
            listen(host, port)
    assert "--port" in caught.value.hint


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_signal_finishes_requests_and_returns(child, number):
    process, url = child
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(httpx.get(f"{url}/slow", timeout=ANSWER_S).json())
    )
    thread.start()
    time.sleep(0.5)
    os.kill(process.pid, number)
    out, _ = process.communicate(timeout=ANSWER_S)
    thread.join(ANSWER_S)
    assert answers == [{"done": True, "stopping": True}]
    assert (process.returncode, out) == (0, "ended\n")


def test_serve_short_answers_do_not_wait_for_acknowledgements(child):
    _, url = child
    with httpx.Client(base_url=url, trust_env=False) as client:
        client.get("/none")
        times = []
        for _ in range(20):
            begin = time.monotonic()
            client.get("/none")
            times.append(time.monotonic() - begin)
    assert sorted(times)[10] < 0.03
