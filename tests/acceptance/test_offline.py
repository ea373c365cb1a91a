"""Without a package index: what is made is enough, and what is missing is said."""

from __future__ import annotations

import pytest

RUN = ("run", "protocols/p", "--input", "in.json", "--out", "results")


@pytest.fixture
def ready(project):
    """A project without requirements."""
    project.task_script("s", "def f(i, c): return 1\n", ["f"])
    project.protocol("p", [{"id": "a", "function": "s/f"}])
    project.write("in.json", "{}")
    return project


def test_new_environment_without_an_index_is_a_failure_of_the_platform(ready, tmp_path):
    caches = {"UV_CACHE_DIR": str(tmp_path / "uv"), "STEPLINE_CACHE_DIR": str(tmp_path / "cache")}
    result = ready.stepline(*RUN, UV_OFFLINE="1", **caches)
    assert result.returncode == 3
    assert "Traceback" not in result.stderr
    assert "cannot be made" in result.stderr
    assert "PIP_INDEX_URL" in result.stderr
    assert [path for path in (tmp_path / "cache" / "environments").iterdir() if path.is_dir()] == []
    assert not (ready.folder / "results").exists()


def test_environment_that_is_made_needs_no_index(ready, tmp_path):
    assert ready.stepline(*RUN).returncode == 0
    result = ready.stepline(*RUN, UV_OFFLINE="1", UV_CACHE_DIR=str(tmp_path / "uv"))
    assert result.returncode == 0, result.stderr
