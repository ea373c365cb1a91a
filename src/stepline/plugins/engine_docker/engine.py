"""The adapter: a Docker Engine behind the port of container engines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from stepline.model.image import split_reference
from stepline.plugins.engine_docker import images, loading, registries
from stepline.plugins.engine_docker.connection import Client, Connection
from stepline.plugins.engine_docker.containers import found_containers, start_container
from stepline.plugins.engine_docker.faults import translated
from stepline.ports.engine import (
    LABEL,
    Container,
    ContainerSpec,
    Credential,
    EngineImage,
    WriteArchive,
)


class DockerEngine:
    """Images and containers of one Docker Engine; threads may share it.

    Args:
        environ: Names the engine, as DOCKER_HOST and its like do for Docker itself.
    """

    name = "docker"

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._connection = Connection(environ)
        self._held = loading.HeldLayers()

    @contextmanager
    def _engine(self) -> Iterator[Client]:
        client = self._connection.client
        with translated(self._connection.place):
            yield client

    def check(self) -> str:
        """Return the engine's name and version, after making sure it is usable."""
        with self._engine() as client:
            client.ping()
        told = self._connection.version
        return f"Docker Engine {told.get('Version', '')}, API {told.get('ApiVersion', '')}"

    # Images.

    def image(self, reference: str) -> EngineImage | None:
        """Return an image by id, tag or digest; None where the engine does not have it."""
        with self._engine() as client:
            return images.find_image(client, reference)

    def images(self) -> Sequence[EngineImage]:
        """Return all images that the engine holds."""
        with self._engine() as client:
            return images.all_images(client)

    def load(self, layers: Sequence[str], write: WriteArchive) -> str:
        """Have the engine take in an image, sending only the layers that it does not have."""
        with self._engine() as client:
            held = self._held.count(client, layers)
            return loading.load(client, layers, write=write, held=held)

    def save(self, image_id: str, target: Path) -> None:
        """Write an image as a docker-archive to a file."""
        with self._engine() as client:
            loading.save(client, image_id, target=target)

    def tag(self, image_id: str, reference: str) -> None:
        """Point a reference of this engine at an image."""
        repository, tag = split_reference(reference)
        with self._engine() as client:
            client.tag(image_id, repository, tag)

    def untag(self, reference: str) -> None:
        """Remove a reference; an image without any is removed too, unless it is used."""
        with self._engine() as client:
            images.untag(client, reference)

    def remove_image(self, image_id: str) -> int:
        """Remove an image that no container uses; return the freed bytes."""
        with self._engine() as client:
            return images.remove_image(client, image_id)

    # Registries.

    def pull(self, reference: str, credential: Credential | None) -> EngineImage:
        """Fetch an image, unless its digest is here; by digest, no registry is asked then."""
        with self._engine() as client:
            return registries.pull(client, reference, credential=credential)

    def push(self, image_id: str, reference: str, *, credential: Credential | None) -> str:
        """Send an image to a registry; return the digest of its manifest."""
        with self._engine() as client:
            return registries.push(client, image_id, reference=reference, credential=credential)

    def remote_digest(self, reference: str, credential: Credential | None) -> str | None:
        """Return the digest that a registry's reference points at; None where there is none."""
        with self._engine() as client:
            return registries.remote_digest(client, reference, credential=credential)

    # Containers.

    def start(self, spec: ContainerSpec) -> Container:
        """Make and start a container."""
        return start_container(self._connection, spec)

    def containers(self, owner: str = "") -> Sequence[Container]:
        """Return our containers, running or not; only those of an owner where one is given."""
        return found_containers(self._connection, owner)

    def make_network(self, name: str, owner: str) -> None:
        """Make a private network, without a way out."""
        with self._engine() as client:
            client.create_network(
                name, driver="bridge", internal=True, labels={LABEL: owner}, check_duplicate=True
            )

    def remove_network(self, name: str) -> None:
        """Remove a private network; no error where it is gone."""
        from docker.errors import NotFound

        with self._engine() as client:
            try:
                client.remove_network(name)
            except NotFound:
                pass

    def close(self) -> None:
        """End the connection."""
        self._connection.close()
