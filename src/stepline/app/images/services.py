"""Services beside the tests of an image: started, waited for, and removed with their volumes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from stepline.app.images.holding import fetch
from stepline.app.load import read_source
from stepline.errors import ConfigError, SteplineError, UserError
from stepline.frozen import frozen
from stepline.model.image import ServiceSpec
from stepline.model.task import Limits, Network
from stepline.parsing.source import decode_source
from stepline.ports.engine import Container, ContainerEngine, ContainerSpec, Credential
from stepline.workers import owners

FILES = (Path("tests", "services.yml"), Path("tests", "services.yaml"))
_POLL_S = 0.1
# More than a database for tests takes, and less than what brings down a machine.
_LIMITS = Limits(memory_mb=8 * 1024, timeout_s=None, pids=4096, network=Network.NONE)
_LAST_LINES = 20
KIND = "image-test"
"""What containers of tests are made for."""


@frozen(kw_only=True)
class Running:
    """Services that are ready.

    Attributes:
        network: Name of the private network that they are on; empty without services.
        images: Ids of their images, by name.
    """

    network: str = ""
    images: dict[str, str]


def own_name() -> str:
    """Return what containers and networks of this process are marked with."""
    return owners.own_name(KIND)


def read_services(folder: Path) -> tuple[ServiceSpec, ...]:
    """Return what a task script's tests need beside them.

    Args:
        folder: The task script.

    Raises:
        ConfigError: The file that says so is wrong.
    """
    path = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if path is None:
        return ()
    from stepline.parsing.services import parse_services

    data, problem = read_source(path)
    text, fault = decode_source(data, path=str(path)) if problem is None else ("", problem)
    if fault is not None:
        raise ConfigError(fault.message, where=fault.where, hint=fault.hint)
    return parse_services(text, path=str(path)).unwrap(ConfigError)


@contextmanager
def started(
    services: Sequence[ServiceSpec],
    engine: ContainerEngine,
    *,
    owner: str,
    credential: Callable[[str], Credential | None],
    tell: Callable[[str], None],
) -> Iterator[Running]:
    """Have services run and be ready, on a private network of their own.

    Args:
        services: The services.
        engine: Where they run.
        owner: What they are marked with.
        credential: Returns what the registry of a reference asks for.
        tell: Told what takes long.

    Raises:
        UserError: A service ended, or was not ready in time; what it said is shown.
        PlatformError: The engine fails.
    """
    remove_forsaken(engine)
    if not services:
        yield Running(images={})
        return
    images = {each.name: fetch(engine, each.image, credential=credential).id for each in services}
    network = _network(owner)
    containers: list[Container] = []
    engine.make_network(network, owner)
    try:
        for each in services:
            tell(f"starting the service {each.name}")
            spec = _container(each, images[each.name], network=network, owner=owner)
            containers.append(engine.start(spec))
        for each, container in zip(services, containers, strict=True):
            _wait(each, container)
        yield Running(network=network, images=images)
    finally:
        for container in containers:
            with suppress(SteplineError):
                container.remove()
        with suppress(SteplineError):
            engine.remove_network(network)


def remove_forsaken(engine: ContainerEngine) -> None:
    """Remove containers and networks of tests whose process was killed."""
    gone = [each for each in engine.containers() if owners.is_orphaned(each.owner, kind=KIND)]
    for container in gone:
        with suppress(SteplineError):
            container.remove()
    for owner in {container.owner for container in gone}:
        with suppress(SteplineError):
            engine.remove_network(_network(owner))


def _network(owner: str) -> str:
    """Return the name of the one network that a process makes."""
    return f"stepline-test-{hashlib.sha256(owner.encode()).hexdigest()[:16]}"


def _container(service: ServiceSpec, image: str, *, network: str, owner: str) -> ContainerSpec:
    """Return a service's container; it is somebody's server, which may be root inside."""
    return ContainerSpec(
        image=image,
        command=service.command,
        owner=owner,
        environ=service.environ,
        limits=_LIMITS,
        user=service.user,
        trusted=True,
        network=network,
        alias=service.name,
        volumes=service.volumes,
        health=service.health,
    )


def _wait(service: ServiceSpec, container: Container) -> None:
    end = time.monotonic() + service.start_within_s
    while time.monotonic() < end:
        if container.healthy():
            return
        if (ended := container.wait(timeout_s=0)) is not None:
            why = f"ended with exit code {ended.exit_code}"
            raise UserError(_failure(service, container, why), hint="mend tests/services.yml")
        time.sleep(_POLL_S)
    why = f"was not ready after {service.start_within_s} s"
    hint = "its `health` tells when it is ready; startWithinSec gives it longer"
    raise UserError(_failure(service, container, why), hint=hint)


def _failure(service: ServiceSpec, container: Container, why: str) -> str:
    said = "\n".join(container.output().splitlines()[-_LAST_LINES:])
    return f"the service {service.name} {why}" + (f":\n{said}" if said else "")
