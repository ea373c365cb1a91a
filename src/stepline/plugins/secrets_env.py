"""Secret backend ``env``: values from environment variables of the platform."""

from __future__ import annotations

from collections.abc import Mapping

from stepline.errors import SecretNotFound
from stepline.ports.hookspecs import hookimpl
from stepline.ports.secrets import SecretBackend, SecretValue


class EnvironmentSecrets:
    """Reads secrets from a mapping of environment variables."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def read(self, name: str) -> SecretValue:
        """Return the value of the variable ``name``."""
        if name not in self._environ:
            raise SecretNotFound(
                f"the environment variable {name}, which is to hold a secret, is not set",
                hint=f"export {name} in the shell that starts Stepline",
            )
        return SecretValue(self._environ[name], version=f"env:{name}")


@hookimpl
def stepline_secret_backend(name: str, environ: Mapping[str, str]) -> SecretBackend | None:
    """Provide the backend ``env``."""
    return EnvironmentSecrets(environ) if name == "env" else None
