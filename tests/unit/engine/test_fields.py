"""Words and patterns, as searches compare them."""

from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepline.engine.fields import glob_matches, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Plate Reader", ["plate", "reader"]),
        ("run-42/out.json", ["run", "42", "out.json"]),
        ("run42.json", ["run42", "json"]),
        ("3.14, 1,000", ["3.14", "1,000"]),
        ("don't", ["don't"]),
        ("a_b c__d", ["a_b", "c__d"]),
        ("Größe Ölstand", ["größe", "ölstand"]),
        ("-- ;", []),
    ],
)
def test_words_text_is_cut_in_lower_case(text: str, found: list[str]) -> None:
    assert words(text) == found


@given(
    pattern=st.text(alphabet="ab*?", max_size=8),
    text=st.text(alphabet="ab\n", max_size=8),
)
def test_glob_matches_agrees_with_regular_expression(pattern: str, text: str) -> None:
    expected = re.compile(fnmatch.translate(pattern)).match(text) is not None
    assert glob_matches(pattern, text) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        (r"a\*", "a*", True),
        (r"a\*", "ab", False),
        (r"\\", "\\", True),
        ("a\\", "a\\", True),
        ("[ab]", "a", False),
        ("[ab]", "[ab]", True),
    ],
)
def test_glob_matches_escapes_and_literals(pattern: str, text: str, *, fits: bool) -> None:
    assert glob_matches(pattern, text) is fits
