"""The reference of the command line names every command and option, and no other."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from stepline.cli import stepline

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "cli.md").read_text()


def commands(group=stepline, prefix="stepline"):
    """Return every command that does something, by its words."""
    context = click.Context(group)
    found = {}
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        words = f"{prefix} {name}"
        inner = isinstance(command, click.Group)
        found.update(commands(command, words) if inner else {words: command})
    return found


COMMANDS = commands()
EVERYWHERE = {"--help", "--version"}


def sections(text, level):
    """Return the text below each heading of one level, by heading."""
    parts = re.split(rf"^{'#' * level} (.+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def first_columns(text):
    """Return what stands in backticks in the first column of the tables of a text."""
    rows = [
        re.split(r"(?<!\\) \| ", line)[0] for line in text.splitlines() if line.startswith("| ")
    ]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def options_of(command):
    options = [param for param in command.params if isinstance(param, click.Option)]
    return {option.opts[0] for option in options}


def test_cli_reference_has_a_heading_for_each_command_and_no_other():
    headings = [heading.strip("`") for heading in sections(PAGE, 2) if "`stepline" in heading]
    assert sorted(headings) == sorted(COMMANDS)


@pytest.mark.parametrize("words", COMMANDS)
def test_cli_reference_lists_each_option_of_a_command_and_no_other(words):
    text = sections(PAGE, 2)[f"`{words}`"].split("\n### ")[0]
    listed = {name.split(" ")[0] for name in first_columns(text)}
    assert listed == options_of(COMMANDS[words])


@pytest.mark.parametrize("words", COMMANDS)
def test_cli_reference_names_each_argument_of_a_command(words):
    text = sections(PAGE, 2)[f"`{words}`"]
    for param in COMMANDS[words].params:
        if isinstance(param, click.Argument):
            name = (param.metavar or param.name or "").upper()
            assert re.search(rf"`{words} [^`]*\b{name}\b", text), name


def test_cli_reference_names_no_option_that_there_is_not():
    known = EVERYWHERE.union(*map(options_of, COMMANDS.values()))
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGE)) <= known
    assert set(first_columns(sections(PAGE, 2)["`stepline run`"])) >= {"--retry"}


@pytest.mark.parametrize("choices", ["isolation", "kind"])
def test_cli_reference_names_the_choices_of_options(choices):
    params = [param for command in COMMANDS.values() for param in command.params]
    [first, *_] = [param for param in params if param.name == choices]
    for choice in first.type.choices:
        assert choice in PAGE


@pytest.fixture(scope="module")
def results(tmp_path_factory, stepline_cache):
    """The results of the hello example."""
    out = tmp_path_factory.mktemp("cli") / "results"
    words = ["run", "protocols/hello", "--input", "data/visitor.json", "--out", str(out)]
    subprocess.run(
        [sys.executable, "-m", "stepline", *words],
        cwd=ROOT / "examples" / "hello",
        env={**os.environ, "STEPLINE_CACHE_DIR": str(stepline_cache)},
        check=True,
        capture_output=True,
        timeout=120,
    )
    return out


def tables(heading):
    """Return the keys that each table below a heading lists."""
    text = sections(PAGE, 3)[heading].split("\n## ")[0]
    parts = re.split(r"^\| key.*\n", text, flags=re.MULTILINE)[1:]
    return [first_columns(part.split("\n\n")[0]) for part in parts]


def test_cli_reference_names_each_key_of_files_json(results):
    [keys] = tables("`files.json`")
    [entry] = json.loads((results / "files.json").read_text())
    assert sorted(keys) == sorted(entry)


def test_cli_reference_names_each_key_of_workflow_json(results):
    record = json.loads((results / "workflow.json").read_text())
    [step] = record["steps"]
    [attempt] = step["attempts"]
    found = [sorted(keys) for keys in tables("`workflow.json`")]
    assert found == [sorted(each) for each in (record, step, attempt)]
