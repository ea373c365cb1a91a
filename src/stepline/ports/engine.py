"""Container engines: they hold images and run containers; Docker is one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import BinaryIO, Protocol

from stepline.frozen import frozen
from stepline.model.image import USER
from stepline.model.task import Limits, Network

WriteArchive = Callable[[BinaryIO, Collection[str]], None]
"""Writes a docker-archive, without the layers whose digests it is given."""

LABEL = "org.stepline.owner"
"""Label of every container, network and volume of ours; its value names who made it."""


@frozen(kw_only=True)
class Credential:
    """What a registry asks for. Prints without the password.

    Attributes:
        connection: What people call it, for errors.
        server: Host, with its port if it has one.
        username: ``_json_key`` for one whose password is a JSON document.
        password: Never kept on disk in clear, logged, or put into an argument.
    """

    connection: str
    server: str
    username: str
    password: str = field(repr=False)


CredentialSource = Callable[[], Credential]
"""Returns a credential that is good now; asked each time one is needed, by any thread."""


@frozen(kw_only=True)
class Mount:
    """A folder of this machine in a container.

    Attributes:
        source: Full path outside.
        target: Full path inside.
        read_only: Whether it cannot be written inside.
    """

    source: str
    target: str
    read_only: bool = True


@frozen(kw_only=True)
class ContainerSpec:
    """A container to be made.

    All of them are held as tightly as `Limits` say, and without any capability, with no
    way to gain privileges, and a read-only root, but for those that are ``trusted``.

    Attributes:
        image: Image id.
        command: Program and arguments.
        owner: Value of `LABEL`.
        environ: Environment variables; shown by ``inspect``, so never secrets.
        mounts: Folders.
        limits: Memory, processors, processes, temporary space and network.
        user: ``uid:gid`` inside.
        folder: Current folder inside; empty for the image's own.
        trusted: It may change its root and is not kept from privileges, as a hook's.
        terminal: It gets a terminal, for people.
        followed: Somebody calls `Container.follow` at once, and gets all that it prints.
        network: Name of a private network of ours to join in place of the limits' one.
        alias: Its name in that network.
        volumes: Full paths inside that get an empty volume each, removed with the container.
        health: Program and arguments that succeed when it is ready; empty for the image's.
    """

    image: str
    command: Sequence[str]
    owner: str
    environ: Mapping[str, str] = field(default_factory=dict)
    mounts: Sequence[Mount] = ()
    limits: Limits = Limits(network=Network.NONE)
    user: str = USER
    folder: str = ""
    trusted: bool = False
    terminal: bool = False
    followed: bool = False
    network: str = ""
    alias: str = ""
    volumes: Sequence[str] = ()
    health: Sequence[str] = ()


@frozen(kw_only=True)
class ContainerEnd:
    """How a container ended.

    Attributes:
        exit_code: Of its program; 137 also where something killed it.
        out_of_memory: Whether the kernel ended a process in it for the memory limit.
    """

    exit_code: int
    out_of_memory: bool


class Container(Protocol):
    """One container of ours, started.

    Attributes:
        id: The engine's id.
        owner: Value of its `LABEL`.
        image: Id of its image.
    """

    id: str
    owner: str
    image: str

    def wait(self, *, timeout_s: float | None = None) -> ContainerEnd | None:
        """Wait for its end; None where it still runs after the time."""

    def output(self) -> str:
        """Return the last that it printed, at most 64 KiB."""

    def follow(self, tell: Callable[[str], None]) -> None:
        """Pass on what it prints, line by line, until its end.

        That is all of it for one that was made to be ``followed``, which waits while more is
        printed than was passed on; for others it is what comes from now on, and a little
        of what came before.

        Args:
            tell: Takes each line; one of more than 64 Ki characters in pieces of so many, and
                a last one with fewer.
        """

    def interact(self, keyboard: int, screen: int) -> None:
        """Connect a container that was made with a terminal to one of ours, until its end.

        Args:
            keyboard: Descriptor of the terminal to read from; raw meanwhile.
            screen: Descriptor to write to.
        """

    def kill(self) -> None:
        """End it by force; no error where it has ended or is gone."""

    def changes(self) -> BinaryIO:
        """Return what it changed of its root, as the tar of a layer, whiteouts included."""

    def healthy(self) -> bool | None:
        """Tell whether its health check passes; None where its image has none."""

    def remove(self) -> None:
        """End and remove it, with its anonymous volumes; no error where it is gone."""


@frozen(kw_only=True)
class EngineImage:
    """An image that an engine holds.

    Attributes:
        id: Image id, ``sha256:<hex>``.
        tags: References that point at it.
        digests: References by manifest digest, ``repository@sha256:<hex>``.
        os: Operating system.
        architecture: ``amd64`` and the like.
        command: Entry point and command together; empty where there is neither.
        layers: Digests of its layers, lowest first.
        size: Bytes.
        config: The image's ``Config`` (Env, User, WorkingDir, Labels and so on).
    """

    id: str
    tags: Sequence[str]
    digests: Sequence[str]
    os: str
    architecture: str
    command: Sequence[str]
    layers: Sequence[str]
    size: int
    config: Mapping[str, object]


class ContainerEngine(Protocol):
    """A container engine, connected when it is first asked for something.

    Every method raises `PlatformError` where the engine cannot be reached, may not be
    used, is too old or fails, with what to do; `retryable` where trying again may help.
    """

    name: str

    def check(self) -> str:
        """Return the engine's name and version, for people, after making sure it is usable."""

    # Images.

    def image(self, reference: str) -> EngineImage | None:
        """Return an image by id, tag or digest; None where the engine does not have it."""

    def images(self) -> Sequence[EngineImage]:
        """Return all images that the engine holds."""

    def load(self, layers: Sequence[str], write: WriteArchive) -> str:
        """Have the engine take in an image.

        Args:
            layers: Digests of its layers, lowest first.
            write: Writes the archive, without the layers that it is told of.

        Returns:
            The image's id.
        """

    def save(self, image_id: str, target: Path) -> None:
        """Write an image as a docker-archive to a file."""

    def tag(self, image_id: str, reference: str) -> None:
        """Point a reference of this engine at an image."""

    def untag(self, reference: str) -> None:
        """Remove a reference; an image without any is removed too, unless it is used."""

    def remove_image(self, image_id: str) -> int:
        """Remove an image that no container uses; return the freed bytes."""

    # Registries.

    def pull(self, reference: str, credential: Credential | None) -> EngineImage:
        """Fetch an image, unless its digest is here; by digest, nothing is asked of the registry.

        Raises:
            UserError: The registry refuses, does not have it, or it is for another
                platform; the error names the connection and the registry.
        """

    def push(self, image_id: str, reference: str, *, credential: Credential | None) -> str:
        """Send an image to a registry; return the digest of its manifest.

        Raises:
            UserError: The registry refuses; the error names the connection and the registry.
        """

    def remote_digest(self, reference: str, credential: Credential | None) -> str | None:
        """Return the digest that a registry's reference points at; None where there is none."""

    # Containers.

    def start(self, spec: ContainerSpec) -> Container:
        """Make and start a container."""

    def containers(self, owner: str = "") -> Sequence[Container]:
        """Return our containers, running or not; only those of an owner where one is given."""

    def make_network(self, name: str, owner: str) -> None:
        """Make a private network, without a way out."""

    def remove_network(self, name: str) -> None:
        """Remove a private network; no error where it is gone."""

    def close(self) -> None:
        """End the connection."""
