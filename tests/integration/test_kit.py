"""The kit for tests inside images: on the disk before it has its name, nothing left beside."""

import os
import time

import pytest

from stepline.app.images import kit
from stepline.errors import PlatformError
from tests.support.wheels import make_wheel


@pytest.fixture
def environ(tmp_path):
    """Environment of a platform whose package index has pytest alone."""
    wheels = make_wheel(tmp_path / "wheels", "pytest", version="7.0").parent
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PIP_FIND_LINKS": str(wheels),
        "PIP_NO_INDEX": "1",
    }


def test_kit_is_on_the_disk_before_it_has_its_name(tmp_path, environ, monkeypatch):
    synced, real = [], os.fsync

    def sync(descriptor):
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    kit.find_kit("3.9", cache_dir=tmp_path / "cache", environ=environ, tell=lambda line: None)
    (made,) = (tmp_path / "cache" / "test-kits").iterdir()
    assert made.joinpath("pytest.py").is_file()
    assert any(path.endswith("/kit/pytest.py") for path in synced[:-1])
    assert synced[-1] == str(made.parent)


def test_kit_that_was_left_half_made_is_removed_by_the_next(tmp_path, environ):
    kits = tmp_path / "cache" / "test-kits"
    for name, age_s in ((".new-old", 200_000), (".new-young", 0)):
        kits.joinpath(name, "kit").mkdir(parents=True)
        os.utime(kits / name, (time.time() - age_s,) * 2)
    kit.find_kit("3.9", cache_dir=kits.parent, environ=environ, tell=lambda line: None)
    assert sorted(path.name for path in kits.iterdir() if path.name[0] == ".") == [".new-young"]


def test_kit_that_cannot_be_fetched_leaves_nothing(tmp_path, environ):
    wrong = {**environ, "PIP_FIND_LINKS": str(tmp_path / "nowhere")}
    with pytest.raises(PlatformError, match="pytest cannot be fetched"):
        kit.find_kit("3.9", cache_dir=tmp_path / "cache", environ=wrong, tell=lambda line: None)
    assert list((tmp_path / "cache" / "test-kits").iterdir()) == []
