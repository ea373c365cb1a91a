"""The wheel as users install it: built, put into a new environment, and used there."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import uv

ROOT = Path(__file__).parents[2]
FIXTURE = ROOT / "tests" / "fixtures" / "common"
SOURCES = ("pyproject.toml", "build_backend.py", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The interpreter of an environment that has our wheel, made with artifacts of tests."""
    home = tmp_path_factory.mktemp("wheel")
    sources = home / "sources"
    shutil.copytree(ROOT / "src", sources / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(FIXTURE, sources, dirs_exist_ok=True)
    for name in SOURCES:
        shutil.copy(ROOT / name, sources)
    stray = sources / "task-scripts/push-note/__pycache__/main.cpython-311.pyc"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"\0")
    words = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run([sys.executable, *words, "--wheel-dir", home, sources])
    (wheel,) = home.glob("*.whl")
    run([uv.find_uv_bin(), "venv", "--quiet", "--python", sys.executable, home / "venv"])
    python = home / "venv/bin/python"
    words = ["pip", "install", "--quiet", "--offline", "--no-deps", "--python", python, wheel]
    run([uv.find_uv_bin(), *words])
    # What it depends on is that of the tests; theirs of Stepline itself is not on such a path.
    site = run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip()
    Path(site, "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return python


def run(words, **options):
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environ |= options.pop("environ", {})
    done = subprocess.run(
        [str(word) for word in words],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_wheel_installed_lists_and_runs_what_travels(python, tmp_path, stepline_cache):
    environ = {"STEPLINE_CACHE_DIR": str(stepline_cache)}
    stepline = python.with_name("stepline")
    listed = json.loads(run([stepline, "common", "list", "--json"], cwd=tmp_path, environ=environ))
    assert [(each["type"], each["slug"]) for each in listed] == [
        ("task-script", "push-note"),
        ("protocol", "push-note"),
    ]
    assert all(Path(each["folder"]).is_relative_to(python.parents[1]) for each in listed)
    (tmp_path / "a.txt").write_text("hello")
    words = [stepline, "run", "common/push-note", "--input", "a.txt", "--out", "results"]
    assert 'output: {"note": "Ada: hello"}' in run(words, cwd=tmp_path, environ=environ)


def test_wheel_holds_no_compiled_file(python):
    (wheel,) = python.parents[2].glob("*.whl")
    names = run([sys.executable, "-m", "zipfile", "-l", wheel])
    assert "stepline/common/task-scripts/push-note/main.py" in names
    assert "stepline/common/protocols/push-note/protocol.yml" in names
    assert ".pyc" not in names
