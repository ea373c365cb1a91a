"""What the file of the secrets holds: each value encrypted, and a seal over everything.

The file is a JSON object. A value is encrypted with AES-256-GCM; its name and the number
of its version are bound to it, so that no value passes for another. The seal, a tag over
all the rest, shows every other change. A deleted secret stays without a value, so that
the number of a version never comes twice.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from typing import Any

from stepline.frozen import frozen
from stepline.plugins.secrets_encrypted.keys import key_id

FORMAT = 1

_NONCE_BYTES = 12


class Damaged(Exception):
    """A content is not what was written."""


class NewerFormat(Exception):
    """A content was written by a version of Stepline that came later."""


@frozen
class Entry:
    """A secret as the file has it.

    Attributes:
        version: Number of its value, from 1.
        edits: How often the value was replaced since the secret was made.
        updated_at: When this was written, ISO 8601, UTC.
        sealed: The encrypted value; None where the secret is deleted.
    """

    version: int
    edits: int
    updated_at: str
    sealed: bytes | None


Entries = Mapping[str, Entry]


def encrypt(value: str, key: bytes, *, name: str, version: int) -> bytes:
    """Return a value's encrypted form."""
    return _seal(value.encode(), key, bound=_bound(name, version))


def decrypt(entry: Entry, key: bytes, *, name: str) -> str:
    """Return the value of an entry that has one.

    Raises:
        Damaged: It was not encrypted for this name, version and key.
    """
    data = _open(entry.sealed or b"", key, bound=_bound(name, entry.version))
    return data.decode()


def dump(entries: Entries, key: bytes) -> bytes:
    """Return the content of a file."""
    rows = {name: _row(entry) for name, entry in entries.items()}
    body: dict[str, Any] = {"format": FORMAT, "key": key_id(key), "secrets": rows}
    seal = _seal(b"", key, bound=_canonical(body))
    return json.dumps({**body, "seal": _text(seal)}, indent=1, sort_keys=True).encode() + b"\n"


class Content:
    """The content of a file, of which nothing is trusted before it is opened.

    Args:
        data: The file's bytes.

    Raises:
        Damaged: This never was a file of secrets, or not all of it is there.
        NewerFormat: A later version of Stepline wrote it.
    """

    def __init__(self, data: bytes) -> None:
        try:
            self._body = json.loads(data)
            self._seal = self._body.pop("seal")
            written = self._body["format"]
            self.key_id = str(self._body["key"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Damaged from error
        if written != FORMAT:
            raise NewerFormat

    def open(self, key: bytes) -> dict[str, Entry]:
        """Return what the file holds.

        Raises:
            Damaged: Something of it was changed, or the key is another.
        """
        try:
            _open(_data(self._seal), key, bound=_canonical(self._body))
            rows = self._body["secrets"]
            return {name: _entry(row) for name, row in rows.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Damaged from error


def _row(entry: Entry) -> dict[str, Any]:
    value = None if entry.sealed is None else _text(entry.sealed)
    return {
        "version": entry.version,
        "edits": entry.edits,
        "updated_at": entry.updated_at,
        "value": value,
    }


def _entry(row: Mapping[str, Any]) -> Entry:
    sealed = None if row["value"] is None else _data(row["value"])
    return Entry(row["version"], row["edits"], row["updated_at"], sealed)


def _bound(name: str, version: int) -> bytes:
    return f"stepline secret {version} {name}".encode()


def _canonical(body: Any) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def _seal(data: bytes, key: bytes, *, bound: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, bound)


def _open(sealed: bytes, key: bytes, *, bound: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return AESGCM(key).decrypt(nonce, text, bound)
    except (InvalidTag, ValueError) as error:  # too short for a nonce or a tag
        raise Damaged from error


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _data(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
