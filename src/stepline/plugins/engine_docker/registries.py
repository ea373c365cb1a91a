"""Images to and from registries; the engine speaks with them, and gets what they ask for.

A credential goes along in a header of the one request that needs it. Nothing is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from stepline.errors import PlatformError, UserError
from stepline.model.image import PLATFORM_ARCHITECTURE, PLATFORM_OS, split_reference
from stepline.plugins.engine_docker.connection import Client
from stepline.plugins.engine_docker.faults import said_by
from stepline.plugins.engine_docker.images import find_image
from stepline.plugins.engine_docker.registry_faults import Asked, NotInRegistry, registry_fault
from stepline.ports.engine import Credential, EngineImage

_PLATFORM = f"{PLATFORM_OS}/{PLATFORM_ARCHITECTURE}"


class _Refused(Exception):
    """A registry, or the engine on its way to it, said in the stream of an answer."""


def pull(client: Client, reference: str, *, credential: Credential | None) -> EngineImage:
    """Fetch an image; one that is named by digest and is here is not asked for again.

    Raises:
        UserError: The registry refuses or does not have it, or it is for another platform.
        PlatformError: The registry cannot be reached.
    """
    known = find_image(client, reference)
    image = (
        known if known and "@" in reference else _fetched(client, reference, credential=credential)
    )
    platform = f"{image.os}/{image.architecture}"
    if platform != _PLATFORM:
        if known is None:
            client.remove_image(reference, noprune=True)
        raise UserError(
            f"the image {reference} is for {platform}, and tasks run on {_PLATFORM}",
            hint=f"build it for {_PLATFORM}",
        )
    return image


def _fetched(client: Client, reference: str, *, credential: Credential | None) -> EngineImage:
    repository, tag = split_reference(reference)
    with _asking(Asked("pull", reference, credential)):
        answers = client.pull(
            repository if tag else reference,
            tag=tag or None,
            stream=True,
            decode=True,
            auth_config=_login(credential),
            platform=_PLATFORM,
        )
        for _ in _heard(answers):
            pass
    image = find_image(client, reference)
    if image is None:
        raise PlatformError(f"{reference} was pulled, and the engine does not have it")
    return image


def push(client: Client, image_id: str, *, reference: str, credential: Credential | None) -> str:
    """Send an image to a registry; return the digest of its manifest.

    Raises:
        UserError: The registry refuses.
        PlatformError: The registry cannot be reached.
    """
    repository, tag = split_reference(reference)
    before = find_image(client, reference)
    client.tag(image_id, repository, tag)
    try:
        with _asking(Asked("push", reference, credential)):
            answers = client.push(
                repository, tag=tag, stream=True, decode=True, auth_config=_login(credential)
            )
            digest = _digest(_heard(answers))
    except BaseException:
        _restore(client, reference, before=before)
        raise
    return digest


def remote_digest(client: Client, reference: str, *, credential: Credential | None) -> str | None:
    """Return the digest that a registry's reference points at; None where there is none."""
    try:
        with _asking(Asked("look up", reference, credential)):
            told = client.inspect_distribution(reference, auth_config=_login(credential))
    except NotInRegistry:
        return None
    return str(told["Descriptor"]["digest"])


def _login(credential: Credential | None) -> dict[str, str]:
    """Return what the engine takes as a login; never None, for which docker-py looks for one."""
    if credential is None:
        return {}
    return {
        "username": credential.username,
        "password": credential.password,
        "serveraddress": credential.server,
    }


@contextmanager
def _asking(asked: Asked) -> Iterator[None]:
    """Turn what a registry says into our errors; those of the engine itself pass."""
    from docker.errors import APIError

    try:
        yield
    except _Refused as refused:
        # The cause would show what the registry said in its own words, secrets included.
        raise registry_fault(str(refused), asked) from None
    except APIError as error:
        raise registry_fault(said_by(error), asked) from None


def _heard(answers: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    error = ""
    # Read to its end, an answer gives its connection back.
    for answer in answers:
        error = error or str(answer.get("error", ""))
        if not error:
            yield answer
    if error:
        raise _Refused(error)


def _digest(answers: Iterable[Mapping[str, Any]]) -> str:
    digest = ""
    for answer in answers:
        digest = str((answer.get("aux") or {}).get("Digest") or digest)
    if not digest:
        raise PlatformError("the engine pushed an image and does not say its digest")
    return digest


def _restore(client: Client, reference: str, *, before: EngineImage | None) -> None:
    """Let a reference of the engine point at what it did before."""
    if before is not None:
        repository, tag = split_reference(reference)
        client.tag(before.id, repository, tag)
        return
    image = find_image(client, reference)
    # With its only name, an image would go too.
    if image is not None and len(image.tags) > 1:
        client.remove_image(reference, noprune=True)
