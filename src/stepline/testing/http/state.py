"""What the stand-in knows: versions by the path that they were pushed to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from stepline.frozen import frozen
from stepline.testing.http.wire import ReceivedFile
from stepline.testing.loopback.messages import RefusedError


@frozen
class HttpFile:
    """A file of a version; size in bytes."""

    name: str
    size: int
    sha256: str


@frozen(kw_only=True)
class HttpVersion:
    """A version, counted from 1 at its path.

    Attributes:
        number: Its place.
        key: The idempotency key that it came with; empty for what the test put there.
        content: Said to be the same for the same content.
        note: What the user says of it.
        body_sha256: Of the request's body, in hex digits.
        files: The files, by name.
        created_at: In UTC.
    """

    number: int
    key: str
    content: str
    note: str
    body_sha256: str
    files: tuple[HttpFile, ...]
    created_at: datetime


def _utc_now() -> datetime:
    return datetime.now(tz=UTC)


class HttpState:
    """Versions and their bytes; not thread-safe, so callers hold one lock.

    Args:
        now: Clock; returns the time in UTC.
    """

    def __init__(self, now: Callable[[], datetime] = _utc_now) -> None:
        self.versions: dict[str, list[HttpVersion]] = {}
        self.blobs: dict[str, bytes] = {}
        self._now = now

    def known(self, path: str, key: str, *, body_sha256: str) -> HttpVersion | None:
        """Return the version that a key made before.

        Raises:
            RefusedError: 422; the key came with another body then.
        """
        for version in self.versions.get(path, []):
            if version.key == key and version.body_sha256 != body_sha256:
                raise RefusedError(422, "the Idempotency-Key was used for something else")
            if version.key == key:
                return version
        return None

    def check_newest(self, path: str, *, match: str, none_match: str) -> None:
        """Refuse what was meant for another state.

        Args:
            path: Where to.
            match: ``If-Match``: the version that must be the newest, in quotes, or empty.
            none_match: ``If-None-Match``: ``*`` where there must be none, or empty.

        Raises:
            RefusedError: 412.
        """
        versions = self.versions.get(path, [])
        newest = f'"{versions[-1].number}"' if versions else ""
        if (match and match != newest) or (none_match == "*" and newest):
            raise RefusedError(412, f"the newest version is {newest or 'none'}")

    def add(
        self,
        path: str,
        files: Sequence[ReceivedFile],
        *,
        key: str = "",
        content: str = "",
        note: str = "",
        body_sha256: str = "",
    ) -> HttpVersion:
        """Add a version and return it."""
        versions = self.versions.setdefault(path, [])
        version = HttpVersion(
            number=len(versions) + 1,
            key=key,
            content=content,
            note=note,
            body_sha256=body_sha256,
            files=tuple(self._keep(file) for file in files),
            created_at=self._now(),
        )
        versions.append(version)
        return version

    def content(self, path: str, number: int, *, name: str) -> bytes:
        """Return the bytes of a file of a version.

        Raises:
            RefusedError: 404; there is none.
        """
        for version in self.versions.get(path, []):
            for file in version.files if version.number == number else ():
                if file.name == name:
                    return self.blobs[file.sha256]
        raise RefusedError(404, f"there is no {name} in version {number}")

    def _keep(self, file: ReceivedFile) -> HttpFile:
        sha256 = hashlib.sha256(file.data).hexdigest()
        self.blobs[sha256] = file.data
        return HttpFile(file.name, len(file.data), sha256)
