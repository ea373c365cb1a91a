"""The platform's end of a worker that a task has taken over."""

import socket
import threading
import time
import types
from contextlib import suppress

import pytest

from stepline.model.task import Isolation, Limits, OutcomeKind, TaskRequest
from stepline.model.task_script import Function
from stepline.workers import worker as module
from stepline.workers.worker import Load, Worker
from stepline_sdk import wire

READY = {"type": "ready", "cgroup": None}


class Host:
    """What a worker runs in: here, a thread that a test brings."""

    python, mark = "python", ""

    def __init__(self, act):
        self.socket, self._there = socket.socketpair()
        self._thread = threading.Thread(target=self._run, args=(act,), daemon=True)
        self._thread.start()
        self.killed = False

    def _run(self, act):
        line = wire.Connection(self._there)
        with self._there, suppress(OSError):
            line.receive()
            task = line.receive()
            if task["type"] == "task":
                act(lambda **frame: line.send({"token": task["token"], **frame}), line)

    def ended(self, *, within_s):
        return self.killed

    def kill(self):
        self.killed = True
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)

    def out_of_memory(self):
        return False

    def words(self):
        return ""

    def remove(self, cgroup):
        raise OSError("it cannot be removed")


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch):
    monkeypatch.setattr(module, "_GRACE_SECONDS", 0.2)


def run(worker, tmp_path, *, timeout_s=0.2, call=lambda *_: {"value": None}):
    """Run a task; return its outcome and how long that took, seconds."""
    nothing = lambda *_: None  # noqa: E731
    began = time.monotonic()
    outcome = worker.run(
        TaskRequest("task", 1, "f", None, limits=Limits(timeout_s=timeout_s)),
        Function("f", "main.f"),
        services=types.SimpleNamespace(log=nothing, started=nothing, call=call),
        scratch=str(tmp_path),
        inside=str(tmp_path),
    )
    return outcome, time.monotonic() - began


@pytest.fixture
def made():
    """Returns workers for what is in their place."""
    workers = []

    def make(act):
        workers.append(Worker(Host(act), Load(code="", isolation=Isolation.FORK)))
        return workers[-1]

    yield make
    for worker in workers:
        worker.close()


def log_for_ever(send, line):
    send(**READY)
    while True:
        send(type="log", lines=[])
        time.sleep(0.02)


def call_for_ever(send, line):
    send(**READY)
    while True:
        send(type="call", n=1, method="m", params={})
        line.receive()


def drip(send, line):
    send(**READY)
    for byte in b"\0\0\0\xff" + b" " * 255:
        line.send_encoded(bytes([byte]))
        time.sleep(0.02)


@pytest.mark.parametrize("act", [log_for_ever, call_for_ever, drip], ids=lambda act: act.__name__)
def test_worker_deadline_holds_whatever_the_worker_says(made, tmp_path, act):
    worker = made(act)
    outcome, took = run(worker, tmp_path)
    assert outcome.kind is OutcomeKind.TIMED_OUT
    assert took < 3
    assert not worker.usable


def test_worker_deadline_holds_where_the_platform_itself_takes_long(made, tmp_path):
    worker = made(call_for_ever)
    outcome, took = run(worker, tmp_path, call=lambda *_: time.sleep(0.6) or {"value": None})
    assert outcome.kind is OutcomeKind.TIMED_OUT
    assert took < 5


def test_worker_outcome_that_came_while_the_platform_was_busy_counts(made, tmp_path):
    def act(send, line):
        send(**READY)
        send(type="call", n=1, method="m", params={})
        send(type="outcome", kind="timed-out", message="the task ran longer")
        line.receive()

    outcome, _ = run(made(act), tmp_path, call=lambda *_: time.sleep(0.6) or {"value": None})
    assert outcome.message == "the task ran longer"


def test_worker_that_ignores_a_cancellation_is_ended(made, tmp_path):
    worker = made(log_for_ever)
    threading.Timer(0.3, worker.cancel, ["task"]).start()
    outcome, took = run(worker, tmp_path, timeout_s=None)
    assert outcome.kind is OutcomeKind.CANCELLED
    assert took < 3


BAD = {
    "ready without a cgroup": [{"type": "ready"}],
    "ready again": [READY, READY],
    "unknown type": [READY, {"type": "what"}],
    "unknown kind": [READY, {"type": "outcome", "kind": "what"}],
    "kind of no text": [READY, {"type": "outcome", "kind": []}],
    "lost": [READY, {"type": "outcome", "kind": "lost"}],
    "returned nothing": [READY, {"type": "outcome", "kind": "returned"}],
    "message of no text": [READY, {"type": "outcome", "kind": "raised", "message": 1}],
    "endless time": [READY, {"type": "started", "at": 1e300}],
    "lines of no list": [READY, {"type": "log", "lines": 1}],
    "short line": [READY, {"type": "log", "lines": [[1, "out"]]}],
    "stream": [READY, {"type": "log", "lines": [[1, "what", "", True]]}],
    "call of nothing": [READY, {"type": "call"}],
}


@pytest.mark.parametrize("sent", BAD.values(), ids=BAD.keys())
def test_worker_that_says_what_none_says_loses_its_task(made, tmp_path, sent):
    worker = made(lambda send, line: [send(**frame) for frame in sent] and line.receive())
    outcome, _ = run(worker, tmp_path, timeout_s=60)
    assert outcome.kind is OutcomeKind.LOST
    assert outcome.message.startswith("the worker sent what no worker sends, and was ended: a ")
    assert not worker.usable


def test_worker_that_sends_no_frame_loses_its_task(made, tmp_path):
    worker = made(lambda send, line: line.send_encoded(b"\xff" * 99) or line.receive())
    assert run(worker, tmp_path, timeout_s=60)[0].kind is OutcomeKind.LOST
    assert not worker.usable


def test_worker_close_is_bounded_whatever_the_worker_says(made):
    worker = made(log_for_ever)
    worker._send({"type": "task", "token": ""})
    began = time.monotonic()
    worker.close()
    assert time.monotonic() - began < 3


def test_worker_whose_task_left_what_cannot_be_removed_is_used_no_more(made, tmp_path):
    def act(send, line):
        send(**READY)
        send(type="outcome", kind="returned", output={"text": "1"}, spent=True)
        line.receive()

    worker = made(act)
    assert run(worker, tmp_path, timeout_s=60)[0].value == 1
    assert not worker.usable
