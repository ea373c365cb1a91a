"""What a person at a terminal sees and is asked."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import termios

import pytest

from tests.support.projects import Project
from tests.support.terminal import run_on_terminal

MAIN = """
import time
def slow(i, c):
    print("half of it")
    time.sleep(0.5)
    return 1
def bad(i, c):
    c.get_logger().info("about to fail")
    raise ValueError("no such plate")
def length(i, c):
    first, second = c.resolve_secret(i["key"]), c.resolve_secret(i["key"])
    print("the key is " + first)
    return len(first) + len(second)
"""
RUN = ("run", "protocols/p", "--input", "in.json", "--out", "results")


@pytest.fixture
def project(tmp_path, stepline_cache):
    """A project whose task script has all these functions."""
    project = Project(tmp_path / "project", stepline_cache)
    project.task_script("s", MAIN, ["slow", "bad", "length"])
    project.write("in.json", "{}")
    return project


def shown(project, *words, answers=()):
    command = project.command(*RUN, *words)
    return run_on_terminal(command, cwd=project.folder, environ=project.environ, answers=answers)


def test_run_on_a_terminal_draws_a_line_per_step_that_changes_in_place(project):
    steps = [{"id": "first", "function": "s/slow"}, {"id": "second", "function": "s/slow"}]
    project.protocol("p", steps)
    result = shown(project)
    assert result.code == 0, result.text
    assert "first | half of it" in result.text
    assert "✓ first" in result.text
    assert "· second" in result.text
    assert "✓ second" in result.text
    assert result.raw.count("\x1b[1A") >= 2
    assert "\x1b[?25h" in result.raw.rpartition("\x1b[?25l")[2]
    assert result.text.rstrip().endswith("output: 1")


def test_run_on_a_terminal_shows_why_a_step_failed(project):
    project.protocol("p", [{"id": "first", "function": "s/bad"}])
    result = shown(project)
    assert result.code == 1
    assert "first | INFO about to fail" in result.text
    assert "✗ first  no such plate" in result.text
    assert 'raise ValueError("no such plate")' in result.text
    assert "failed: no such plate" in result.text


@pytest.mark.parametrize("words", [(), ("--json",)], ids=["drawn", "json"])
def test_run_asks_for_a_secret_once_and_shows_it_nowhere(project, words):
    project.protocol(
        "p",
        [{"id": "first", "function": "s/length", "input": {"key": "$( config.key )"}}],
        config={"key": {"label": "Key", "type": "secret", "required": True}},
    )
    answers = [("key: ", "typed-secret"), ("key: key: ", "asked-again")]
    result = shown(project, "--secret", "key=prompt", *words, answers=answers)
    assert result.code == 0, result.text
    assert result.text.count("key: ") == 1
    assert "typed-secret" not in result.raw
    assert "the key is ***" in result.text
    assert project.record()["output"] == 24
    drawing = result.raw.find("\x1b[?25l")
    assert drawing == -1 or result.raw.index("key: ") < drawing


def test_run_on_a_terminal_that_is_closed_ends_as_by_sighup(project):
    """The drawing cannot be taken back there; that must not change the end."""
    project.protocol("p", [{"id": "first", "function": "s/slow"}])
    project.task_script("s", "import time\ndef slow(i, c): time.sleep(60)\n", ["slow"])
    master, slave = pty.openpty()
    process = subprocess.Popen(
        project.command(*RUN),
        cwd=project.folder,
        env=project.environ,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  (no threads)
    )
    os.close(slave)
    seen = b""
    while b"first" not in seen:
        seen += os.read(master, 4096)
    os.close(master)
    assert process.wait(timeout=30) == 129
    assert not [path for path in project.folder.iterdir() if ".work-" in path.name]
    assert not (project.folder / "results").exists()
