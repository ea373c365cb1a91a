"""Secret backend ``file``: each value is the content of a file.

The way in which container platforms and systemd hand out secrets. One final newline
is not part of the value.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stepline.errors import Location, SettingsError
from stepline.ports.hookspecs import hookimpl
from stepline.ports.secrets import SecretBackend, SecretValue


class FileSecrets:
    """Reads secrets from files."""

    def read(self, name: str) -> SecretValue:
        """Return the content of the file ``name``."""
        path = Path(name)
        try:
            text = path.read_text(encoding="utf-8")
            changed = path.stat().st_mtime_ns
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise SettingsError(
                f"the secret in this file cannot be read: {reason}",
                where=Location(name),
                hint="name a readable text file that holds the value and nothing else",
            ) from error
        return SecretValue(text.removesuffix("\n").removesuffix("\r"), version=f"file:{changed}")


@hookimpl
def stepline_secret_backend(name: str, environ: Mapping[str, str]) -> SecretBackend | None:
    """Provide the backend ``file``."""
    return FileSecrets() if name == "file" else None
