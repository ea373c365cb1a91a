"""What surrounds a run fails: clear errors, exit 3, and nothing that was made is lost."""

from __future__ import annotations

import os
import subprocess

import pytest

STEP = {"id": "a", "function": "s/f"}


@pytest.fixture
def ready(project):
    """A project whose protocol ``p`` runs, prints, and writes a file."""
    main = "def f(i, c):\n    print('printed')\n    c.write_file('x', 'a.txt', 'PROCESSED')\n"
    project.task_script("s", main, ["f"])
    project.protocol("p", [STEP])
    project.write("in.json", "{}")
    return project


RUN = ("run", "protocols/p", "--input", "in.json")


def test_all_environments_are_made_before_the_first_step(ready):
    """A step that pushes must not run where a later one cannot."""
    ready.task_script("t", "def f(i, c): pass\n", ["f"], requirements="--no-index\nno-such==1\n")
    ready.protocol("p", [STEP, {"id": "b", "function": "t/f"}])
    result = ready.stepline(*RUN, "--out", "results")
    assert result.returncode == 2
    assert "printed" not in result.stdout
    assert "task-scripts/t/requirements.txt:2:1" in result.stderr


@pytest.mark.parametrize("stream", ["closed", "reader gone"])
def test_output_that_nobody_takes_ends_quietly(ready, stream):
    words = " ".join(ready.command(*RUN, "--out", "results"))
    command = f"{words} >&-" if stream == "closed" else f"{words} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=ready.folder,
        env=ready.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in ((0,) if stream == "closed" else (0, 141)), done.stderr
    assert "Traceback" not in done.stderr
    assert not [path for path in ready.folder.iterdir() if ".work-" in path.name]


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_results_beside_which_nothing_can_be_written_are_refused(ready):
    (ready.folder / "closed").mkdir(mode=0o500)
    result = ready.stepline(*RUN, "--out", "closed/results")
    assert result.returncode in (2, 3)
    assert "closed" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_file_in_the_place_of_the_results_parent_is_named(ready):
    ready.write("file", "x")
    result = ready.stepline(*RUN, "--out", "file/results")
    assert result.returncode in (2, 3)
    assert "file" in result.stderr
    assert "Traceback" not in result.stderr
