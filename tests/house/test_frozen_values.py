"""Frozen values are made by `stepline.frozen`, which costs a command a tenth of the time."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The standard library's own: what is ordered or has slots, which ours leaves to it.
LEFT_TO_THE_STANDARD = {"order", "slots"}
MODULES = [path for path in sorted((ROOT / "src/stepline").rglob("*.py")) if path.stem != "frozen"]


def standard_frozen(tree):
    """Yield classes that the standard decorator freezes without need."""
    for node in ast.walk(tree):
        for decorator in getattr(node, "decorator_list", []):
            if isinstance(decorator, ast.Call) and name_of(decorator.func) == "dataclass":
                given = {keyword.arg for keyword in decorator.keywords if is_true(keyword.value)}
                if "frozen" in given and not given & LEFT_TO_THE_STANDARD:
                    yield f"{node.lineno}: {node.name}"


def name_of(function):
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def is_true(node):
    return isinstance(node, ast.Constant) and node.value is True


def test_frozen_values_are_made_by_stepline_frozen():
    found = {path: list(standard_frozen(ast.parse(path.read_text()))) for path in MODULES}
    assert {str(path): names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("@dataclass(frozen=True)\nclass A: ...", ["2: A"]),
        ("@dataclasses.dataclass(frozen=True, kw_only=True)\nclass A: ...", ["2: A"]),
        ("@dataclass(frozen=True, order=False)\nclass A: ...", ["2: A"]),
        ("@dataclass(frozen=True, order=True)\nclass A: ...", []),
        ("@dataclass\nclass A: ...", []),
        ("@dataclass(frozen=False)\nclass A: ...", []),
        ("@frozen\nclass A: ...", []),
    ],
)
def test_standard_frozen_finds_what_ours_could_make(source, found):
    assert list(standard_frozen(ast.parse(source))) == found
