"""Dependency groups from lock files that the real uv and the real Poetry wrote.

Packages come from an index of the tests' own, so that what is locked is known; only Poetry
itself is fetched, once in a session.
"""

import hashlib
import http.server
import os
import subprocess
import sys
import threading
from functools import partial

import pytest
import uv

from stepline.errors import ConfigError
from stepline.plugins.images_local.groups import locked_requirements
from tests.support.wheels import make_wheel

PROJECT = """
[project]
name = "plates"
version = "0.1.0"
requires-python = ">=3.9"
dependencies = ["alpha==1.16", "older>=2; python_version < '3.11'"]

[project.optional-dependencies]
fast = ["quick"]
"""
GROUPS = """
[dependency-groups]
notebook = ["beta>=3", {include-group = "models"}]
models = ["gamma", "wheels", "folder"]
empty = []
nothing = [{include-group = "empty"}]

[tool.uv]
package = false

[tool.uv.sources]
wheels = {path = "dependencies/wheels-1.0-py3-none-any.whl"}
folder = {path = "components/folder"}
"""
POETRY_GROUPS = """
[tool.poetry]
package-mode = false

[tool.poetry.group.notebook]
include-groups = ["models"]
dependencies = {beta = ">=3"}

[tool.poetry.group.models.dependencies]
gamma = "*"
wheels = {path = "dependencies/wheels-1.0-py3-none-any.whl"}
folder = {path = "components/folder"}

[[tool.poetry.source]]
name = "local"
url = "INDEX"
priority = "primary"
"""
FOLDER = """
[project]
name = "folder"
version = "0.3"
dependencies = ["inner"]
[build-system]
requires = ["no-such-backend"]
build-backend = "no_such_backend"
"""
VERSIONS = {
    "alpha": "1.16",
    "older": "2.0",
    "quick": "1.3",
    "beta": "3.1",
    "gamma": "22.1",
    "inner": "2",
}
WANTED = {
    "main": {"alpha==1.16", "older==2.0"},
    "models": {"gamma==22.1", "inner==2", "./dependencies/wheels-1.0-py3-none-any.whl"},
    "notebook": {
        "beta==3.1",
        "gamma==22.1",
        "inner==2",
        "./dependencies/wheels-1.0-py3-none-any.whl",
    },
}


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder."""

    def log_message(self, *words):
        """Say nothing."""


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Address of a package index."""
    folder = tmp_path_factory.mktemp("index")
    for name, version in VERSIONS.items():
        wheel = make_wheel(folder / "simple" / name, name, version=version)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        link = f'<a href="{wheel.name}#sha256={digest}">{wheel.name}</a>'
        wheel.with_name("index.html").write_text(f"<!DOCTYPE html>{link}")
    serve = partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


@pytest.fixture(scope="session")
def poetry(tmp_path_factory):
    """The real Poetry."""
    home = tmp_path_factory.mktemp("poetry")
    subprocess.run([uv.find_uv_bin(), "venv", "-q", "-p", sys.executable, home], check=True)
    install = [uv.find_uv_bin(), "pip", "install", "-q", "-p", home / "bin/python", "poetry>=2.2"]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"Poetry cannot be installed: {done.stderr}")
    return home / "bin/poetry"


@pytest.fixture
def project(tmp_path):
    """Folder of a project with groups and no lock file."""
    folder = tmp_path / "project"
    folder.joinpath("components/folder").mkdir(parents=True)
    folder.joinpath("components/folder/pyproject.toml").write_text(FOLDER)
    make_wheel(folder / "dependencies", "wheels")
    folder.joinpath("pyproject.toml").write_text(PROJECT + GROUPS)
    return folder


def lock_with_uv(folder, index):
    folder.joinpath("pyproject.toml").write_text(PROJECT + GROUPS)
    command = [uv.find_uv_bin(), "lock", "-q", "--default-index", index, "--no-build"]
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), "UV_NO_CACHE": "1"}
    subprocess.run(command, cwd=folder, env=environ, check=True)


def lock_with_poetry(folder, index, poetry):
    groups = POETRY_GROUPS.replace("INDEX", index)
    folder.joinpath("pyproject.toml").write_text(PROJECT + groups)
    environ = {**os.environ, "POETRY_VIRTUALENVS_CREATE": "0", "HOME": str(folder.parent)}
    done = subprocess.run(
        [poetry, "lock", "-n"], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(params=["uv", "poetry"])
def locked(request, project, index):
    """Folder of a project that was locked."""
    if request.param == "uv":
        lock_with_uv(project, index)
    else:
        lock_with_poetry(project, index, request.getfixturevalue("poetry"))
    return project


def read(folder, *groups, runtime="3.11", components=("components/folder",)):
    path = {"PATH": os.environ["PATH"]}
    return locked_requirements(folder, groups, runtime=runtime, environ=path, components=components)


def names(text):
    lines = text.splitlines()
    return {line.split(" ")[0] for line in lines if line and not line.startswith(" ")}


@pytest.mark.slow
@pytest.mark.parametrize("groups", [("main",), ("models",), ("main", "notebook")], ids=" ".join)
def test_4_01_locked_requirements_are_exactly_those_of_the_groups(locked, groups):
    text = read(locked, *groups)
    assert names(text) == set().union(*(WANTED[group] for group in groups))
    assert text.count("--hash=sha256:") == len(names(text))
    assert ("older" in text) == ("python" in text) == ("main" in groups)


@pytest.mark.slow
def test_locked_requirements_are_installed_by_their_hashes(locked, index, tmp_path):
    text = read(locked, "main", "notebook").replace("./dep", f"{locked}/dep")
    tmp_path.joinpath("lock.txt").write_text(text)
    command = [uv.find_uv_bin(), "pip", "install", "-q", "--require-hashes", "--no-deps"]
    command += ["-r", tmp_path / "lock.txt", "--target", tmp_path / "target"]
    subprocess.run([*command, "-p", sys.executable, "--default-index", index], check=True)
    found = {path.name for path in tmp_path.joinpath("target").glob("*.py")}
    assert found == {"alpha.py", "beta.py", "gamma.py", "inner.py", "wheels.py"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("quick", "quick>=1"),
        (", \"older>=2; python_version < '3.11'\"", ""),
        ("alpha==1.16", "alpha>=1"),
        (">=3.9", ">=3.8"),
    ],
    ids=["changed", "removed", "main", "python"],
)
def test_4_03_locked_requirements_of_a_stale_lock_are_refused(locked, old, new):
    path = locked / "pyproject.toml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ConfigError, match="the lock file does not fit") as caught:
        read(locked, "models")
    tool = "uv" if str(caught.value.where) == "uv.lock" else "poetry"
    assert str(caught.value.where) == f"{tool}.lock"
    assert caught.value.hint == f"run `{tool} lock`"


@pytest.mark.slow
def test_locked_requirements_for_another_python_are_refused(locked):
    with pytest.raises(ConfigError, match=r"is for Python >=3.9, and the runtime is 3.8"):
        read(locked, "main", runtime="3.8")


@pytest.mark.slow
def test_locked_requirements_on_a_folder_name_the_component_to_add(locked):
    with pytest.raises(ConfigError, match="components/folder") as caught:
        read(locked, "models", components=())
    assert '"components": ["components/folder"]' in caught.value.hint


@pytest.mark.parametrize(("groups", "tool"), [(GROUPS, "uv"), (POETRY_GROUPS, "poetry")])
def test_4_03_locked_requirements_without_a_lock_tell_how_to_make_one(project, groups, tool):
    project.joinpath("pyproject.toml").write_text(PROJECT + groups)
    with pytest.raises(ConfigError, match="there is no lock file") as caught:
        read(project, "main")
    assert caught.value.hint == f"run `{tool} lock`"


def test_locked_requirements_with_two_locks_are_refused(project):
    for name in ("uv.lock", "poetry.lock"):
        project.joinpath(name).touch()
    with pytest.raises(ConfigError, match="there are two lock files"):
        read(project, "main")


@pytest.mark.parametrize(
    ("group", "what", "hint"),
    [
        ("noteboks", "there is no dependency group 'noteboks'", "did you mean 'notebook'?"),
        ("empty", "'empty' is empty", "not empty: main, notebook, models"),
        ("nothing", "'nothing' is empty", "not empty: main, notebook, models"),
    ],
)
def test_4_02_locked_requirements_of_an_unknown_or_empty_group_are_refused(
    project, group, what, hint
):
    with pytest.raises(ConfigError, match=what) as caught:
        read(project, "main", group)
    assert str(caught.value.where) == "config.json"
    assert hint in caught.value.hint


def test_uv_lock_for_a_python_that_is_not_here_is_read_by_itself(project, index, tmp_path):
    lock_with_uv(project, index)
    newer = {name: project / name for name in ("pyproject.toml", "uv.lock")}
    for path in newer.values():
        path.write_text(path.read_text().replace(">=3.9", ">=3.99"))
    assert names(read(project, "models", runtime="3.99")) == WANTED["models"]
    path = newer["pyproject.toml"]
    path.write_text(path.read_text().replace("gamma", "delta"))
    with pytest.raises(ConfigError, match="does not fit"):
        read(project, "models", runtime="3.99")
