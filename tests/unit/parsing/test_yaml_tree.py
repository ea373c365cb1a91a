"""YAML text to trees, and the faults of its syntax."""

import sys
import time

import pytest

from stepline.parsing.yaml_tree import parse_yaml

LAUGHS = "a0: &a0 [lol, lol]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)

# Tracing for coverage makes every line slower.
LIMIT_S = 1 if sys.gettrace() is None else 10

FAULTS = {
    "tab": ("a:\n\t- b\n", "yaml-tab", 2, 1),
    "tab after spaces": ("a:\n  b: 1\n \t c: 2\n", "yaml-tab", 3, 2),
    "colon in a value": ("a: b: c\n", "yaml-syntax", 1, 5),
    "unclosed bracket": ("a: [1,\n", "yaml-syntax", 2, 1),
    "unclosed quotes": ("a: 'x\n", "yaml-syntax", 2, 1),
    "bad escape": ('a: "\\q"', "yaml-syntax", 1, 5),
    "reserved start": ("a: @x", "yaml-syntax", 1, 4),
    "control character": ("a: b\nc: \x01", "yaml-syntax", 2, 4),
    "duplicate key": ("a: 1\nb: 2\na: 3\n", "duplicate-key", 3, 1),
    "duplicate key below": ("a: {b: 1, 'b': 2}", "duplicate-key", 1, 11),
    "duplicate number key": ("1: a\n'1': b", "duplicate-key", 2, 1),
    "unknown tag": ("a: !foo b", "unknown-tag", 1, 4),
    "tag of a mapping": ("a: !foo {b: 1}", "unknown-tag", 1, 4),
    "python tag": ("a: !!python/object:os.system {}", "unknown-tag", 1, 4),
    "unfitting tag": ("a: !!int x", "invalid-tag", 1, 4),
    "key that is a list": ("? [a]\n: b", "invalid-key", 1, 3),
    "unknown alias": ("a: 1\nb: *x", "unknown-alias", 2, 4),
    "recursive alias": ("a: &x {b: *x}", "recursive-alias", 1, 11),
    "comment behind quotes": ("a: 1\nb: 'c'#d", "yaml-syntax", 2, 7),
    "comment behind a bracket": ("a: [\n1]#d", "yaml-syntax", 2, 3),
    "comment behind a block's sign": ("a: |-#d\n  b", "yaml-syntax", 1, 6),
    "fault behind old line ends": ("a: \x85\u2028\u2029\nb: !x c", "unknown-tag", 2, 4),
    "two documents": ("a: 1\n---\nb: 1", "several-documents", 2, 1),
    "infinity": ("a: .inf", "not-json", 1, 4),
    "huge number": ("a: 1e999", "not-json", 1, 4),
    "huge integer": (f"a: {'9' * 5000}", "not-json", 1, 4),
    "huge hexadecimal": (f"a: 0x{'F' * 50}", "not-json", 1, 4),
    "nested a hundred deep": ("a: " + "[" * 100 + "]" * 100, "too-deep", 1, 67),
    "nested a hundred thousand deep": ("[" * 100_000, "too-deep", 1, 65),
    "nested by indent": ("\n".join("  " * i + "a:" for i in range(100)), "too-deep", 65, 129),
    "alias bomb": (LAUGHS, "too-many-aliases", 7, 10),
    "too many values": ("[" + "1," * 200_000 + "]", "too-many-values", 1, 200_000),
    "nul": ("a: \0", "not-text", 1, 4),
    "surrogate": ("a: \ud800", "not-text", 1, 4),
}


@pytest.mark.parametrize(("text", "code", "line", "column"), FAULTS.values(), ids=FAULTS)
def test_parse_yaml_fault_has_code_and_place_at_once(text, code, line, column):
    start = time.perf_counter()
    document = parse_yaml(text, path="p.yml")
    seconds = time.perf_counter() - start
    first = document.problems[0]
    where = first.where
    assert (first.code, where.path, where.line, where.column) == (code, "p.yml", line, column)
    assert seconds < LIMIT_S


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("Off", "Off"),
        ("TRUE", True),
        ("false", False),
        ("~", None),
        ("Null", None),
        ("''", ""),
        ("014", 14),
        ("0o17", 15),
        ("0x1F", 31),
        ("-5", -5),
        ("1_000", "1_000"),
        ("1.50", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("2020-01-01", "2020-01-01"),
        ("12:30", "12:30"),
        ("'5'", "5"),
        ("! 5", "5"),
        ("!!str 5", "5"),
        ("!!int '5'", 5),
        ("!!float 3", 3.0),
        ("!!null ''", None),
        ("!!seq [1]", [1]),
        ("!!map {a: 1}", {"a": 1}),
        ('"a\\tb"', "a\tb"),
        (
            "{1: a, true: b, 1.5: c, ~: d, 2.0: e}",
            {"1": "a", "true": "b", "1.5": "c", "": "d", "2": "e"},
        ),
        ("[&x {a: 1}, *x]", [{"a": 1}, {"a": 1}]),
        ("{<<: {a: 1}}", {"<<": {"a": 1}}),
        ("a\r\n  b", "a b"),
        ("a\x85b\u2028c:\u2029d", "a\x85b\u2028c:\u2029d"),
        ("{a\x85: [\ue000\u2028]}", {"a\x85": ["\ue000\u2028"]}),
        ("|- # why\n  a#b", "a#b"),
        ("'a' #b", "a"),
    ],
    ids=repr,
)
def test_parse_yaml_value_follows_the_core_schema(text, value):
    document = parse_yaml(f"k: {text}\n", path="p.yml")
    assert document.problems == []
    found = document.root.plain()["k"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["", "# only\n", "\n\n"])
def test_parse_yaml_nothing_gives_no_root_and_no_problem(text):
    document = parse_yaml(text, path="p.yml")
    assert (document.root, document.problems) == (None, [])


def test_parse_yaml_aliases_share_their_value():
    root = parse_yaml("a: &x [1]\nb: *x\n", path="p.yml").root.plain()
    assert root["a"] is root["b"]


def test_parse_yaml_nodes_know_their_place():
    root = parse_yaml("a:\r\n  - b: 'c'\r\n", path="p.yml").root
    item = root.entries["a"].items[0]
    key, value = item.keys["b"], item.entries["b"]
    assert (item.line, item.column) == (2, 5)
    assert (key.line, key.column, value.line, value.column) == (2, 5, 2, 8)


def test_parse_yaml_many_duplicates_are_not_all_kept():
    document = parse_yaml("a: 1\n" * 5000, path="p.yml")
    assert len(document.problems) == 200


@pytest.mark.parametrize("name", ["tab", "duplicate key", "recursive alias", "too deep"])
def test_parse_yaml_without_libyaml_finds_the_same(name, monkeypatch):
    text, code, *_ = {**FAULTS, "too deep": FAULTS["nested a hundred deep"]}[name]
    monkeypatch.setattr("stepline.parsing.yaml_tree._Parser", None)
    document = parse_yaml(text, path="p.yml")
    assert [problem.code for problem in document.problems] == [code]


def test_parse_yaml_without_libyaml_gives_the_same_values(monkeypatch):
    text = "a: &x [1, 'b', \"c\\n\", !!str 5]\nd: {e: *x}\nf: |\n  g\n"
    expected = parse_yaml(text, path="p.yml").root.plain()
    monkeypatch.setattr("stepline.parsing.yaml_tree._Parser", None)
    assert parse_yaml(text, path="p.yml").root.plain() == expected
