"""The key of the encrypted secrets: from the environment, or from a file only we may read.

While the key is being changed, the key file has two lines, the new key and the one
before: whichever the secrets were encrypted with is there, whenever the power fails.
"""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from stepline.errors import Location, SettingsError
from stepline.plugins.secrets_encrypted.disk import replace_file

KEY_BYTES = 32
VARIABLE = "STEPLINE_SECRETS_KEY"

_LONGEST_FILE = 4096


def new_key() -> bytes:
    """Return a key that nobody knows."""
    return os.urandom(KEY_BYTES)


def key_id(key: bytes) -> str:
    """Return what tells a key from others, and nothing about it."""
    return hashlib.sha256(b"stepline secrets key\0" + key).hexdigest()[:16]


def key_from_environment(environ: Mapping[str, str]) -> bytes | None:
    """Return the key of ``STEPLINE_SECRETS_KEY``; None where it is not set.

    Raises:
        SettingsError: It is set, and is no key.
    """
    text = environ.get(VARIABLE)
    if text is None:
        return None
    key = _decoded(text)
    if key is None:
        raise SettingsError(
            f"the environment variable {VARIABLE} is not {KEY_BYTES} bytes in base64",
            hint=f"make one: {VARIABLE}=$(head -c {KEY_BYTES} /dev/urandom | base64); "
            "unset it to use a key file",
        )
    return key


def read_keys(path: Path) -> list[bytes]:
    """Return the keys of a key file, the newest first; none where there is no file.

    Raises:
        SettingsError: Others may read it, we may not, or it is damaged.
    """
    where = Location(str(path))
    try:
        with open(path, "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(_LONGEST_FILE)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SettingsError(
            f"the key of the secrets cannot be read: {error.strerror or error}",
            where=where,
            hint="let the user who runs Stepline own it, with mode 600",
        ) from error
    if mode & 0o077:
        raise SettingsError(
            f"the key of the secrets may be used by others: its mode is {mode:o}",
            where=where,
            hint=f"chmod 600 '{path}'",
        )
    return _keys_of(content, where)


def _keys_of(content: bytes, where: Location) -> list[bytes]:
    keys = [_decoded(line.decode("latin-1")) for line in content.splitlines()]
    sound = [key for key in keys if key is not None]
    if not sound or len(sound) < len(keys):
        raise SettingsError(
            f"the key file is damaged: it does not hold {KEY_BYTES} bytes in base64",
            where=where,
            hint="put the key file of your backup in its place",
        )
    return sound


def write_keys(path: Path, keys: Sequence[bytes]) -> None:
    """Replace the key file.

    Raises:
        PlatformError: It cannot be written; it is as it was.
    """
    replace_file(path, b"".join(base64.b64encode(key) + b"\n" for key in keys))


def _decoded(text: str) -> bytes | None:
    try:
        key = base64.b64decode(text.strip().translate({45: 43, 95: 47}), validate=True)
    except ValueError:  # the text is not shown: it may be a key but for one character
        return None
    return key if len(key) == KEY_BYTES else None
