"""Images of task scripts with hooks, made in a real engine or in a sandbox of root's."""

from __future__ import annotations

import json
import os
import uuid
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from stepline.model.image import BaseVariant, Image, Layer
from stepline.plugins.images_local.bases import Bases
from stepline.plugins.images_local.build_steps import HookBases, Steps
from stepline.plugins.images_local.images import LocalImages
from stepline.plugins.images_local.runners import EngineRunner, Runner, SandboxRunner
from stepline.plugins.images_local.store import LayerStore
from stepline.ports.engine import ContainerEngine, ContainerSpec
from stepline.ports.images import ImageOptions
from tests.support.images import script_version
from tests.support.wheels import make_wheel


class HookBench:
    """Builds task scripts with hooks, on the bases that all tests share.

    Attributes:
        engine: The engine in which images are tried.
        folder: Folder of the task script.
        said: What was told of builds.
    """

    def __init__(self, images_dir: Path, engine: ContainerEngine, folder: Path) -> None:
        self.store = LayerStore(images_dir)
        self.engine = engine
        self.folder = folder
        self.said: list[str] = []
        self.write("main.py", "def f(input, context):\n    return {}\n")
        self.write("requirements.txt", "")
        self.write("README.md", f"No image of it was ever made: {uuid.uuid4()}\n")

    def write(self, name: str, text: str) -> Path:
        """Write a file of the task script."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def hook(self, *lines: str) -> None:
        """Write a hook that no test before has run."""
        self.write("init/before_install", "\n".join([f"# {uuid.uuid4()}", "set -e", *lines, ""]))

    def images(self, environ: Mapping[str, str] | None = None) -> LocalImages:
        """Return the images, of a platform with this environment."""
        options = ImageOptions(
            folder=self.store.folder,
            bases={},
            engine=lambda: self.engine,
            credential=lambda reference: None,
        )
        return LocalImages(options, os.environ if environ is None else environ)

    def build(
        self,
        *,
        environ: Mapping[str, str] | None = None,
        tell: Callable[[str], None] | None = None,
        **choices: object,
    ) -> Image:
        """Make the image of the task script."""
        self.said = []
        self.write("config.json", json.dumps(choices))
        version = script_version(self.folder, **choices)
        return self.images(environ).build(version, tell=tell or self.said.append)

    def run(self, image: Image, *command: str) -> str:
        """Run a command in an image, as tasks are; return what it said."""
        load(self.engine, image, self.store)
        spec = ContainerSpec(image=image.id, command=command, owner="test-hooks")
        container = self.engine.start(spec)
        try:
            ended = container.wait(timeout_s=120)
            assert ended is not None
            assert ended.exit_code == 0, container.output()
            return container.output().strip()
        finally:
            container.remove()

    def bases(self) -> HookBases:
        """Return the bases of Python 3.11."""
        options = ImageOptions(
            folder=self.store.folder,
            bases={},
            engine=lambda: self.engine,
            credential=lambda reference: None,
        )
        bases = Bases(self.store, options, environ=os.environ)
        found = {kind: bases.get("3.11", kind, tell=self.said.append) for kind in BaseVariant}
        return HookBases(slim=found[BaseVariant.SLIM], hook=found[BaseVariant.HOOK])

    def steps(self, way: str = "container") -> Steps:
        """Return what runs steps: in a container or in a sandbox."""
        runner: Runner = EngineRunner(self.engine, self.store.path)
        if way == "sandbox":
            runner = SandboxRunner("/usr/bin/bwrap")
        return Steps(self.store, lambda: runner, os.environ)

    def files(self, layers: tuple[Layer, ...]) -> list[Path]:
        """Return the files of layers."""
        return [self.store.path(layer) for layer in layers]


def load(engine: ContainerEngine, image: Image, store: LayerStore) -> None:
    """Have an engine take in an image."""
    from stepline.plugins.images_local.archive import write_archive

    if engine.image(image.id) is None:
        digests = [layer.digest for layer in image.layers]
        engine.load(
            digests,
            lambda file, without: write_archive(image, file, path=store.path, without=without),
        )


def make_command_wheel(folder: Path, name: str, *, source: str) -> Path:
    """Write a wheel that brings a command of the package's name."""
    path = make_wheel(folder, name, source=source)
    with zipfile.ZipFile(path, "a") as archive:
        entries = f"[console_scripts]\n{name} = {name}:main\n"
        archive.writestr(f"{name}-1.0.dist-info/entry_points.txt", entries)
    return path


def make_sdist(folder: Path, name: str, *, setup: str) -> Path:
    """Write a source distribution with a setup.py of these further arguments."""
    import io
    import tarfile

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1.0.tar.gz"
    files = {
        "setup.py": "from setuptools import Extension, setup\n"
        f"setup(name={json.dumps(name)}, version='1.0', {setup})\n",
        "pyproject.toml": "[build-system]\nrequires = ['setuptools']\n"
        "build-backend = 'setuptools.build_meta'\n",
        f"{name}.py": "VERSION = '1.0'\n",
        f"{name}_fast.c": "int nothing;\n",
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
    }
    with tarfile.open(path, "w:gz") as archive:
        for file, text in files.items():
            member = tarfile.TarInfo(f"{name}-1.0/{file}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return path
