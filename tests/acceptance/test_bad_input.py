"""Bad input gets a clear error with its place, and leaves nothing half-made behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile

import pytest

FUNCTION = "def f(i, c): return 1\n"
STEP = {"id": "a", "function": "s/f"}


@pytest.fixture
def ready(project):
    """A project whose protocol ``p`` runs."""
    project.task_script("s", FUNCTION, ["f"])
    project.protocol("p", [STEP])
    project.write("in.json", "{}")
    return project


def run(project, *words, data="in.json", **variables):
    return project.stepline(
        *("run", "protocols/p", "--input", data, "--out", "results", *words), **variables
    )


def test_ready_project_runs(ready):
    assert run(ready).returncode == 0


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("protocolSchema: v3\nsteps: [\n", "protocol.yml:3:1", ""),
        ("protocolSchema: v3\nsteps:\n\t- id: a\n", "protocol.yml:3:1", "tab"),
        ("protocolSchema: v3\nsteps: []\nsteps: []\n", "protocol.yml:3:1", "steps"),
        ("protocolSchema: v3\nsteps: " + "[" * 101 + "]" * 101, "protocol.yml:2:", "deep"),
    ],
    ids=["broken YAML", "tab", "duplicate key", "deep nesting"],
)
def test_broken_protocol_is_refused_with_its_position(ready, text, place, words):
    ready.write("protocols/p/protocol.yml", text)
    result = run(ready)
    assert result.returncode == 2
    assert place in result.stderr
    assert words in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("text", "place"),
    [("{\n  'a': 1}", "config.json:2:3"), ('{"language": "python",\n"language": 1}', ":2:1")],
    ids=["not JSON", "duplicate key"],
)
def test_broken_config_json_is_refused_with_its_position(ready, text, place):
    ready.write("task-scripts/s/config.json", text)
    result = run(ready)
    assert result.returncode == 2
    assert place in result.stderr


BOMB = "protocolSchema: v3\nsteps: []\nconstants:\n  a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"  {name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize("kind", ["50 MB", "alias bomb"])
def test_huge_protocol_is_refused_within_1_s_and_200_mb(ready, kind):
    text = BOMB if kind == "alias bomb" else "# " + "x" * 50_000_000
    ready.write("protocols/p/protocol.yml", text)
    code = (
        "import os, resource, subprocess, sys, time\n"
        "began = time.monotonic()\n"
        "done = subprocess.run(sys.argv[1:], stderr=subprocess.PIPE, text=True)\n"
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n"
        "print(done.returncode, time.monotonic() - began, peak // 1024)\n"
        "print(done.stderr)\n"
    )
    words = ready.command("run", "protocols/p", "--input", "in.json")
    answer = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=ready.folder,
        env=ready.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    exit_code, _, peak_mib = answer.split("\n")[0].split()
    assert exit_code == "2"
    assert "protocol.yml" in answer
    assert int(peak_mib) < 200


@pytest.mark.parametrize(
    ("words", "named", "nearest"),
    [
        (["--config", "speeed=1"], "'speeed'", "'speed'"),
        (["--config", "speed=fast"], "config 'speed' (Speed) must be of type number", ""),
        (["--config", "speed"], "--config speed has no '='", ""),
        (["--secret", "key=hunter2-plain"], "plain word", "env:"),
        (["--config", "key=x"], "config 'key' (Key) is a secret", "--secret key="),
        ([], "config 'speed' (Speed) is required", "--config speed="),
    ],
    ids=["unknown key", "wrong type", "no value", "plain secret", "secret as value", "missing"],
)
def test_wrong_values_are_refused_before_the_first_step(ready, words, named, nearest):
    config = {
        "speed": {"label": "Speed", "type": "number", "required": True},
        "key": {"label": "Key", "type": "secret"},
    }
    ready.protocol("p", [STEP], config=config)
    result = run(ready, *words)
    assert result.returncode == 2
    assert named in result.stderr
    assert nearest in result.stderr
    assert "[1/1]" not in result.stdout


def test_all_wrong_values_are_named_at_once(ready):
    config = {
        "speed": {"label": "Speed", "type": "number", "required": True},
        "user": {"label": "User", "type": "string", "required": True},
        "key": {"label": "Key", "type": "secret", "required": True},
    }
    ready.protocol("p", [STEP], config=config)
    result = run(ready, "--config", "speed=fast", "--config", "usr=me")
    assert result.returncode == 2
    for words in ("must be of type number", "no config key 'usr'", "(User)", "(Key)"):
        assert words in result.stderr
    assert "config 'speed' (Speed) is required" not in result.stderr


def test_unknown_step_is_refused_with_the_nearest(ready):
    ready.protocol("p", [STEP, {"id": "b", "function": "s/f", "if": "$( steps.aa.isSuccess )"}])
    result = run(ready)
    assert result.returncode == 2
    assert "aa" in result.stderr
    assert "hint" in result.stderr


def test_unknown_task_script_is_refused_with_those_that_exist(ready):
    ready.protocol("p", [{"id": "a", "function": "ss/f"}])
    result = run(ready)
    assert result.returncode == 2
    assert "task script `ss`" in result.stderr
    assert "did you mean 's'?" in result.stderr


def test_version_range_without_a_match_names_what_exists(ready):
    step = {
        "id": "a",
        "task": {"namespace": "private-demo", "slug": "s", "version": "^2.0.0", "function": "f"},
    }
    ready.write("protocols/p/protocol.yml", json.dumps({"protocolSchema": "v3", "steps": [step]}))
    result = run(ready)
    assert result.returncode == 2
    assert "^2.0.0" in result.stderr
    assert "v1.0.0" in result.stderr


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "there is no file"),
        ("empty", "is empty"),
        ("folder", "is a folder"),
        pytest.param(
            "unreadable",
            "may not be read",
            marks=pytest.mark.skipif(os.getuid() == 0, reason="root may read everything"),
        ),
    ],
)
def test_unusable_input_file_is_refused(ready, kind, words):
    path = ready.folder / "bad-input"
    if kind == "folder":
        path.mkdir()
    elif kind != "missing":
        path.write_text("" if kind == "empty" else "x")
        path.chmod(0o000 if kind == "unreadable" else 0o644)
    result = run(ready, data="bad-input")
    assert result.returncode == 2
    assert words in result.stderr
    assert "bad-input" in result.stderr


def test_input_of_5_gb_is_streamed(ready):
    """The file is sparse: what counts is that nobody holds it in memory."""
    ready.task_script("s", "def f(i, c): return c.input_file['fileId'] != ''\n", ["f"])
    with (ready.folder / "big").open("wb") as file:
        file.truncate(5 << 30)
    result = run(ready, data="big")
    assert result.returncode == 0, result.stderr
    assert ready.record()["output"] is True


def test_dependency_that_cannot_be_installed_names_its_line(ready):
    requirements = "# what we need\n--no-index\nno-such-package-for-stepline==9.9\n"
    ready.task_script("s", FUNCTION, ["f"], requirements=requirements)
    failed = run(ready)
    assert failed.returncode == 2
    assert "requirements.txt:3:1" in failed.stderr
    assert "no-such-package-for-stepline" in failed.stderr
    ready.task_script("s", FUNCTION, ["f"])
    assert run(ready).returncode == 0


def wheel(folder):
    """Write a small pure-Python wheel by hand."""
    path = folder / "tiny_helper-1.0-py3-none-any.whl"
    info = "tiny_helper-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_helper.py", "VALUE = 42\n")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-helper\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


def test_two_runs_at_once_share_one_new_environment(ready):
    main = "import tiny_helper\ndef f(i, c): return tiny_helper.VALUE\n"
    script = ready.task_script("s", main, ["f"], requirements="file:dependencies/" + NAME)
    (script / "dependencies").mkdir()
    wheel(script / "dependencies")
    words = ("run", "protocols/p", "--input", "in.json", "--out")
    running = [ready.start(*words, f"results-{n}") for n in range(2)]
    ended = [(process.communicate(timeout=120), process.returncode) for process in running]
    assert [code for _, code in ended] == [0, 0], ended
    assert [ready.record(f"results-{n}")["output"] for n in range(2)] == [42, 42]


NAME = "tiny_helper-1.0-py3-none-any.whl"


@pytest.mark.parametrize("allowed", [False, True], ids=["refused", "allowed"])
def test_hook_runs_only_if_it_is_allowed(ready, allowed):
    main = "def f(i, c): return open('func/made-by-hook').read()\n"
    ready.task_script("s", main, ["f"])
    ready.write("task-scripts/s/init/before_install", "command -v python > made-by-hook\n")
    result = run(ready, *(["--allow-before-install"] if allowed else []))
    if not allowed:
        assert result.returncode == 2
        assert "init/before_install" in result.stderr
        assert "--allow-before-install" in result.stderr
        return
    assert result.returncode == 0, result.stderr
    assert "/venv/bin/python" in ready.record()["output"]
    assert not (ready.folder / "task-scripts/s/made-by-hook").exists()


def test_results_folder_with_other_files_is_left_alone(ready):
    precious = ready.write("results/thesis.docx", "years of work")
    result = run(ready)
    assert result.returncode == 2
    assert "thesis.docx" in result.stderr
    assert precious.read_text() == "years of work"


def test_unknown_option_and_command_exit_with_2(ready):
    assert ready.stepline("run", "--no-such-option").returncode == 2
    result = ready.stepline("rum")
    assert result.returncode == 2
    assert "rum" in result.stderr
