"""Plugins as other distributions bring them: built to a wheel, installed, found, used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.projects import Project

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "examples" / "plugin-secrets"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder for PYTHONPATH in which the example plugin's wheel is installed."""
    wheels = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(wheels), str(PLUGIN)]
    subprocess.run(command, check=True, timeout=120)
    folder = tmp_path_factory.mktemp("site")
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def stepline(tmp_path, stepline_cache):
    """Run the command line in a folder of its own."""

    def run(*words: str, python_path: object = "", **variables: str):
        environ = {**os.environ, "PYTHONPATH": str(python_path), **variables}
        environ["STEPLINE_CACHE_DIR"] = str(tmp_path / "cache")
        command = [sys.executable, "-m", "stepline", *words]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def broken_plugin(folder: Path, code: str) -> Path:
    """Write a distribution whose one plugin has this code."""
    info = folder / "broken_dist-2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-dist\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[stepline]\nobserver.broken = broken_module\n")
    (folder / "broken_module.py").write_text(code)
    return folder


def rows(result):
    return {row["name"]: row for row in json.loads(result.stdout)["plugins"]}


def test_plugins_list_shows_a_foreign_wheel_beside_built_ins(stepline, site):
    found = rows(stepline("plugins", "list", "--json", python_path=site))
    foreign = found["secrets.dotenv"]
    assert (foreign["package"], foreign["version"]) == ("stepline-secrets-dotenv", "1.0.0")
    assert foreign["hooks"] == ["stepline_secret_backend"]
    assert found["executor.process"]["package"] == "stepline"


def test_plugins_list_sees_a_package_that_was_installed_later(stepline, site):
    assert "secrets.dotenv" not in rows(stepline("plugins", "list", "--json"))
    assert "secrets.dotenv" in rows(stepline("plugins", "list", "--json", python_path=site))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module_here", "No module named 'no_such_module_here'"),
        (
            "from stepline.ports.hookspecs import hookimpl\n"
            "@hookimpl\ndef stepline_no_such_hook(): ...\n",
            "unknown hook 'stepline_no_such_hook'",
        ),
    ],
    ids=["import fails", "unknown hook"],
)
def test_plugins_list_broken_plugin_is_reported(stepline, tmp_path, code, reason):
    site = broken_plugin(tmp_path / "site", code)
    result = stepline("plugins", "list", "--json", python_path=site)
    broken = rows(result)["observer.broken"]
    assert result.returncode == 3
    assert reason in broken["error"]
    assert "plugin 'observer.broken' of package broken-dist 2.0" in broken["error"]


@pytest.fixture
def project(tmp_path, stepline_cache):
    """A project with one function that tells how long its secret is."""
    project = Project(tmp_path / "project", stepline_cache)
    project.task_script("s", "def f(i, c): return len(c.resolve_secret(i['key']))\n", ["f"])
    step = {"id": "a", "function": "s/f", "input": {"key": "$( config.key )"}}
    project.protocol("p", [step], config={"key": {"label": "Key", "type": "secret"}})
    project.write("in.json", "{}")
    return project


RUN = ("run", "protocols/p", "--input", "in.json", "--out", "results")


def test_secret_comes_from_a_foreign_backend(project, site, tmp_path):
    project.write(".env", "THE_KEY=eleven-char\n")
    words = ("--secret", "key=dotenv:THE_KEY")
    variables = {"PYTHONPATH": str(site), "STEPLINE_CACHE_DIR": str(tmp_path / "cache")}
    result = project.stepline(*RUN, *words, **variables)
    assert result.returncode == 0, result.stderr
    assert project.record()["output"] == 11
    (read,) = project.record()["steps"][0]["attempts"][0]["reads"]
    assert (read["kind"], read["version"]) == ("secret", "line 1")


def test_secret_unknown_backend_names_the_known_ones(project):
    result = project.stepline(*RUN, "--secret", "key=vault:x")
    assert result.returncode == 2
    assert "'vault'" in result.stderr
    assert "env, file, prompt" in result.stderr


def test_observer_that_is_named_in_the_settings_is_told_once(project, tmp_path):
    code = (
        "from stepline.ports.hookspecs import hookimpl\n"
        "@hookimpl\ndef stepline_workflow_finished(record):\n"
        "    open('told.txt', 'a').write(record['status'] + '\\n')\n"
        "    raise RuntimeError('observers change nothing')\n"
    )
    site = broken_plugin(tmp_path / "site", code)
    project.write("stepline.toml", 'plugins = ["observer.broken"]\n')
    variables = {"PYTHONPATH": str(site), "STEPLINE_CACHE_DIR": str(tmp_path / "cache")}
    result = project.stepline(*RUN, "--secret", "key=env:KEY", KEY="abcdef", **variables)
    assert result.returncode == 0, result.stderr
    assert (project.folder / "told.txt").read_text() == "completed\n"
    assert "observers change nothing" in result.stderr
