"""What others may import is a list, the same in the code and on its page."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import stepline.testing
import stepline_sdk
from stepline import errors

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "api.md").read_text()
COMPAT = ROOT / "src" / "stepline_sdk" / "compat"


def section(name):
    """Return a section's table: what stands in backticks, by column."""
    text = PAGE.split(f": `{name}`")[1].split("\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return [[re.findall(r"`([^`]+)`", cell) for cell in row] for row in rows]


@pytest.mark.parametrize("module", [stepline_sdk, stepline.testing], ids=lambda m: m.__name__)
def test_public_names_are_those_of_the_page(module):
    listed = [name for names, *_ in section(module.__name__) for name in names]
    assert sorted(listed) == sorted(module.__all__)
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("module", [stepline_sdk, stepline.testing], ids=lambda m: m.__name__)
@pytest.mark.parametrize("way", ["star", "by name"])
def test_public_names_can_be_imported(module, way):
    names = "*" if way == "star" else ", ".join(module.__all__)
    code = (
        f"from {module.__name__} import {names}\nassert set({module.__all__!r}) <= set(globals())"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_public_module_has_no_other_name():
    for module in (stepline_sdk, stepline.testing):
        with pytest.raises(AttributeError, match="no_such_name"):
            module.no_such_name  # noqa: B018  (the look-up is what is tested)


def published():
    """Return the names that each stand-in for a published module offers."""
    found = {}
    for path in sorted(COMPAT.rglob("*.py")):
        parts = path.relative_to(COMPAT).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and node.targets[0].id == "__all__":
                found[name] = ast.literal_eval(node.value)
    return found


def test_published_names_are_those_of_the_page():
    listed = {module: names for [module], names in section("ts_sdk")}
    assert {module: sorted(names) for module, names in listed.items()} == published()


def test_names_for_plugins_exist():
    rows = section("stepline.ports` and `stepline.errors")
    for [module], names in rows:
        assert set(names) <= set(vars(importlib.import_module(module)))
    ours = {name for name, each in vars(errors).items() if _is_own_error(each)}
    listed = {name for [module], names in rows if module == "stepline.errors" for name in names}
    assert listed == ours | {"Location", "Problem"}


def _is_own_error(each):
    return isinstance(each, type) and issubclass(each, errors.SteplineError)
