"""The reference of hooks has each of them, with all its arguments; each hook has a test."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from stepline.ports import hookspecs

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "hooks.md").read_text()
TESTS = ROOT / "tests" / "unit" / "plugins" / "test_hooks.py"
HOOKS = {
    name: hook for name, hook in vars(hookspecs).items() if hasattr(hook, f"{hookspecs.GROUP}_spec")
}


def section(name):
    return PAGE.split(f"\n### `{name}`\n")[1].split("\n#")[0]


def test_hooks_reference_has_a_heading_for_each_hook_and_no_other():
    assert sorted(re.findall(r"^### `(.+)`$", PAGE, flags=re.MULTILINE)) == sorted(HOOKS)


@pytest.mark.parametrize("name", HOOKS)
def test_hooks_reference_lists_the_arguments(name):
    listed = re.findall(r"^\| `(\w+)` \|", section(name), flags=re.MULTILINE)
    assert listed == list(inspect.signature(HOOKS[name]).parameters)


@pytest.mark.parametrize("name", HOOKS)
def test_hooks_reference_has_when_result_and_an_example(name):
    text = section(name).replace("Fires\nonce", "Fires once")
    assert "Fires once" in text
    assert "\nResult: " in text
    assert "```python\n" in text
    assert f"def {name}(" in text


@pytest.mark.parametrize("name", HOOKS)
def test_hooks_reference_says_how_results_combine(name):
    first_only = getattr(HOOKS[name], f"{hookspecs.GROUP}_spec")["firstresult"]
    providers = PAGE.split("\n## Providers\n")[1].split("\n## Observers\n")[0]
    assert (f"### `{name}`" in providers) == first_only


@pytest.mark.parametrize("name", HOOKS)
def test_hook_has_a_docstring_and_a_test_by_its_name(name):
    assert inspect.getdoc(HOOKS[name])
    functions = [node.name for node in ast.parse(TESTS.read_text()).body if hasattr(node, "name")]
    assert [each for each in functions if each.startswith(f"test_{name}_")]
