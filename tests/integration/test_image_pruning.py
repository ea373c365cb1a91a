"""Pruning of images where no container engine answers, and where no service is known."""

import json
import os
import subprocess
import sys

import pytest

from stepline.app.images.outcomes import Outcome, Outcomes
from stepline.app.images.pruning import prune
from tests.support.images import local_images, put_base, script_version

NO_ENGINE = "unix:///nonexistent/docker.sock"


@pytest.fixture
def script(tmp_path):
    """Folder of a task script."""
    folder = tmp_path / "script"
    folder.mkdir()
    folder.joinpath("main.py").write_text("def f(input, context): return {}\n")
    return folder


def test_prune_keeps_published_versions_and_forgets_tests_of_others(tmp_path, script):
    images, outcomes = local_images(tmp_path / "images"), Outcomes(tmp_path / "images")
    put_base(tmp_path / "images")
    made = []
    for content in ("old", "published"):
        script.joinpath("data.txt").write_text(content * 10_000)
        made.append(images.build(script_version(script), tell=print).id)
        outcomes.add(Outcome(image=made[-1], at="2026-01-01T00:00:00Z", exit_code=0, services={}))
    pinned = {images.get(made[1]).script}
    would = prune(images, None, pinned=pinned, outcomes=outcomes, dry_run=True)
    assert [fate.kept for fate in would.fates] == ["", "published"]
    assert would.freed_bytes == 0
    assert prune(images, None, pinned=pinned, outcomes=outcomes, dry_run=False).freed_bytes > 30_000
    assert [build.image.id for build in images.builds()] == [made[1]]
    assert [outcomes.get(image) is not None for image in made] == [False, True]


@pytest.fixture
def pruning(tmp_path, script):
    """Run the command where nothing answers and there is one image; return how it ended."""
    put_base(tmp_path / "images")
    local_images(tmp_path / "images").build(script_version(script), tell=print)
    names = ("STEPLINE_", "TS_")
    environ = {key: text for key, text in os.environ.items() if not key.startswith(names)}
    environ |= {"STEPLINE_IMAGES_DIR": str(tmp_path / "images"), "DOCKER_HOST": NO_ENGINE}

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "stepline", "image", "prune", *words],
            env=environ,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


@pytest.mark.parametrize("words", [(), ("--dry-run",)], ids=["really", "dry run"])
def test_prune_without_an_engine_removes_nothing_and_says_why(pruning, tmp_path, words):
    failed = pruning("--no-service", *words)
    assert failed.returncode == 3
    assert f"no Docker Engine answers at {NO_ENGINE}" in failed.stderr
    assert "which images are tagged or run is not known" in failed.stderr
    assert "removed" not in failed.stdout
    assert len(local_images(tmp_path / "images").builds()) == 1


def test_prune_with_no_engine_to_ask_leaves_that_out_where_told_so(pruning, tmp_path):
    done = pruning("--no-service", "--no-engine", "--json")
    assert done.returncode == 0, done.stderr
    assert [each["kept"] for each in json.loads(done.stdout)["images"]] == [""]
    assert local_images(tmp_path / "images").builds() == []


@pytest.mark.parametrize("words", [(), ("--dry-run",)], ids=["really", "dry run"])
def test_prune_without_a_service_removes_nothing_and_says_what_to_add(pruning, tmp_path, words):
    failed = pruning("--no-engine", *words)
    assert failed.returncode == 2
    assert "no service is known here, so which versions are published is not known" in failed.stderr
    assert "-c FILE" in failed.stderr
    assert "--no-service" in failed.stderr
    assert len(local_images(tmp_path / "images").builds()) == 1


def test_prune_with_a_service_and_none_is_refused(pruning, tmp_path):
    failed = pruning("--no-service", "-c", "auth.json")
    assert failed.returncode == 2
    assert "--no-service" in failed.stderr
    assert len(local_images(tmp_path / "images").builds()) == 1
