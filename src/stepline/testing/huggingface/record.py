"""What the stand-in remembers: repositories with their commits, and the files in them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime

from stepline.frozen import frozen


@frozen
class HubFile:
    """A file of one commit.

    Attributes:
        path: From the repository's root.
        size: Bytes.
        sha256: Hex digits of the content, for files of both kinds.
        blob_id: Git's name of the content; of a large file, of the pointer to it.
        large: Whether it is kept in the store for large files (LFS).
    """

    path: str
    size: int
    sha256: str
    blob_id: str
    large: bool


@frozen
class HubCommit:
    """A commit: what was said of it, and all files as they are after it.

    Attributes:
        id: 40 hex digits.
        parent: Id of the commit before; empty for the first.
        title: First line of the message.
        description: The rest of the message.
        user: Who made it.
        created_at: When, in UTC.
        files: All files by path.
    """

    id: str
    parent: str
    title: str
    description: str
    user: str
    created_at: datetime
    files: Mapping[str, HubFile] = field(repr=False)


@frozen
class HubRepo:
    """A repository with all its commits, oldest first.

    Attributes:
        kind: ``dataset`` or ``model``.
        id: ``owner/name``.
        private: Whether others cannot see it.
        commits: From the one that the Hub itself makes on, oldest first.
    """

    kind: str
    id: str
    private: bool
    commits: tuple[HubCommit, ...]

    @property
    def owner(self) -> str:
        """Return who it belongs to."""
        return self.id.partition("/")[0]

    @property
    def head(self) -> HubCommit:
        """Return the newest commit."""
        return self.commits[-1]


def file_of(path: str, data: bytes, *, large: bool) -> HubFile:
    """Return what a commit says of a file with this content."""
    sha256 = hashlib.sha256(data).hexdigest()
    stored = pointer(sha256, len(data)) if large else data
    return HubFile(path, len(data), sha256, git_id(stored), large)


def pointer(sha256: str, size: int) -> bytes:
    """Return what git keeps in place of a large file.

    Source:
        Git LFS specification, the pointer.
    """
    version = "https://git-lfs.github.com/spec/v1"
    return f"version {version}\noid sha256:{sha256}\nsize {size}\n".encode()


def git_id(data: bytes) -> str:
    """Return git's name of a blob, 40 hex digits."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
