"""Completion in the shell, as docs/how-to/shell-completion.md says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stepline.cli import COMMANDS

BIN = Path(sys.executable).parent


def stepline(**variables):
    """Run the command as a shell does for completion, without arguments."""
    return subprocess.run(
        [BIN / "stepline"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def completed(words):
    """What completes the last of the words."""
    answer = stepline(
        _STEPLINE_COMPLETE="bash_complete",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split(" ")) - 1),
    )
    return [line.partition(",")[2] for line in answer.splitlines()]


def test_completion_of_nothing_lists_all_commands():
    assert sorted(completed("stepline ")) == sorted(COMMANDS)


@pytest.mark.parametrize(
    ("words", "candidates"),
    [
        ("stepline va", ["validate"]),
        ("stepline plugins ", ["list"]),
        ("stepline run --ta", ["--task-scripts"]),
        ("stepline init --f", ["--force"]),
        ("stepline schema m", ["manifest"]),
        ("stepline run --isolation re", ["reuse"]),
    ],
)
def test_completion_of_a_part_gives_what_it_may_become(words, candidates):
    assert completed(words) == candidates


def test_completion_loads_in_bash():
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("this machine has no bash")
    script = 'eval "$(_STEPLINE_COMPLETE=bash_source stepline)" && complete -p stepline'
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    done = subprocess.run(
        [bash, "-c", script],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.split()[-1]) == (0, "stepline"), done.stderr
