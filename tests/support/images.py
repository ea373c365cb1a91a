"""Images of task scripts on a base that tests make in no time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepline.model.image import BaseImage, BaseVariant, Image, LayerKind
from stepline.model.task_script import Function, ImageChoices, TaskScript
from stepline.plugins.images_local.configs import image_config, image_id
from stepline.plugins.images_local.images import LocalImages
from stepline.plugins.images_local.store import LayerStore
from stepline.plugins.images_local.tars import write_folder
from stepline.ports.engine import ContainerEngine
from stepline.ports.executor import ScriptVersion
from stepline.ports.images import ImageOptions

RUNTIME = "3.11"


def no_engine() -> ContainerEngine:
    """Fail, where a test is to need no engine."""
    raise AssertionError("this needs no engine")


def local_images(folder: Path, environ: Mapping[str, str] | None = None) -> LocalImages:
    """Return the images of a folder, for a machine without an engine."""
    options = ImageOptions(
        folder=folder, bases={}, engine=no_engine, credential=lambda reference: None
    )
    return LocalImages(options, os.environ if environ is None else environ)


def put_base(folder: Path, content: str = "a base", *, runtime: str = RUNTIME) -> BaseImage:
    """Put a base of one file into a folder of images, newer than those in it."""
    store = LayerStore(folder)
    with store.temporary() as work:
        (work / "root").mkdir()
        (work / "root" / "base").write_text(content)
        with (work / "tar").open("wb") as file:
            write_folder(work / "root", file, prefix="")
        layer = store.add(work / "tar", LayerKind.BASE)
    text = image_config([layer], {"Cmd": ["python3"]})
    image = Image(
        id=image_id(text),
        config=text,
        layers=(layer,),
        runtime=runtime,
        python="/usr/bin/python3",
        site=f"/usr/local/lib/python{runtime}/dist-packages",
    )
    made_at = f"2030-01-01T00:00:{len(list(store.notes('bases'))):02}+00:00"
    base = BaseImage(image=image, variant=BaseVariant.SLIM, source="debian:test", made_at=made_at)
    store.put_note("bases", f"{image.id.removeprefix('sha256:')}-slim", note=base.to_plain())
    return base


def script_version(folder: Path, *, runtime: str = RUNTIME, **choices: Any) -> ScriptVersion:
    """Return the version that a task script's folder is now, with its digest."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder)} ".encode() + path.read_bytes() + b"\0")
    script = TaskScript((Function("f", "main.f"),), image=ImageChoices(**choices))
    name = "private-test/s:v1.0.0"
    return ScriptVersion(name, f"sha256:{digest.hexdigest()}", str(folder), script, runtime)
