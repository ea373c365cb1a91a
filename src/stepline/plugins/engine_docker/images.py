"""Images that a Docker Engine holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepline.errors import UserError
from stepline.plugins.engine_docker.connection import Client
from stepline.ports.engine import EngineImage


def find_image(client: Client, reference: str) -> EngineImage | None:
    """Return an image by id, tag or digest; None where the engine does not have it."""
    from docker.errors import NotFound

    try:
        return read_image(client.inspect_image(reference))
    except NotFound:
        return None


def all_images(client: Client) -> list[EngineImage]:
    """Return all images of an engine; one that goes away meanwhile is left out."""
    found = (find_image(client, str(each["Id"])) for each in client.images())
    return [each for each in found if each is not None]


def read_image(told: Mapping[str, Any]) -> EngineImage:
    """Return an image from what an engine tells of it."""
    config = told.get("Config") or {}
    command = [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]
    return EngineImage(
        id=told["Id"],
        tags=tuple(told.get("RepoTags") or ()),
        digests=tuple(told.get("RepoDigests") or ()),
        os=told.get("Os", ""),
        architecture=told.get("Architecture", ""),
        command=tuple(command),
        layers=tuple((told.get("RootFS") or {}).get("Layers") or ()),
        size=told.get("Size", 0),
        config=config,
    )


def untag(client: Client, reference: str) -> None:
    """Remove a reference; no error where it is gone."""
    from docker.errors import NotFound

    try:
        # By force it only loses its name where a container uses it.
        client.remove_image(reference, force=True, noprune=True)
    except NotFound:
        pass


def remove_image(client: Client, image_id: str) -> int:
    """Remove an image with all its references; return the bytes that no other one has.

    Raises:
        UserError: A container uses it.
    """
    users = client.containers(all=True, filters={"ancestor": image_id})
    if users:
        names = ", ".join(str(each["Id"])[:12] for each in users)
        hint = "end and remove them first"
        raise UserError(f"containers use the image {image_id}: {names}", hint=hint)
    own = _own_bytes(client, image_id)
    client.remove_image(image_id, force=True, noprune=True)
    return own


def _own_bytes(client: Client, image_id: str) -> int:
    """Return the size of the layers that only this image has."""
    for each in client.df().get("Images") or ():
        if each["Id"] == image_id:
            return max(0, int(each["Size"]) - max(0, int(each.get("SharedSize", 0))))
    return 0
