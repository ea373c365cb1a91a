"""A real engine with a small image in it, and a registry that wants a login."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

from stepline.errors import SteplineError
from stepline.ports.engine import Container, ContainerEngine, ContainerSpec
from tests.support.registries import LockedRegistry, locked_registry
from tests.support.tiny_images import TinyImage, tiny_image

Start = Callable[..., Container]
Load = Callable[[TinyImage], str]


@pytest.fixture(scope="session")
def tiny(engine: ContainerEngine) -> Iterator[str]:
    """Id of a small image in the engine."""
    image = tiny_image({"owner": uuid.uuid4().hex})
    engine.load(list(image.layers), image.write)
    engine.tag(image.id, f"test-{uuid.uuid4().hex}:kept")
    yield image.id
    engine.remove_image(image.id)


@pytest.fixture
def start(engine: ContainerEngine, tiny: str) -> Iterator[Start]:
    """Starts containers of the small image, and removes them in the end."""
    owner = f"test-{uuid.uuid4().hex}"

    def go(*command: str, **fields: object) -> Container:
        spec = {"image": tiny, "command": command, "owner": owner, **fields}
        return engine.start(ContainerSpec(**spec))  # type: ignore[arg-type]

    yield go
    for container in engine.containers(owner):
        container.remove()


@pytest.fixture
def load(engine: ContainerEngine) -> Iterator[Load]:
    """Loads images, and removes them in the end."""
    ids = []

    def go(image: TinyImage) -> str:
        ids.append(engine.load(list(image.layers), image.write))
        return ids[-1]

    yield go
    for image_id in ids:
        try:
            engine.remove_image(image_id)
        except SteplineError:
            if engine.image(image_id):
                raise


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LockedRegistry]:
    """A registry that wants a login."""
    with locked_registry(tmp_path_factory.mktemp("registry")) as found:
        yield found
