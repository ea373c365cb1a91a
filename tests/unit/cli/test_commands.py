"""A command that does not exist is refused with the nearest one, in the form of all errors."""

import subprocess
import sys

import pytest

from stepline.cli import main


@pytest.fixture
def refused(monkeypatch, capsys):
    """Run a command that must be refused; returns its standard error."""

    def refused(*words):
        monkeypatch.setattr(sys, "argv", ["stepline", *words])
        assert main() == 2
        return capsys.readouterr().err

    return refused


@pytest.mark.parametrize(
    ("words", "what", "hint"),
    [
        (("pipelin",), "stepline pipelin", "did you mean 'stepline pipeline'?"),
        (("workflow", "lst"), "stepline workflow lst", "did you mean 'stepline workflow list'?"),
        (("files", "shwo", "x"), "stepline files shwo", "did you mean 'stepline files show'?"),
        (("frobnicate",), "stepline frobnicate", "stepline --help shows the commands"),
        (
            ("setting", "frobnicate", "--json"),
            "stepline setting frobnicate",
            "stepline setting --help shows the commands",
        ),
    ],
    ids=["command", "subcommand", "with an argument", "no command near", "no subcommand near"],
)
def test_main_unknown_command_is_refused_with_the_nearest(refused, words, what, hint):
    assert refused(*words) == f"error: there is no command '{what}'\n  hint: {hint}\n"


def test_main_unknown_option_of_a_group_is_no_unknown_command(refused):
    assert "No such option" in refused("workflow", "--lst")


def test_main_known_command_never_imports_what_finds_the_nearest():
    code = (
        "import sys; from stepline.cli import main; sys.argv = ['stepline', 'schema', 'protocol'];"
        "main(); sys.exit('difflib' in sys.modules or 'stepline.expressions' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=30)
    assert done.returncode == 0
