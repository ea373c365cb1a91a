"""The place of a character inside a scalar, for every style of writing one."""

import pytest

from stepline.parsing.json_tree import parse_json
from stepline.parsing.yaml_tree import parse_yaml

PLACES = {
    "plain": ("k: $( a.FAULT )", 1, 9),
    "plain below": ("k:\n  - $( a.FAULT )", 2, 10),
    "plain on two lines": ("k: $( a\n   .FAULT )", 2, 5),
    "single quotes": ("k: '$( a.FAULT )'", 1, 10),
    "single quotes with a quote": ("k: '$( a[''b''].FAULT )'", 1, 17),
    "double quotes": ('k: "$( a.FAULT )"', 1, 10),
    "double quotes with escapes": ('k: "\\t$( \\"b\\\\\\x41\\u00e9\\" FAULT )"', 1, 28),
    "double quotes on two lines": ('k: "$( a\n    .FAULT )"', 2, 6),
    "double quotes with a continuation": ('k: "$( a\\\n  .FAULT )"', 2, 4),
    "literal block": ("k: |\n  $( a\n    .FAULT )\n", 3, 6),
    "literal block with a comment": ("k: | # why\n  $( FAULT )", 2, 6),
    "literal block with indent": ("k: |2\n    $( FAULT )", 2, 8),
    "folded block": ("k: >-\n  $(\n  a.FAULT\n  )\n", 3, 5),
    "wide letters before": ("k: $( '日本' FAULT )", 1, 12),
    "carriage returns": ("k: >-\r\n  $(\r\n  a.FAULT )\r\n", 3, 5),
    "flow": ("k: {a: [x, $( FAULT )]}", 1, 15),
}


@pytest.mark.parametrize(("text", "line", "column"), PLACES.values(), ids=PLACES)
def test_place_in_yaml_scalar_is_that_of_the_source(text, line, column):
    document = parse_yaml(text, path="p.yml")
    node = next(node for node in scalars(document.root) if "FAULT" in str(node.value))
    where = document.place_in(node, node.value.index("FAULT"))
    assert (where.line, where.column) == (line, column)


def test_place_in_json_text_is_that_of_the_source():
    document = parse_json('{"k":\n "\\"\\u00e9\\n FAULT"}', path="c.json")
    node = document.root.entries["k"]
    where = document.place_in(node, node.value.index("FAULT"))
    assert (where.line, where.column) == (2, 14)


def test_place_in_scalar_past_its_end_is_where_it_starts():
    document = parse_yaml("k: abc", path="p.yml")
    where = document.place_in(document.root.entries["k"], 99)
    assert (where.line, where.column) == (1, 4)


def scalars(node):
    inner = getattr(node, "items", None) or list(getattr(node, "entries", {}).values())
    return [found for child in inner for found in scalars(child)] if inner else [node]
