"""What travels with Stepline fits together: protocols give functions only what these read."""

import ast
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
PROTOCOLS = sorted((ROOT / "protocols").glob("*/protocol.yml"))
STEPS = [
    pytest.param(step, id=f"{path.parent.name}-{step.get('id', index)}")
    for path in PROTOCOLS
    for index, step in enumerate(yaml.safe_load(path.read_text())["steps"])
]


def texts_of(folder):
    """Return every text that stands in the modules of a task script, and what `Given` knows."""
    trees = [ast.parse(path.read_text()) for path in folder.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    known = {"files", "note", "dry_run", "force"}
    return {*known, *(node.value for node in nodes if isinstance(node.value, str))}


@pytest.mark.parametrize("step", STEPS)
def test_step_gives_its_function_only_what_the_script_reads(step):
    assert step["task"]["namespace"] == "common"
    known = texts_of(ROOT / "task-scripts" / step["task"]["slug"])
    assert sorted(set(step["input"]) - known) == []


@pytest.mark.parametrize("path", PROTOCOLS, ids=lambda path: path.parent.name)
def test_protocol_uses_each_of_its_config_items(path):
    protocol = yaml.safe_load(path.read_text())
    text = str(protocol["steps"])
    unused = [name for name in protocol["config"] if f"config.{name} " not in text]
    unused = [name for name in unused if f"config.{name})" not in text]
    assert unused == []
