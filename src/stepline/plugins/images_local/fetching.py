"""Images of a registry, taken apart into layers of our own."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from stepline.errors import PlatformError, UserError
from stepline.frozen import frozen
from stepline.model.image import (
    PLATFORM_ARCHITECTURE,
    PLATFORM_OS,
    USER,
    USER_ID,
    Image,
    Layer,
    LayerKind,
)
from stepline.plugins.images_local.configs import image_config, image_id
from stepline.plugins.images_local.store import LayerStore
from stepline.plugins.images_local.trees import Content, Node, Tree, read_layers, write_tree
from stepline.ports.engine import EngineImage
from stepline.ports.images import ImageOptions

_PYTHON = re.compile(r"(usr/local/bin|usr/bin|opt/[^/]+/bin)/python(3\.\d+)")
_KEPT = ("Cmd", "Entrypoint", "Env", "Labels", "WorkingDir")
_GZIP = b"\x1f\x8b"
_BLOCK = 1 << 20
_USER = {
    "etc/passwd": f"task:x:{USER}:task:/tmp:/bin/sh\n",
    "etc/group": f"task:x:{USER_ID}:\n",
}
"""What the files of users get where a system has no user of ours."""

_COMMON = 0o1777


@frozen(kw_only=True)
class Fetched:
    """An image that was fetched.

    Attributes:
        layers: Its layers, lowest first, and one of ours where it lacked the user of tasks.
        config: What containers of it get.
        source: Its reference by digest.
        pythons: Full paths of the Pythons in it, by version ``3.N``.
    """

    layers: tuple[Layer, ...]
    config: Mapping[str, Any]
    source: str
    pythons: Mapping[str, str]

    def image(self, runtime: str) -> Image:
        """Return it as the base image of a runtime.

        Raises:
            UserError: It does not have that Python.
        """
        if runtime not in self.pythons:
            found = ", ".join(f"python{each}" for each in sorted(self.pythons)) or "no Python"
            raise UserError(
                f"the image {self.source} has {found}, and the runtime is python{runtime}",
                hint='name another image, or another "runtime" in config.json',
            )
        python = self.pythons[runtime]
        debian = python.startswith("/usr/bin/")
        folder = "/usr/local" if debian else python.removesuffix(f"/bin/python{runtime}")
        kind = "dist-packages" if debian else "site-packages"
        config = image_config(self.layers, self.config)
        return Image(
            id=image_id(config),
            config=config,
            layers=self.layers,
            runtime=runtime,
            python=python,
            site=f"{folder}/lib/python{runtime}/{kind}",
        )


def fetch_base(
    reference: str, runtime: str, *, store: LayerStore, options: ImageOptions
) -> tuple[Image, str]:
    """Fetch a base image.

    Returns:
        The image, and its reference by digest.

    Raises:
        UserError: The registry does not have it or refuses it, it is for another platform, or
            it does not have the runtime.
        PlatformError: The engine or the registry cannot be reached.
    """
    fetched = fetch(reference, store=store, options=options)
    return fetched.image(runtime), fetched.source


def fetch(reference: str, *, store: LayerStore, options: ImageOptions) -> Fetched:
    """Fetch an image through the engine, and take its layers into the store.

    Raises:
        UserError: The registry does not have it or refuses it, or it is for another platform.
        PlatformError: The engine or the registry cannot be reached.
    """
    engine = options.engine()
    found = engine.pull(reference, options.credential(reference))
    _check_platform(found, reference)
    with store.temporary() as folder:
        archive = folder / "image.tar"
        engine.save(found.id, archive)
        layers = _take_apart(archive, found, folder=folder, store=store)
        tree = read_layers([store.path(layer) for layer in layers])
        if missing := _missing(tree, folder):
            layers.append(_own_layer(missing, folder=folder, store=store))
    return Fetched(
        layers=tuple(layers),
        config={name: value for name in _KEPT if (value := found.config.get(name))},
        source=_pinned(found, reference),
        pythons=_pythons(tree),
    )


def reference_key(text: str) -> str:
    """Return what notes about a reference are kept under."""
    return hashlib.sha256(text.encode()).hexdigest()


def _check_platform(found: EngineImage, reference: str) -> None:
    wanted = f"{PLATFORM_OS}/{PLATFORM_ARCHITECTURE}"
    given = f"{found.os}/{found.architecture}"
    if given != wanted:
        raise UserError(
            f"the image {reference} is for {given}, and images of task scripts are for {wanted}",
            hint=f"name an image that is also built for {wanted}",
        )


def _pinned(found: EngineImage, reference: str) -> str:
    """Return the reference by digest; one of an image that no registry has stays as it is."""
    if "@" in reference:
        return reference
    last = reference.rpartition("/")[2]
    repository = reference[: -len(last)] + last.partition(":")[0]
    short = repository.removeprefix("docker.io/").removeprefix("library/")
    for digest in found.digests:
        name = digest.partition("@")[0].removeprefix("docker.io/").removeprefix("library/")
        if name == short:
            return f"{repository}@{digest.partition('@')[2]}"
    return reference


def _take_apart(
    archive: Path, found: EngineImage, *, folder: Path, store: LayerStore
) -> list[Layer]:
    """Take the layers of a docker-archive into the store, lowest first."""
    layers = []
    with tarfile.open(archive) as opened:
        names = _layer_names(opened)
        if len(names) != len(found.layers):
            raise _broken(found, f"{len(names)} layers in place of {len(found.layers)}")
        for name, digest in zip(names, found.layers, strict=True):
            content = opened.extractfile(name)
            if content is None:
                raise _broken(found, f"no {name}")
            path = folder / "layer.tar"
            with content, path.open("wb") as file:
                _copy_plain(content, file)
            layer = store.add(path, LayerKind.BASE)
            if layer.digest != digest:
                raise _broken(found, f"the layer {layer.digest} in place of {digest}")
            path.unlink(missing_ok=True)
            layers.append(layer)
    return layers


def _layer_names(archive: tarfile.TarFile) -> list[str]:
    manifest = archive.extractfile("manifest.json")
    if manifest is None:
        return []
    with manifest:
        return [str(name) for name in json.load(manifest)[0]["Layers"]]


def _copy_plain(source: IO[bytes], target: IO[bytes]) -> None:
    """Copy a layer, uncompressed; newer engines save them as the registry had them."""
    start = source.read(len(_GZIP))
    source.seek(0)
    if start == _GZIP:
        with gzip.open(source) as plain:
            shutil.copyfileobj(plain, target, _BLOCK)
    else:
        shutil.copyfileobj(source, target, _BLOCK)


def _broken(found: EngineImage, what: str) -> PlatformError:
    return PlatformError(
        f"the engine saved the image {found.id} with {what}",
        hint="try again; if it stays so, remove the image from the engine",
        retryable=True,
    )


def _pythons(tree: Tree) -> dict[str, str]:
    """Return the Pythons of a system; of several with a version, the first on its PATH."""
    found: dict[str, str] = {}
    for path in sorted(tree, key=lambda path: (not path.startswith("usr/local/"), path)):
        if (match := _PYTHON.fullmatch(path)) and not tree[path].is_folder:
            found.setdefault(match[2], f"/{path}")
    return found


def _missing(tree: Tree, folder: Path) -> Tree:
    """Return what a system lacks of what all bases have: the user of tasks, a common /tmp."""
    missing: Tree = {}
    for path, line in _USER.items():
        node = tree.get(path)
        text = node.content.read().decode("utf-8", "replace") if node and node.content else ""
        if not any(entry.split(":")[2:3] == [str(USER_ID)] for entry in text.splitlines()):
            new = folder / path.replace("/", "-")
            new.write_text(text + ("" if text.endswith("\n") or not text else "\n") + line)
            content = Content(new, 0, new.stat().st_size)
            missing[path] = Node(tarfile.REGTYPE, 0o644, (0, 0), content=content)
    if "tmp" not in tree or tree["tmp"].mode != _COMMON:
        missing["tmp"] = Node(tarfile.DIRTYPE, _COMMON, (0, 0))
    return missing


def _own_layer(missing: Tree, *, folder: Path, store: LayerStore) -> Layer:
    path = folder / "own.tar"
    with path.open("wb") as file:
        write_tree(missing, file)
    return store.add(path, LayerKind.BASE)
