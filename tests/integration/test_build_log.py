"""The log of a build, read while the build goes on."""

import time

import pytest

from stepline.app.build_log import BuildLog
from stepline.bootstrap import Plugins
from stepline.errors import PlatformError


@pytest.fixture
def state(tmp_path):
    """An empty state on the disk."""
    opened = Plugins(tmp_path / "cache", {}).state(f"sqlite:///{tmp_path}/state.db")
    yield opened
    opened.close()


@pytest.fixture
def log(state):
    return BuildLog(state, "b-1", now=lambda: "t")


def lasting(state):
    with state.read() as view:
        return [text for _, _, text in view.artifacts.build_log("b-1")]


def wait_for(state, lines, seconds=2.0):
    """Return the lines that last, once they are these or the time is over."""
    end = time.monotonic() + seconds
    while (found := lasting(state)) != lines and time.monotonic() < end:
        time.sleep(0.02)
    return found


def test_build_log_output_lasts_within_a_second_without_more_of_it(state, log):
    began = time.monotonic()
    log.output("one")
    log.output("two")
    assert wait_for(state, ["one", "two"]) == ["one", "two"]
    assert time.monotonic() - began < 1


def test_build_log_lines_keep_their_order_whoever_makes_them_last(state, log):
    lines = [f"line {number}" for number in range(40)]
    for line in lines[:-1]:
        log.output(line)
        time.sleep(0.02)
    log.say(lines[-1])
    assert wait_for(state, lines) == lines


def test_build_log_lines_that_are_taken_do_not_last_twice(state, log):
    log.output("one")
    assert log.take() == [("t", "one")]
    time.sleep(0.8)
    assert lasting(state) == []


def test_build_log_failing_state_is_told_by_the_next_flush(state, log):
    state.close()
    log.output("one")
    time.sleep(0.8)
    with pytest.raises(PlatformError):
        log.say("two")
