"""Images: what a task script runs in, as layers, and what is known of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from typing import Any

from stepline.frozen import frozen

PLATFORM_OS = "linux"
PLATFORM_ARCHITECTURE = "amd64"


class LayerKind(str, Enum):
    """What a layer holds.

    BASE: a Debian system with a Python.
    SYSTEM: Debian packages that a definition declares.
    HOOK: what ``init/before_install`` changed of the system.
    REQUIREMENTS: installed Python packages.
    COMPONENT: a component of several that are installed from source.
    CODE: the task script's folder.
    """

    BASE = "base"
    SYSTEM = "system"
    HOOK = "hook"
    REQUIREMENTS = "requirements"
    COMPONENT = "component"
    CODE = "code"


@frozen
class Layer:
    """One layer: a tar of files, the same for the same files.

    Attributes:
        digest: SHA-256 of the tar, ``sha256:<hex>``; what image configs call a diff id.
        size: Length of the tar, bytes.
        kind: What it holds.
    """

    digest: str
    size: int
    kind: LayerKind

    def to_plain(self) -> dict[str, Any]:
        """Return every field as plain JSON."""
        return {"digest": self.digest, "size": self.size, "kind": self.kind.value}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Layer:
        """Rebuild a layer from what `to_plain` returned."""
        return cls(plain["digest"], plain["size"], LayerKind(plain["kind"]))


@frozen(kw_only=True)
class Image:
    """An image of this machine, linux/amd64.

    Attributes:
        id: SHA-256 of `config`, ``sha256:<hex>``: what engines call the image id.
        config: The image's config as canonical JSON, as the OCI image format has it.
        layers: From the lowest up.
        runtime: Its Python, ``3.N``.
        python: Full path of the interpreter in it.
        site: Full path of the folder in it where Python packages are installed.
        code: Full path of the task script's folder in it; empty in a base.
    """

    id: str
    config: str
    layers: tuple[Layer, ...]
    runtime: str
    python: str
    site: str
    code: str = ""

    @property
    def size(self) -> int:
        """Length of all its layers, bytes."""
        return sum(layer.size for layer in self.layers)

    def to_plain(self) -> dict[str, Any]:
        """Return every field as plain JSON."""
        return {**vars(self), "layers": [layer.to_plain() for layer in self.layers]}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Image:
        """Rebuild an image from what `to_plain` returned."""
        layers = tuple(Layer.from_plain(layer) for layer in plain["layers"])
        return cls(**{**plain, "layers": layers})


class BaseVariant(str, Enum):
    """Kind of a base image.

    SLIM: what is shipped: no apt, dpkg or pip.
    HOOK: the same system with apt, dpkg and pip, for hooks to run in.
    """

    SLIM = "slim"
    HOOK = "hook"


@frozen(kw_only=True)
class BaseImage:
    """A base image of this machine.

    Attributes:
        image: The image.
        variant: What it is for.
        source: Where it is from: ``debian:<suite>``, or a registry's reference by digest.
        made_at: ISO 8601, UTC.
    """

    image: Image
    variant: BaseVariant
    source: str
    made_at: str

    def to_plain(self) -> dict[str, Any]:
        """Return every field as plain JSON."""
        return {**vars(self), "image": self.image.to_plain(), "variant": self.variant.value}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> BaseImage:
        """Rebuild a base from what `to_plain` returned."""
        image, variant = Image.from_plain(plain["image"]), BaseVariant(plain["variant"])
        return cls(**{**plain, "image": image, "variant": variant})


@frozen(kw_only=True)
class ImageBuild:
    """What is known of how an image was made; kept beside it.

    Attributes:
        image: The image.
        script: Digest of the task script, ``sha256:<hex>``.
        name: What the task script was called when the image was made.
        base: Id of its base image.
        base_source: Where the base is from.
        lock: The installed requirements, each pinned with its hashes, as pip reads them.
        hook_output: What the hook said.
        made_at: ISO 8601, UTC.
        parts: Components and system packages: name to version and hash.
        aside: Layers that are not in the image, but without which making the next one like it
            takes long: what a hook ran on, and what it did in the task script's folder.
    """

    image: Image
    script: str
    name: str
    base: str
    base_source: str
    lock: str = ""
    hook_output: str = ""
    made_at: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    aside: tuple[Layer, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """Return every field as plain JSON."""
        aside = [layer.to_plain() for layer in self.aside]
        parts = dict(self.parts)
        return {**vars(self), "image": self.image.to_plain(), "parts": parts, "aside": aside}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> ImageBuild:
        """Rebuild a record from what `to_plain` returned."""
        aside = tuple(map(Layer.from_plain, plain.get("aside", ())))
        return cls(**{**plain, "image": Image.from_plain(plain["image"]), "aside": aside})


@frozen(kw_only=True)
class ServiceSpec:
    """What tests inside an image need beside them, such as a database.

    Attributes:
        name: By which tests reach it.
        image: Reference of its image.
        environ: Environment variables; shown by ``inspect``, so never secrets.
        command: Program and arguments; empty for the image's own.
        user: Who runs it, by name or number; empty for the image's own.
        health: Program and arguments that succeed when it is ready.
        volumes: Full paths in it that get an empty volume each.
        start_within_s: Seconds that it has until it is ready.
    """

    name: str
    image: str
    environ: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    user: str = ""
    health: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    start_within_s: int = 60


@frozen
class Package:
    """Software in an image.

    Attributes:
        name: As its system calls it.
        version: As its system writes it.
        system: ``deb`` or ``pypi``.
        licence: SPDX expression or the package's own word; empty where unknown.
    """

    name: str
    version: str
    system: str
    licence: str = ""


SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs of an image are looked for, unless it says otherwise."""

USER_ID = 10001
"""Number of the user of tasks in every image, and of its group; both are named ``task``."""

USER = f"{USER_ID}:{USER_ID}"
"""The user and group of tasks, as engines want them."""

HUB = "docker.io"
"""The registry of references that name none."""


def registry_of(reference: str) -> str:
    """Return the registry of a reference: its host, with a port if it names one.

    Source:
        Docker's normal form of names: a first part without a dot or colon that is not
        ``localhost`` belongs to a repository of the Docker Hub.
    """
    first, slash, _ = reference.partition("/")
    named = slash and ("." in first or ":" in first or first == "localhost")
    return first if named else HUB


def split_reference(reference: str) -> tuple[str, str]:
    """Return repository and tag of a reference; the tag is empty for one by digest."""
    repository, at, _ = reference.partition("@")
    first, colon, tag = repository.rpartition(":")
    if colon and "/" not in tag:
        return first, "" if at else tag
    return repository, "" if at else "latest"
