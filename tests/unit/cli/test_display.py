"""What commands print where nobody draws."""

import json

import pytest

from stepline.cli.display import aligned, lines_of, printable, show_fields, show_json, show_table
from stepline.cli.words import pairs_of, path_shown, size_shown
from stepline.errors import SettingsError


def test_aligned_columns_stand_below_each_other():
    assert aligned([["a", "long", "x"], ["long", "b"]]) == ["a     long  x", "long  b"]


def test_show_table_elsewhere_prints_rows_alone(capsys):
    show_table(("NAME", "VALUE"), [("a", 1), ("b", {"c": [True, None]})], empty="nothing")
    assert capsys.readouterr() == ('a  1\nb  {"c": [true, null]}\n', "")


def test_show_table_without_rows_says_so_beside_the_output(capsys):
    show_table(("NAME",), [], empty="no names")
    assert capsys.readouterr() == ("", "no names\n")


def test_show_fields_leaves_out_what_is_empty(capsys):
    show_fields([("a", 1), ("longer", ""), ("longest", None), ("b", "x")])
    assert capsys.readouterr().out == "a:  1\nb:  x\n"


def test_show_fields_puts_further_lines_below_the_first(capsys):
    show_fields([("a", "one\r\n\n two\x1b\n"), ("longer", "b")])
    assert capsys.readouterr().out == "a:       one\n\n          two\ufffd\nlonger:  b\n"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("a\tb\n", ["a\tb"]),
        ("a\r\nb\rc\x0b\n\nd", ["a", "b\ufffdc\ufffd", "", "d"]),
        (None, [""]),
        (3, ["3"]),
    ],
)
def test_lines_of_keeps_lines_and_tabs_alone(text, lines):
    assert lines_of(text) == lines


def test_show_json_keeps_text_readable(capsys):
    show_json({"a": "Grüße"})
    out = capsys.readouterr().out
    assert "Grüße" in out
    assert json.loads(out) == {"a": "Grüße"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        ("a\x1b[2Jb\nc", "a\ufffd[2Jb\ufffdc"),
        (True, "true"),
        (3, "3"),
        ("Grüße", "Grüße"),
        ("\udc80", "\ufffd"),
    ],
)
def test_printable_cannot_steer_a_terminal(value, shown):
    assert printable(value) == shown


def test_pairs_of_keeps_order_and_doubles():
    assert pairs_of(["a=1", "a=2=3", "b="], option="--label") == [
        ("a", "1"),
        ("a", "2=3"),
        ("b", ""),
    ]


@pytest.mark.parametrize("word", ["a", "=b", ""])
def test_pairs_of_a_word_that_is_none_is_refused(word):
    with pytest.raises(SettingsError, match=r"--label .* has no '='"):
        pairs_of([word], option="--label")


def test_path_shown_leaves_the_organisation_out():
    assert path_shown({"file": {"path": "demo/upload/RAW/a/b.json"}}) == "upload/RAW/a/b.json"
    assert path_shown({"filePath": "b.json"}) == "b.json"


def test_size_shown_has_the_unit_that_fits():
    assert [size_shown(size) for size in (0, 1023, 1536, 5 * 1024**2, 3 * 1024**4)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "5.0 MiB",
        "3.0 TiB",
    ]
