"""What containers print gets to who follows them: all of it, in order, and in little memory."""

import threading
import time

import pytest

from stepline.plugins.engine_docker import output as module
from stepline.plugins.engine_docker.output import KEPT_BYTES, Output

LINES = [f"line {number}" for number in range(50_000)]
PARTS = [("\n".join(LINES[at : at + 500]) + "\n").encode() for at in range(0, len(LINES), 500)]


def nothing():
    """Close no stream."""


def test_follow_gets_every_line_and_the_stream_waits_for_it():
    output, given, seen, most = Output(followed=True), [], [], 0

    def stream():
        for part in PARTS:
            given.append(part)
            yield part

    output.begin(stream(), nothing)
    time.sleep(0.05)
    assert len(b"".join(given)) < 2 * KEPT_BYTES

    def tell(line):
        nonlocal most
        seen.append(line)
        most = max(most, len(output._waiting))

    output.follow(tell, runs=lambda: True)
    assert seen == LINES
    assert most < 2 * KEPT_BYTES
    assert output.text() == b"".join(PARTS)[-KEPT_BYTES:].decode()


def test_output_that_nobody_follows_does_not_wait():
    output, closed = Output(), threading.Event()
    output.begin(iter(PARTS), closed.set)
    assert closed.wait(10)
    assert output.text(settle_s=5).endswith("line 49999\n")


@pytest.mark.parametrize("release", ["end", "a follower that fails"])
def test_output_is_not_held_up_where_its_follower_is_gone(release):
    output, closed = Output(followed=True), threading.Event()
    output.begin(iter(PARTS), closed.set)
    assert not closed.wait(0.1)
    if release == "end":
        output.end()
    else:
        with pytest.raises(ZeroDivisionError):
            output.follow(lambda line: 1 / 0, runs=lambda: True)
    assert closed.wait(10)


def test_follow_ends_where_the_stream_stays_open_after_the_containers_end(monkeypatch):
    monkeypatch.setattr(module, "_QUIET_S", 0.05)
    output, never, seen, states = Output(followed=True), threading.Event(), [], [True, False]

    def stream():
        yield b"last words"
        never.wait(10)

    output.begin(stream(), nothing)
    begun = time.monotonic()
    output.follow(seen.append, runs=lambda: states.pop(0) if states else False)
    never.set()
    assert seen == ["last words"]
    assert time.monotonic() - begun < 5
