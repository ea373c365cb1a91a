"""Errors do not repeat what was printed just before."""

import pytest

from stepline.app.told import Told

HEAD = "the hook failed with exit code 3; the end of what it said:\n"


@pytest.fixture
def told():
    """Three lines that somebody was told."""
    told = Told()
    for line in ("one", "", "two"):
        told.add(line)
    return told


@pytest.mark.parametrize("end", ["one\n\ntwo", "one\ntwo", "two"], ids=["all", "dense", "end"])
def test_told_lines_are_not_said_again(told, end):
    said = "the hook failed with exit code 3; what it said is above"
    assert told.without(HEAD + end) == said


@pytest.mark.parametrize(
    "what", [HEAD + "one", HEAD + "zero\none\n\ntwo", "no lines"], ids=["old", "more", "none"]
)
def test_told_other_lines_are_left(told, what):
    assert told.without(what) == what
