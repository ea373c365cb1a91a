"""The store: reads without a lock, changes under one, and never over what it cannot read."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from stepline.errors import Location, PlatformError, SecretNotFound, SettingsError
from stepline.plugins.secrets_encrypted.disk import locked, read_file, replace_file
from stepline.plugins.secrets_encrypted.keys import (
    KEY_BYTES,
    VARIABLE,
    key_from_environment,
    key_id,
    new_key,
    read_keys,
    write_keys,
)
from stepline.plugins.secrets_encrypted.sealed import (
    Content,
    Damaged,
    Entry,
    NewerFormat,
    decrypt,
    dump,
    encrypt,
)
from stepline.ports.secrets import (
    SecretInfo,
    SecretValue,
    check_secret_name,
    check_secret_value,
)

# Between reading the secrets and reading the key, another process may change both.
_TRIES = 3


class _Opened(NamedTuple):
    """The secrets, and the key that opened them; empty where there are no secrets yet."""

    entries: dict[str, Entry]
    key: bytes


class EncryptedSecrets:
    """Secrets in an encrypted file of a folder.

    Args:
        folder: Where the files are; made at the first change.
        environ: Environment variables; ``STEPLINE_SECRETS_KEY`` is the key, if it is set.
        now: Returns the time, ISO 8601 in UTC.
    """

    def __init__(
        self,
        folder: Path,
        environ: Mapping[str, str],
        *,
        now: Callable[[], str] | None = None,
    ) -> None:
        self._file = folder / "secrets.json"
        self._key_file = folder / "secrets.key"
        self._lock_file = folder / "secrets.lock"
        self._given_key = key_from_environment(environ)
        self._now = now or _utc_now
        self._kept: tuple[bytes, _Opened] | None = None

    def read(self, name: str) -> SecretValue:
        """Return the newest value of a secret; its version is a number."""
        check_secret_name(name)
        entries, key = self._open()
        entry = _live(entries, name)
        return SecretValue(self._decrypted(entry, key, name=name), str(entry.version))

    def put(self, name: str, value: str) -> int:
        """Store a value; return the number of its version."""
        check_secret_name(name)
        check_secret_value(name, value)
        with locked(self._lock_file):
            entries, key = self._open()
            key = key or self._first_key()
            entry = self._next(entries.get(name), value, key=key, name=name)
            self._write({**entries, name: entry}, key)
        return entry.version

    def delete(self, name: str) -> None:
        """Remove a secret; the number of its version stays, and is not used again."""
        check_secret_name(name)
        with locked(self._lock_file):
            entries, key = self._open()
            gone = replace(_live(entries, name), sealed=None, updated_at=self._now())
            self._write({**entries, name: gone}, key)

    def list(self) -> Sequence[SecretInfo]:
        """Return what may be shown of all secrets, by name."""
        return [
            SecretInfo(name, entry.version, entry.edits, entry.updated_at)
            for name, entry in sorted(self._open().entries.items())
            if entry.sealed is not None
        ]

    def rotate(self, key: bytes | None = None) -> None:
        """Encrypt all secrets anew with another key.

        Whatever fails, or is killed, on the way: the secrets stay readable.

        Args:
            key: 32 bytes; None for a new key in the key file. A key that came from the
                environment must be given, and put there before the next start.

        Raises:
            SettingsError: The key is none or, in the environment, not another one; or the
                one in use is missing or wrong.
            PlatformError: The secrets are damaged or cannot be stored.
        """
        if key is None and self._given_key is not None:
            raise SettingsError(
                f"the key is from {VARIABLE}, where a new one cannot be put from here",
                hint="give the new key, then set the variable to it",
            )
        fresh = new_key() if key is None else key
        if len(fresh) != KEY_BYTES:
            raise SettingsError(
                f"a key has {KEY_BYTES} bytes, not {len(fresh)}",
                hint=f"take {KEY_BYTES} random bytes",
            )
        with locked(self._lock_file):
            self._change_key(fresh)

    def _change_key(self, fresh: bytes) -> None:
        entries, old = self._open()
        if fresh == self._given_key:
            raise SettingsError("the new key is the one in use", hint="give another key")
        renewed = {
            name: self._renewed(name, entry, old=old, fresh=fresh)
            for name, entry in entries.items()
        }
        if self._given_key is None:
            write_keys(self._key_file, [fresh, old] if old else [fresh])
        if old:
            self._write(renewed, fresh)
        if self._given_key is None:
            write_keys(self._key_file, [fresh])
        else:
            self._given_key = fresh

    def _renewed(self, name: str, entry: Entry, *, old: bytes, fresh: bytes) -> Entry:
        if entry.sealed is None:
            return entry
        value = self._decrypted(entry, old, name=name)
        return replace(entry, sealed=encrypt(value, fresh, name=name, version=entry.version))

    def _next(self, before: Entry | None, value: str, *, key: bytes, name: str) -> Entry:
        version = before.version + 1 if before else 1
        edits = before.edits + 1 if before and before.sealed is not None else 0
        sealed = encrypt(value, key, name=name, version=version)
        return Entry(version, edits, self._now(), sealed)

    def _first_key(self) -> bytes:
        """Return the key for the first secret; a new one is on the disk before it is used."""
        if self._given_key is not None:
            return self._given_key
        keys = read_keys(self._key_file)
        if not keys:
            keys = [new_key()]
            write_keys(self._key_file, keys)
        return keys[0]

    def _open(self) -> _Opened:
        """Return the secrets.

        Raises:
            SettingsError: The key is missing, wrong or readable by others.
            PlatformError: The file is damaged or cannot be read.
        """
        for _ in range(_TRIES):
            data = read_file(self._file)
            if data is None:
                return _Opened({}, b"")
            keys = self._keys()
            kept = self._kept
            if kept is not None and kept[0] == data and kept[1].key in keys:
                return kept[1]
            content = self._parsed(data)
            for key in keys:
                if key_id(key) == content.key_id:
                    opened = _Opened(self._opened(content, key), key)
                    self._kept = (data, opened)
                    return opened
        raise self._no_key(bool(keys))

    def _keys(self) -> Sequence[bytes]:
        return read_keys(self._key_file) if self._given_key is None else [self._given_key]

    def _parsed(self, data: bytes) -> Content:
        try:
            return Content(data)
        except Damaged as error:
            raise self._damaged() from error
        except NewerFormat as error:
            raise SettingsError(
                "a later version of Stepline wrote the secrets",
                where=Location(str(self._file)),
                hint="update Stepline",
            ) from error

    def _opened(self, content: Content, key: bytes) -> dict[str, Entry]:
        try:
            return content.open(key)
        except Damaged as error:
            raise self._damaged() from error

    def _decrypted(self, entry: Entry, key: bytes, *, name: str) -> str:
        try:
            return decrypt(entry, key, name=name)
        except Damaged as error:
            raise self._damaged() from error

    def _write(self, entries: Mapping[str, Entry], key: bytes) -> None:
        replace_file(self._file, dump(entries, key))

    def _damaged(self) -> PlatformError:
        return PlatformError(
            "the file of the secrets is damaged",
            where=Location(str(self._file)),
            hint="put the file of your backup in its place, or move it away and set the "
            "secrets again",
        )

    def _no_key(self, any_key: bool) -> SettingsError:
        if self._given_key is not None:
            return SettingsError(
                f"the key in {VARIABLE} is not the one of the secrets in {self._file}",
                hint="set it to the key that they were stored with; "
                "unset it if that is in a key file",
            )
        fault = "is not the one of the secrets" if any_key else "is missing, and there are secrets"
        return SettingsError(
            f"the key {fault} in {self._file}",
            where=Location(str(self._key_file)),
            hint=f"put the key file of your backup there, or set {VARIABLE}; without the key, "
            "move the secrets away and set them again",
        )


def _live(entries: Mapping[str, Entry], name: str) -> Entry:
    entry = entries.get(name)
    if entry is None or entry.sealed is None:
        raise SecretNotFound(
            f"there is no secret '{name}'", hint=f"set it: stepline secret set {name}"
        )
    return entry


def _utc_now() -> str:
    at = time.time()
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
    return f"{whole}.{int(at % 1 * 1000):03d}Z"
