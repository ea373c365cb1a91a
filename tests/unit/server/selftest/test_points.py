"""Commit points: what counts as one, and what it is called."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from stepline.errors import PlatformError
from stepline.server.selftest.points import Point, Side, Watch, WatchedState, name_of


class Repositories:
    """A transaction whose repositories take every call."""

    def __getattr__(self, name):
        return SimpleNamespace(
            get=lambda key: key, heads=lambda now: [], commit=lambda changes: None
        )


class MemoryState:
    """A state without anything behind it."""

    def write(self, act):
        return act(Repositories())

    def read(self):
        return nullcontext("view")

    def close(self):
        self.closed = True


@pytest.fixture
def seen(tmp_path):
    """A watched state, and what it makes the watch note."""
    notes = tmp_path / "kinds.txt"
    state = WatchedState(MemoryState(), Watch(notes, None, phase="test"))
    return state, lambda: notes.read_text().splitlines()


def commit(tx):
    tx.files.commit("changes")
    return tx.files.get("key")


def test_write_that_changes_something_is_a_point(seen):
    state, noted = seen
    assert [state.write(commit), state.write(commit)] == ["key", "key"]
    assert noted() == [f"test\t{name_of(commit)}: files.commit"]


def test_write_that_only_reads_is_no_point(seen):
    state, noted = seen
    assert state.write(lambda tx: tx.queue.heads(1.0)) == []
    assert noted() == []


def test_write_that_fails_is_no_point(seen):
    def act(tx):
        tx.files.commit("changes")
        raise PlatformError("no")

    state, noted = seen
    with pytest.raises(PlatformError):
        state.write(act)
    assert noted() == []


def test_state_reads_and_closes_as_before(seen):
    state, _ = seen
    with state.read() as view:
        assert view == "view"
    state.close()


def test_name_of_inner_function_tells_where_it_is_from():
    name = name_of(lambda tx: None)
    assert name.endswith("test_name_of_inner_function_tells_where_it_is_from.<lambda>")
    assert name_of(WatchedState.close) == "server.selftest.points.WatchedState.close"


def test_point_reads_as_words():
    assert str(Point("it", Side.AFTER)) == "after it"
