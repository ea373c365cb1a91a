"""Bytes to text."""

import pytest

from stepline.parsing import MAX_BYTES, decode_source, too_large
from stepline.parsing.source import place


def test_decode_source_mark_is_left_out():
    assert decode_source("\ufeffname: ä\n".encode(), path="p.yml") == ("name: ä\n", None)


@pytest.mark.parametrize(
    ("data", "code", "line", "column"),
    [
        (b"a: 1\r\nb: \xff", "not-utf8", 2, 4),
        ("ä: 1\n日本: ".encode() + b"\xc3", "not-utf8", 2, 5),
        ("a: 1".encode("utf-16"), "not-utf8", 1, 1),
        (b"a: 1\n\0", "not-text", 2, 1),
        (b"x" * (MAX_BYTES + 1), "file-too-large", 1, 1),
    ],
    ids=["broken byte", "cut character", "utf-16", "nul", "large"],
)
def test_decode_source_unusable_bytes_name_the_place(data, code, line, column):
    _, problem = decode_source(data, path="p.yml")
    where = problem.where
    assert (problem.code, where.path, where.line, where.column) == (code, "p.yml", line, column)
    assert problem.hint


def test_too_large_limit_itself_is_allowed():
    assert too_large("p.yml", MAX_BYTES) is None
    assert "52,428,800 bytes; at most 1 MiB" in too_large("p.yml", 50 * 2**20).message


@pytest.mark.parametrize(
    ("text", "offset", "expected"),
    [("ab", 1, (1, 2)), ("a\nb", 2, (2, 1)), ("a\r\nb", 3, (2, 1)), ("a\rb", 2, (2, 1))],
)
def test_place_of_offset_counts_lines_and_columns(text, offset, expected):
    assert place(text, offset) == expected
