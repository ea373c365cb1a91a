"""Images of a shell and a few programs of this machine, made in a moment: no base is needed."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import BinaryIO

from stepline.frozen import frozen

PROGRAMS = ("cat", "chmod", "dash", "dd", "id", "ls", "mkdir", "rm", "sleep", "tail", "touch")


@frozen
class TinyImage:
    """An image in memory.

    Attributes:
        config: Its config, as JSON.
        layers: Tars by digest, lowest first.
    """

    config: bytes
    layers: Mapping[str, bytes]

    @property
    def id(self) -> str:
        """Its id."""
        return digest_of(self.config)

    def write(self, file: BinaryIO, without: Collection[str] = ()) -> None:
        """Write it as a docker-archive, as `WriteArchive` wants it."""
        name = f"{self.id.removeprefix('sha256:')}.json"
        paths = {digest: f"{digest.removeprefix('sha256:')}/layer.tar" for digest in self.layers}
        manifest = [{"Config": name, "RepoTags": None, "Layers": list(paths.values())}]
        with tarfile.open(fileobj=file, mode="w|") as archive:
            _add(archive, name, self.config)
            for digest, content in self.layers.items():
                if digest not in without:
                    _add(archive, paths[digest], content)
            _add(archive, "manifest.json", json.dumps(manifest).encode())


def tiny_image(
    *uppers: Mapping[str, str],
    architecture: str = "amd64",
    config: Mapping[str, object] | None = None,
) -> TinyImage:
    """Return an image of programs, and of a layer for each further mapping of path to text."""
    layers = [programs_layer(), *(text_layer(files) for files in uppers)]
    digests = [digest_of(layer) for layer in layers]
    content = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], **(config or {})},
        "rootfs": {"type": "layers", "diff_ids": digests},
    }
    return TinyImage(json.dumps(content).encode(), dict(zip(digests, layers, strict=True)))


def digest_of(content: bytes) -> str:
    """Return the digest of bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@cache
def programs_layer() -> bytes:
    """Return a layer with programs of this machine, and the libraries that they load."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as layer:
        for folder, mode in (("bin", 0o755), ("tmp", 0o1777), ("etc", 0o755), ("srv", 0o777)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            layer.addfile(entry)
        paths = {f"bin/{name}": Path(shutil.which(name) or name) for name in PROGRAMS}
        paths["bin/sh"] = paths["bin/dash"]
        for library in sorted(set().union(*map(libraries, paths.values()))):
            paths[library.removeprefix("/")] = Path(library)
        for name, path in paths.items():
            _add(layer, name, path.read_bytes(), mode=0o755)
    return file.getvalue()


def libraries(program: Path) -> set[str]:
    """Return the paths of the libraries that a program loads."""
    told = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return {word for word in told.split() if word.startswith("/")}


def text_layer(files: Mapping[str, str]) -> bytes:
    """Return a layer of text files."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as layer:
        for name, text in files.items():
            _add(layer, name, text.encode())
    return file.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))
