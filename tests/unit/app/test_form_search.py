"""Words are found as a plain search would find them, but fast."""

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepline.app.form_search import FormSearch
from stepline.app.masking import MASK, Masker

# Few characters, so that words begin with, end with and overlap one another.
FORMS = st.sets(st.text("ab-]^", min_size=6, max_size=14), min_size=1, max_size=12)


@st.composite
def searched(draw):
    """Words, and a text made of their parts."""
    forms = draw(FORMS)
    parts = st.one_of(st.sampled_from(sorted(forms)), st.text("ab-]^", max_size=8))
    cut = st.builds(lambda part, end: part[:end], parts, st.integers(0, 14))
    return forms, "".join(draw(st.lists(cut, max_size=8)))


def found_simply(forms, text):
    """The longest word at each place, read from the left."""
    found, at = [], 0
    while at < len(text):
        longest = max((len(form) for form in forms if text.startswith(form, at)), default=0)
        if longest:
            found.append((at, at + longest))
        at += longest or 1
    return found


@given(searched())
def test_find_any_text_finds_what_a_plain_search_finds(case):
    forms, text = case
    assert list(FormSearch(forms).find(text)) == found_simply(forms, text)


@given(searched(), st.integers(0, 60))
def test_find_with_an_end_leaves_out_what_begins_there(case, end):
    forms, text = case
    expected = [pair for pair in found_simply(forms, text) if pair[0] < end]
    assert list(FormSearch(forms).find(text, end=end)) == expected


@given(searched())
def test_open_from_any_text_is_the_first_place_of_an_unended_word(case):
    forms, text = case
    tails = [
        at
        for at in range(len(text))
        if any(form != text[at:] and form.startswith(text[at:]) for form in forms)
    ]
    assert FormSearch(forms).open_from(text) == min(tails, default=len(text))


def secret_of(lines, width):
    """A value of many lines, and a text of 64 KiB that is like it but not of it."""
    chosen = random.Random(lines)
    letters = string.ascii_letters + string.digits + "+/"
    value = "\n".join("".join(chosen.choices(letters, k=width)) for _ in range(lines))
    return value, "".join(chosen.choices(letters, k=65_536))


@pytest.mark.parametrize("lines", [100, 900], ids=["6.5 KB", "58 KB"])
@pytest.mark.parametrize("kind", ["other text", "the secret", "one character"])
def test_masker_long_secret_is_found_where_it_is_and_nowhere_else(kind, lines):
    value, other = secret_of(lines, 64)
    text = {"other text": other, "the secret": value * 11, "one character": " " * 65_536}[kind]
    masker = Masker([value])
    shown, rest = masker.split(text[:65_536])
    assert (MASK in shown + masker.text(rest)) == (kind == "the secret")
