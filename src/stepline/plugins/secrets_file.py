"""Secret backend ``file``: each value is the content of a file.

The way in which container platforms and systemd hand out secrets. One final newline
is not part of the value. A pipe, such as a shell's ``<(command)``, is read once.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from stepline.errors import Location, SettingsError
from stepline.ports.hookspecs import hookimpl
from stepline.ports.secrets import SecretBackend, SecretValue

LONGEST_SECRET = 65_536


class FileSecrets:
    """Reads secrets from files."""

    def __init__(self) -> None:
        self._from_pipes: dict[str, SecretValue] = {}

    def read(self, name: str) -> SecretValue:
        """Return the content of the file ``name``, at most 65,536 bytes."""
        if name in self._from_pipes:
            return self._from_pipes[name]
        try:
            with open(name, "rb") as file:
                status = os.fstat(file.fileno())
                content = file.read(LONGEST_SECRET + 1)
            text = content.decode("utf-8-sig")
        except OSError as error:
            raise _refused(name, error.strerror or str(error)) from error
        except UnicodeDecodeError:
            raise _refused(name, "it is not UTF-8 text") from None  # the cause holds the value
        if len(content) > LONGEST_SECRET:
            raise _refused(name, f"it has over {LONGEST_SECRET:,} bytes")
        value = text.removesuffix("\n").removesuffix("\r")
        secret = SecretValue(value, version=f"file:{status.st_mtime_ns}")
        if not stat.S_ISREG(status.st_mode):
            self._from_pipes[name] = secret
        return secret


def _refused(name: str, reason: str) -> SettingsError:
    return SettingsError(
        f"the secret in this file cannot be read: {reason}",
        where=Location(name),
        hint="name a readable text file that holds the value and nothing else",
    )


@hookimpl
def stepline_secret_backend(name: str, environ: Mapping[str, str]) -> SecretBackend | None:
    """Provide the backend ``file``."""
    return FileSecrets() if name == "file" else None
