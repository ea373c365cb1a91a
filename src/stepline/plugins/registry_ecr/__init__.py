"""Registry kind ``ecr``: tokens of AWS's container registry, from a key or a role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from stepline.ports.hookspecs import hookimpl

if TYPE_CHECKING:
    from stepline.ports.engine import CredentialSource
    from stepline.settings import RegistryLogin


@hookimpl
def stepline_registry_credential(
    kind: str, host: str, login: RegistryLogin, secret: str, environ: Mapping[str, str]
) -> CredentialSource | None:
    """Provide tokens of a registry of AWS."""
    if kind != "ecr":
        return None
    from stepline.plugins.registry_ecr.tokens import EcrTokens

    return EcrTokens(host, login, secret=secret, environ=environ)
