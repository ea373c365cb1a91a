"""Secret backend ``prompt``: values that a person types, unseen."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from stepline.errors import SettingsError
from stepline.ports.hookspecs import hookimpl
from stepline.ports.secrets import SecretBackend, SecretValue


class PromptedSecrets:
    """Asks for each secret once."""

    def __init__(self) -> None:
        self._typed: dict[str, SecretValue] = {}

    def read(self, name: str) -> SecretValue:
        """Return what the person at the terminal types for ``name``."""
        if name not in self._typed:
            self._typed[name] = SecretValue(self._ask(name), version="prompt")
        return self._typed[name]

    def _ask(self, name: str) -> str:
        import getpass

        if not sys.stdin.isatty():
            raise SettingsError(
                f"there is no terminal to ask for the secret '{name}'",
                hint="give it by env:VARIABLE or file:PATH",
            )
        return getpass.getpass(f"{name}: ")


@hookimpl
def stepline_secret_backend(name: str, environ: Mapping[str, str]) -> SecretBackend | None:
    """Provide the backend ``prompt``."""
    return PromptedSecrets() if name == "prompt" else None
