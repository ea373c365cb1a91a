"""What addresses and answers of HTTP mean to a push."""

import time
from email.utils import formatdate

import pytest

from stepline_sdk.push import (
    is_busy,
    is_not_taken,
    is_private,
    plain_url,
    plain_words,
    retry_after,
)


@pytest.mark.parametrize(
    ("status", "busy", "not_taken"),
    [
        (200, False, False),
        (400, False, False),
        (401, False, False),
        (408, True, False),
        (412, False, False),
        (429, True, True),
        (500, True, False),
        (501, False, False),
        (503, True, True),
        (524, True, False),
    ],
)
def test_status_says_whether_to_try_again_and_whether_it_was_taken(status, busy, not_taken):
    assert (is_busy(status), is_not_taken(status)) == (busy, not_taken)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(None, None), ("", None), ("soon", None), ("nan", None), ("7", 7.0), (" 30 ", 30.0)],
)
def test_retry_after_seconds(text, seconds):
    assert retry_after(text) == seconds


def test_retry_after_date_is_reckoned_from_now():
    assert 50 < retry_after(formatdate(time.time() + 60, usegmt=True)) <= 60
    assert retry_after(formatdate(time.time() - 60, usegmt=True)) == 0.0


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://a.example/b?X-Signature=s", "https://a.example/b"),
        ("https://me:key@a.example:8080/b#c", "https://a.example:8080/b"),
        ("https://a.example/b", "https://a.example/b"),
    ],
)
def test_plain_url_has_nothing_that_lets_people_in(url, plain):
    assert plain_url(url) == plain


@pytest.mark.parametrize(
    ("words", "plain"),
    [
        ("403 for url: https://a.example/b?sig=s", "403 for url: https://a.example/b"),
        ("with url: /b/c?token=s&x=1 (Caused by it)", "with url: /b/c (Caused by it)"),
        ("see 'http://me:key@a.example/b?c=d'!", "see 'http://a.example/b'!"),
        ("is it yes and/or no? See /b.", "is it yes and/or no? See /b."),
    ],
    ids=["address", "path", "credentials", "none"],
)
def test_plain_words_have_nothing_that_lets_people_in(words, plain):
    assert plain_words(words) == plain


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("https://a.example", True),
        ("http://127.0.0.1:5000", True),
        ("http://localhost", True),
        ("http://[::1]:80/", True),
        ("http://a.example", False),
        ("http://10.0.0.1", False),
        ("http://localhost.example", False),
    ],
)
def test_is_private_by_https_or_to_this_machine(url, private):
    assert is_private(url) is private
