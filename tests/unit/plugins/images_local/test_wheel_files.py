"""Wheels that code of others built: only whole ones that tell no password are taken."""

import os
import zipfile
from pathlib import Path

import pytest

from stepline.errors import ConfigError
from stepline.model.image import BaseImage, BaseVariant, Image
from stepline.plugins.images_local.build_settings import BuildSettings
from stepline.plugins.images_local.build_steps import HookBases
from stepline.plugins.images_local.runners import Ended
from stepline.plugins.images_local.sdists import build_wheels
from stepline.plugins.images_local.store import LayerStore
from stepline.plugins.images_local.wheel_files import find_text, is_whole
from stepline.ports.engine import Mount
from tests.support.wheels import make_wheel

NAME = "plates-1.0-py3-none-any.whl"
SECRET = "s3cret-of-the-index"
IMAGE = Image(id="i", config="{}", layers=(), runtime="3.11", python="/p", site="/s")
BASE = BaseImage(image=IMAGE, variant=BaseVariant.HOOK, source="image:x", made_at="")


def torn(folder):
    wheel = make_wheel(folder, "plates")
    wheel.write_bytes(wheel.read_bytes()[:-40])


def with_a_secret(folder):
    make_wheel(folder, "plates", source="x" * (1 << 20) + f"\nindex = 'https://u:{SECRET}@i'\n")


LEFT = {
    "pipe": (lambda folder: os.mkfifo(folder / NAME), "which is no wheel"),
    "link": (lambda folder: (folder / NAME).symlink_to("/etc/passwd"), "which is no wheel"),
    "folder": (lambda folder: (folder / NAME).mkdir(), "which is no wheel"),
    "empty": (lambda folder: (folder / NAME).touch(), "which is no wheel"),
    "torn": (torn, "which is no wheel"),
    "secret": (with_a_secret, "left a password of this machine's settings in plates.py"),
}


class Steps:
    """Stands for a container in which a source did as it liked."""

    def __init__(self, store, leave):
        self.store = store
        self.leave = leave

    def settings(self, folder, **further):
        folder.mkdir()
        return BuildSettings((Mount(source=str(folder), target="/run"),), (SECRET,))

    def run(self, script, image, *, mounts, **further):
        (place,) = (mount.source for mount in mounts if not mount.read_only)
        self.leave(Path(place))
        return Ended(0, "", {})


@pytest.mark.parametrize(("leave", "words"), LEFT.values(), ids=LEFT)
def test_wheel_of_a_source_that_cannot_be_used_is_refused(tmp_path, leave, words):
    script, target = tmp_path / "script", tmp_path / "target"
    script.mkdir()
    target.mkdir()
    with pytest.raises(ConfigError, match=words) as caught:
        build_wheels(
            ["plates"],
            target,
            folder=script,
            bases=HookBases(slim=BASE, hook=BASE),
            steps=Steps(LayerStore(tmp_path / "images"), leave),
            tell=lambda line: None,
        )
    assert caught.value.hint
    assert SECRET not in str(caught.value)
    assert list(target.iterdir()) == []


def test_find_text_is_found_where_two_blocks_meet_and_in_names(tmp_path):
    wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("first", "x")
        archive.writestr("second", "x" * ((1 << 20) - 3) + SECRET)
        archive.writestr(f"third-{SECRET}", "")
    assert find_text(wheel, ["nothing-like-it"]) is None
    assert find_text(wheel, ["other", SECRET]) == "second"
    assert find_text(wheel, [f"third-{SECRET}"]) == f"third-{SECRET}"


def test_is_whole_of_a_wheel_that_pip_would_take(tmp_path):
    assert is_whole(make_wheel(tmp_path, "plates"))
    assert not is_whole(tmp_path / "nothing.whl")
