"""JSON text to trees, and the faults of its syntax."""

import json
import sys
import time

import pytest

from stepline.parsing.json_tree import parse_json

# Tracing for coverage makes every line slower.
LIMIT_S = 1 if sys.gettrace() is None else 10

FAULTS = {
    "comma at the end": ('{"a": 1,}', "json-syntax", 1, 8, "remove the comma"),
    "comma at a list's end": ("[1,\n]", "json-syntax", 1, 3, "remove the comma"),
    "no comma": ('{\n"a": 1\n"b": 2}', "json-syntax", 3, 1, ""),
    "two commas": ("[1,,2]", "json-syntax", 1, 4, ""),
    "no colon": ('{"a" 1}', "json-syntax", 1, 6, ""),
    "bare key": ("{a: 1}", "json-syntax", 1, 2, ""),
    "single quotes": ("{'a': 1}", "json-syntax", 1, 2, "use double quotes"),
    "comment": ("// x\n{}", "json-syntax", 1, 1, "JSON has no comments"),
    "python's true": ('{"a": True}', "json-syntax", 1, 7, "small letters"),
    "not a number": ('{"a": NaN}', "json-syntax", 1, 7, "finite"),
    "leading zero": ("[01]", "json-syntax", 1, 2, ""),
    "no fraction": ("[1.]", "json-syntax", 1, 2, ""),
    "unclosed text": ('{"a": "x', "json-syntax", 1, 7, 'close it with `"`'),
    "line break in text": ('{"a": "x\ny"}', "json-syntax", 1, 7, 'close it with `"`'),
    "tab in text": ('["\t"]', "json-syntax", 1, 3, "\\t"),
    "bad escape": ('["\\q"]', "json-syntax", 1, 3, "write \\\\ for a backslash"),
    "half a pair": ('["\\ud800"]', "json-syntax", 1, 2, ""),
    "unclosed list": ("[1", "json-syntax", 1, 3, ""),
    "something behind": ("{} x", "json-syntax", 1, 4, ""),
    "two values": ("[] []", "json-syntax", 1, 4, ""),
    "duplicate key": ('{"a": 1,\n "a": 2}', "duplicate-key", 2, 2, "line 1"),
    "huge number": ("[1e999]", "not-json", 1, 2, ""),
    "huge integer": (f"[{'9' * 5000}]", "not-json", 1, 2, ""),
    "nested a hundred thousand deep": ("[" * 100_000, "too-deep", 1, 65, ""),
    "nested objects": ('{"a":' * 100, "too-deep", 1, 321, ""),
    "too many values": ("[" + "1," * 200_000 + "1]", "too-many-values", 1, 200_000, ""),
    "nul": ('{"a": "\0"}', "not-text", 1, 8, ""),
}


@pytest.mark.parametrize(("text", "code", "line", "column", "hint"), FAULTS.values(), ids=FAULTS)
def test_parse_json_fault_has_code_and_place_at_once(text, code, line, column, hint):
    start = time.perf_counter()
    document = parse_json(text, path="c.json")
    seconds = time.perf_counter() - start
    first = document.problems[0]
    assert (first.code, first.where.line, first.where.column) == (code, line, column)
    assert hint in first.hint
    assert seconds < LIMIT_S


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [1, -2.5e3, true, false, null, "x\\n\\u00e9\\ud83d\\ude00"], "b": {}, "c": []}',
        "[]",
        '"text"',
        "-0",
        ' \t\r\n[ [ ] , { "a" : [ { } ] } ] \n',
    ],
)
def test_parse_json_valid_text_gives_what_json_gives(text):
    document = parse_json(text, path="c.json")
    assert document.problems == []
    assert document.root.plain() == json.loads(text)


def test_parse_json_nodes_know_their_place():
    root = parse_json('{\r\n  "a": [\r\n    "b"]}', path="c.json").root
    key, value = root.keys["a"], root.entries["a"]
    assert (key.line, key.column) == (2, 3)
    assert (value.line, value.column) == (2, 8)
    assert (value.items[0].line, value.items[0].column) == (3, 5)


@pytest.mark.parametrize("text", ["", " \n"])
def test_parse_json_nothing_gives_no_root_and_no_problem(text):
    document = parse_json(text, path="c.json")
    assert (document.root, document.problems) == (None, [])
