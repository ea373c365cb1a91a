"""The reference of settings has each of them, with its true default, variable and option."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import click
import pytest

from stepline.cli import stepline
from stepline.settings import Settings, read_settings

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "settings.md").read_text()
NAMES = [setting.name for setting in fields(Settings)]
COMMANDS = [stepline.get_command(click.Context(stepline), name) for name in ("run", "serve")]
OPTIONS = {option for command in COMMANDS for param in command.params for option in param.opts}


def section(name):
    return PAGE.split(f"\n### `{name}`\n")[1].split("\n#")[0]


def row(name):
    """Return type, default, variable and option of a setting's table."""
    [line] = [line for line in section(name).splitlines() if re.match(r"\| (?!type)\S", line)]
    return [cell.strip().strip("`") for cell in line.strip("|").split(" | ")]


def example(name):
    return section(name).split("```toml\n")[1].split("```")[0]


def read(text="", **environ):
    return read_settings(text, path="stepline.toml", environ=environ)


def test_settings_reference_has_a_heading_for_each_setting_and_no_other():
    assert re.findall(r"^### `(.+)`$", PAGE, flags=re.MULTILINE) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_settings_reference_default_is_true(name):
    assert read(f"{name} = {row(name)[1]}") == Settings()


@pytest.mark.parametrize("name", NAMES)
def test_settings_reference_example_sets_just_this(name):
    assert list(tomllib.loads(example(name))) == [name]
    assert getattr(read(example(name)), name)


@pytest.mark.parametrize("name", NAMES)
def test_settings_reference_variable_can_be_used_as_it_stands(name):
    variable, _, value = row(name)[2].partition("=")
    assert variable == f"STEPLINE_{name.upper()}"
    assert getattr(read(**{variable: value}), name)


@pytest.mark.parametrize("name", NAMES)
def test_settings_reference_option_is_one_of_run_or_serve(name):
    option = row(name)[3] if len(row(name)) > 3 else ""
    assert option in OPTIONS | {""}
    assert (f"--{name.replace('_', '-')}" in OPTIONS) <= bool(option)
