"""Whose task is next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepline.engine.fairness import FAIR_TURN, Head, choose

ORDINARY, FAIR = 0, FAIR_TURN - 1


@pytest.mark.parametrize(
    ("heads", "turn", "last_served", "expected"),
    [
        pytest.param([("a", 5, 0), ("b", 9, 7)], ORDINARY, {}, "b", id="higher priority"),
        pytest.param([("a", 5, 2), ("b", 5, 1)], ORDINARY, {"b": 9}, "b", id="fewest running"),
        pytest.param([("a", 5, 1), ("b", 5, 1)], ORDINARY, {"a": 3, "b": 2}, "b", id="longest ago"),
        pytest.param([("a", 5, 1), ("b", 5, 1)], ORDINARY, {"a": 0}, "b", id="never served"),
        pytest.param([("b", 5, 1), ("a", 5, 1)], ORDINARY, {}, "a", id="all equal"),
        pytest.param([("a", 1, 9), ("b", 9, 0)], FAIR, {"a": 2, "b": 3}, "a", id="fair turn"),
        pytest.param([("a", 1, 0), ("b", 9, 0)], FAIR, {}, "b", id="fair turn, none served"),
    ],
)
def test_choose_follows_the_rule(heads, turn, last_served, expected):
    chosen = choose([Head(*head) for head in heads], turn, last_served=last_served)
    assert chosen is not None
    assert chosen.pipeline_id == expected


def test_choose_without_heads_is_nobody():
    assert choose([], 0, last_served={}) is None


class Simulation:
    """One worker; the pipelines in `floods` always have a task due."""

    def __init__(self, priorities: dict[str, int], floods: set[str]) -> None:
        self.priorities = priorities
        self.due = set(floods)
        self.floods = floods
        self.served: dict[str, int] = {}
        self.turn = 0

    def step(self) -> str:
        """Serve one task and return whose it was."""
        heads = [Head(name, self.priorities[name], 0) for name in sorted(self.due)]
        chosen = choose(heads, self.turn, last_served=self.served)
        assert chosen is not None
        self.served[chosen.pipeline_id] = self.turn
        self.turn += 1
        self.due = self.floods | (self.due - {chosen.pipeline_id})
        return chosen.pipeline_id

    def wait_of(self, name: str) -> int:
        """Queue a task of a pipeline and return the turns until it was served."""
        self.due.add(name)
        for waited in range(1, 1000):
            if self.step() == name:
                return waited
        raise AssertionError(f"{name} starves")


def test_choose_flood_of_high_priority_lets_single_tasks_through():
    queue = Simulation({"flood": 9, "quiet": 1}, {"flood"})
    for _ in range(100):
        queue.step()
    waits = [queue.wait_of("quiet") for _ in range(200)]
    assert max(waits) <= FAIR_TURN * 2


def test_choose_flood_keeps_most_turns_of_its_priority():
    queue = Simulation({"flood": 9, "quiet": 1}, {"flood", "quiet"})
    served = [queue.step() for _ in range(800)]
    assert 100 <= served.count("quiet") <= 200


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 10), min_size=1),
    st.integers(0, 50),
)
def test_choose_bounds_the_wait_among_floods(priorities, turns):
    queue = Simulation({**priorities, "quiet": 1}, set(priorities))
    for _ in range(turns):
        queue.step()
    assert queue.wait_of("quiet") <= FAIR_TURN * (len(priorities) + 1)
