"""Listening to several ends, and sending to slow ones."""

import os
import socket

import pytest

from stepline_sdk import wire
from stepline_sdk.worker.lines import Lines


@pytest.fixture
def pair():
    """A connection that is listened to, and its other end."""
    here, there = map(wire.Connection, socket.socketpair())
    yield here, there
    here.close()
    there.close()


def big(number):
    return {"type": "big", "number": number, "text": "x" * 1_000_000}


def listening(connection):
    """Lines that collect what arrives on a connection."""
    lines, got = Lines(), []

    def receive():
        frames, alive = connection.receive_available()
        got.extend(frames)
        return alive

    lines.listen(connection.fileno(), receive)
    return lines, got


def test_outbox_sends_more_than_fits_without_waiting(pair):
    here, there = pair
    lines, got = listening(here)
    outbox = lines.outbox(here)
    for number in range(3):
        outbox.put(big(number))
    outbox.flush()
    assert outbox.size > 1_000_000
    there.send({"type": "answer"})
    received = []
    while len(received) < 3:
        lines.wait(0)
        received += there.receive_available()[0]
    assert [frame["number"] for frame in received] == [0, 1, 2]
    assert [frame["type"] for frame in got] == ["answer"]
    assert outbox.size == 0


def test_outbox_to_an_end_that_is_gone_forgets(pair):
    here, there = pair
    lines, _ = listening(here)
    outbox = lines.outbox(here)
    outbox.put(big(1))
    there.close()
    outbox.flush()
    assert outbox.size == 0


def test_lines_end_of_an_end_is_handled_once(pair):
    here, there = pair
    lines, got = listening(here)
    there.send({"type": "last"})
    there.close()
    for _ in range(3):
        lines.wait(20)
    assert [frame["type"] for frame in got] == ["last"]


def test_lines_paused_end_is_read_after_resume(pair):
    here, there = pair
    lines, got = listening(here)
    there.send({"type": "a"})
    lines.pause([here.fileno(), 9999])
    lines.pause([here.fileno()])
    lines.wait(20)
    assert got == []
    lines.resume()
    lines.wait(20)
    assert len(got) == 1


def test_lines_paused_end_gets_its_frames_after_resume(pair):
    here, there = pair
    lines, _ = listening(here)
    outbox = lines.outbox(here)
    lines.pause([here.fileno()])
    outbox.put(big(1))
    outbox.flush()
    left = outbox.size
    there.receive_available()
    lines.wait(20)
    assert outbox.size == left > 0
    lines.resume()
    while outbox.size:
        lines.wait(0)
        there.receive_available()


def test_lines_handler_that_pauses_another_keeps_it_unread():
    lines, calls = Lines(), []
    ends = [os.pipe(), os.pipe()]
    fds = [reading for reading, _ in ends]

    def handler(fd):
        def handle():
            calls.append(fd)
            lines.pause(set(fds) - {fd})
            return True

        return handle

    for reading, writing in ends:
        lines.listen(reading, handler(reading))
        os.write(writing, b"x")
    lines.wait(20)
    assert len(calls) == 1
    for fd in sum(ends, ()):
        os.close(fd)
