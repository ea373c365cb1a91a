"""Pruning of images on a machine without a container engine."""

import pytest

from stepline.app.images.outcomes import Outcome, Outcomes
from stepline.app.images.pruning import prune
from stepline.errors import PlatformError
from tests.support.images import local_images, put_base, script_version


def no_engine():
    raise PlatformError("there is no engine")


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
    would = prune(images, no_engine, pinned=pinned, outcomes=outcomes, dry_run=True)
    assert [fate.kept for fate in would.fates] == ["", "published"]
    assert would.freed_bytes == 0
    assert (
        prune(images, no_engine, pinned=pinned, outcomes=outcomes, dry_run=False).freed_bytes
        > 30_000
    )
    assert [build.image.id for build in images.builds()] == [made[1]]
    assert [outcomes.get(image) is not None for image in made] == [False, True]
