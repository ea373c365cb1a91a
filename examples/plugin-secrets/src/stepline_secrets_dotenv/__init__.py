"""Secret backend ``dotenv``: values from the lines ``NAME=value`` of a ``.env`` file.

The file is ``.env`` in the current folder, or what the variable ``STEPLINE_DOTENV`` names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stepline.errors import Location, SettingsError
from stepline.ports.hookspecs import hookimpl
from stepline.ports.secrets import SecretBackend, SecretValue


class DotenvSecrets:
    """Reads secrets from one file, anew each time, so that a changed value counts at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, name: str) -> SecretValue:
        """Return the value of the line ``name=value``; the last such line counts."""
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"cannot be read: {error}",
                where=Location(str(self._path)),
                hint="name another file in STEPLINE_DOTENV",
            ) from error
        for number in range(len(lines), 0, -1):
            key, equals, value = lines[number - 1].partition("=")
            if equals and key.strip().removeprefix("export ") == name:
                return SecretValue(_unquoted(value.strip()), version=f"line {number}")
        raise SettingsError(
            f"no line sets {name}",
            where=Location(str(self._path)),
            hint=f"add the line {name}=value",
        )


def _unquoted(value: str) -> str:
    for quote in ("'", '"'):
        if len(value) >= 2 and value[0] == value[-1] == quote:
            return value[1:-1]
    return value


@hookimpl
def stepline_secret_backend(name: str, environ: Mapping[str, str]) -> SecretBackend | None:
    """Provide the backend ``dotenv``."""
    if name != "dotenv":
        return None
    return DotenvSecrets(Path(environ.get("STEPLINE_DOTENV", ".env")))
