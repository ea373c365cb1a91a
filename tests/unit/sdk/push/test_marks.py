"""The mark that a push leaves at the platform."""

import pytest

from stepline_sdk.push import Mark, find_mark
from stepline_sdk.push.marks import make_mark

FILES = [("a", "1" * 64), ("b", "2" * 64)]
GIVEN = {"workflow_id": "w", "place": ("k", "r"), "about": {"title": "T"}, "files": FILES}


def test_mark_is_found_in_the_text_that_holds_it():
    mark = make_mark(**GIVEN)
    assert find_mark(f"the user's words {mark} and more") == mark


def test_mark_that_was_left_last_counts():
    first, second = Mark("1" * 32, "2" * 32), Mark("3" * 32, "4" * 32)
    assert find_mark(f"{first} {second}") == second


@pytest.mark.parametrize("text", [None, "", "no", "[stepline push=12 content=34]"])
def test_mark_is_none_where_there_is_none(text):
    assert find_mark(text) is None


@pytest.mark.parametrize(
    ("change", "same_content"),
    [
        ({"workflow_id": "other"}, True),
        ({"place": ("k", "other")}, True),
        ({"about": {"title": "other"}}, False),
        ({"files": FILES[:1]}, False),
        ({"files": [("a", "2" * 64), ("b", "1" * 64)]}, False),
    ],
    ids=["workflow", "place", "about", "files", "names"],
)
def test_mark_has_another_key_where_anything_differs(change, same_content):
    mark, other = make_mark(**GIVEN), make_mark(**{**GIVEN, **change})
    assert mark.key != other.key
    assert (mark.content == other.content) is same_content


def test_mark_does_not_depend_on_order():
    assert make_mark(**GIVEN) == make_mark(**{**GIVEN, "files": FILES[::-1]})
