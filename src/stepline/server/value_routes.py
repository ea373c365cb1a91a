"""Shared settings and secrets."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import ConfigDict
from starlette.responses import Response

from stepline.server.parts import Body, TheService

router = APIRouter(prefix="/v1", tags=["values"])


class SettingBody(Body):
    """A shared setting's value."""

    value: Any


class SecretBody(Body):
    """A secret's value, which is not shown where it is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    value: str


@router.get("/settings")
def settings(service: TheService) -> dict[str, Any]:
    """Return all shared settings."""
    values = service.settings.all()
    return {"items": [{"name": name, "value": values[name]} for name in sorted(values)]}


@router.put("/settings/{name}", status_code=204, response_class=Response)
def set_setting(service: TheService, name: str, *, given: SettingBody) -> None:
    """Store a shared setting."""
    service.settings.set(name, given.value)


@router.delete("/settings/{name}", status_code=204, response_class=Response)
def delete_setting(service: TheService, name: str) -> None:
    """Remove a shared setting."""
    service.settings.delete(name)


@router.get("/secrets")
def secrets(service: TheService) -> dict[str, Any]:
    """Return what may be shown of all secrets."""
    return {
        "items": [
            {
                "name": each.name,
                "version": each.version,
                "edits": each.edits,
                "updatedAt": each.updated_at,
            }
            for each in service.secrets.list()
        ]
    }


@router.put("/secrets/{name}")
def set_secret(service: TheService, name: str, *, given: SecretBody) -> dict[str, Any]:
    """Store a secret."""
    return {"name": name, "version": service.secrets.put(name, given.value)}


@router.delete("/secrets/{name}", status_code=204, response_class=Response)
def delete_secret(service: TheService, name: str) -> None:
    """Remove a secret that no pipeline uses."""
    service.secrets.delete(name, pipelines=service.pipelines.all())
