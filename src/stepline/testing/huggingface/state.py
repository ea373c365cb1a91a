"""What the Hub knows, and how commits change it."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from stepline.frozen import frozen
from stepline.testing.huggingface.record import HubCommit, HubFile, HubRepo, file_of
from stepline.testing.loopback.messages import RefusedError

LARGEST_REGULAR = 10 * 2**20
"""Bytes; a larger file goes to the store for large files whatever its name."""

_LARGE = (
    "7z arrow bin bz2 ckpt ftz gz h5 joblib model msgpack npy npz onnx parquet pb pickle pkl pt "
    "pth rar safetensors tar tflite tgz wasm xz zip zst"
).split()

ATTRIBUTES = "".join(f"*.{end} filter=lfs diff=lfs merge=lfs -text\n" for end in _LARGE).encode()
"""The ``.gitattributes`` that every repository starts with."""

ACCOUNT_OF_HUB = "system"


class HubError(RefusedError):
    """The Hub refuses, with the code that its client goes by.

    Args:
        status: HTTP status.
        message: The Hub's words.
        code: Such as ``RepoNotFound``; empty for none.
    """

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(status, message)
        self.code = code


@frozen(kw_only=True)
class Change:
    """What a commit does.

    Attributes:
        title: First line of its message.
        description: The rest.
        parent: Id of the commit that it must come after; None for whichever is newest.
        files: New content by path.
        large: SHA-256 and size in bytes of large files by path; they were uploaded before.
        deleted: Paths of files, or of folders with a final slash, that go first.
    """

    title: str
    description: str = ""
    parent: str | None = None
    files: Mapping[str, bytes]
    large: Mapping[str, tuple[str, int]]
    deleted: tuple[str, ...] = ()


class HubState:
    """Repositories and the bytes in them; the caller holds a lock.

    Args:
        now: Tells the time, in UTC.

    Attributes:
        repos: By kind and ``owner/name``.
        blobs: Content of all files, large and regular, by SHA-256.
        uploads: SHA-256 of each large file that was uploaded, once per time, in order.
        parts: By SHA-256 and number, from 1, what came of files that come in parts.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.repos: dict[tuple[str, str], HubRepo] = {}
        self.blobs: dict[str, bytes] = {}
        self.uploads: list[str] = []
        self.parts: dict[str, dict[int, bytes]] = {}
        self._now = now
        self._numbers = itertools.count(1)

    def repo(self, kind: str, id: str) -> HubRepo:
        """Return a repository.

        Raises:
            HubError: 404; there is none.
        """
        if (kind, id) not in self.repos:
            raise HubError(404, "Repository not found", "RepoNotFound")
        return self.repos[kind, id]

    def commit(self, repo: HubRepo, revision: str) -> HubCommit:
        """Return the commit of a revision: ``main`` or an id.

        Raises:
            HubError: 404; there is none.
        """
        if revision == "main":
            return repo.head
        for commit in repo.commits:
            if commit.id == revision:
                return commit
        raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def create(self, kind: str, id: str, *, private: bool) -> HubRepo:
        """Make a repository, with the commit that the Hub makes itself.

        Raises:
            HubError: 409; the name is taken.
        """
        if (kind, id) in self.repos:
            raise HubError(409, f"You already created this {kind} repo: {id}")
        files = {".gitattributes": self._keep(".gitattributes", ATTRIBUTES, large=False)}
        first = self._commit("", Change(title="initial commit", files={}, large={}), files)
        repo = HubRepo(kind, id, private, (replace(first, user=ACCOUNT_OF_HUB),))
        self.repos[kind, id] = repo
        return repo

    def upload(self, sha256: str, data: bytes) -> None:
        """Take a large file.

        Raises:
            HubError: 400; the bytes are not those that were announced.
        """
        if hashlib.sha256(data).hexdigest() != sha256:
            raise HubError(400, "the bytes do not match the announced SHA-256")
        self.blobs[sha256] = data
        self.uploads.append(sha256)

    def change(self, repo: HubRepo, change: Change, *, user: str) -> HubCommit:
        """Add a commit.

        Raises:
            HubError: 412, another commit was there first; 404, a file to delete is not
                there; 400, a large file was not uploaded.
        """
        if change.parent is not None and change.parent != repo.head.id:
            words = "A commit has happened since. Please refresh and try again."
            raise HubError(412, words)
        files = dict(repo.head.files)
        for path in change.deleted:
            _delete(files, path)
        for path, (sha256, size) in change.large.items():
            files[path] = self._large(path, sha256, size)
        for path, data in change.files.items():
            files[path] = self._keep(path, data, large=False)
        commit = replace(self._commit(repo.head.id, change, files), user=user)
        self.repos[repo.kind, repo.id] = replace(repo, commits=(*repo.commits, commit))
        return commit

    def _large(self, path: str, sha256: str, size: int) -> HubFile:
        data = self.blobs.get(sha256)
        if data is None or len(data) != size:
            raise HubError(400, f'Your push was rejected because "{path}" was not uploaded')
        return file_of(path, data, large=True)

    def _keep(self, path: str, data: bytes, *, large: bool) -> HubFile:
        file = file_of(path, data, large=large)
        self.blobs[file.sha256] = data
        return file

    def _commit(self, parent: str, change: Change, files: Mapping[str, HubFile]) -> HubCommit:
        named = f"{next(self._numbers)} {parent} {change.title}".encode()
        return HubCommit(
            id=hashlib.sha1(named, usedforsecurity=False).hexdigest(),
            parent=parent,
            title=change.title,
            description=change.description,
            user="",
            created_at=self._now(),
            files=files,
        )


def is_large(path: str, *, size: int, sample: bytes) -> bool:
    """Return whether a file goes to the store for large files.

    Args:
        path: Its path.
        size: Bytes.
        sample: Its first 512 bytes.
    """
    ending = path.rpartition(".")[2].lower()
    return size > LARGEST_REGULAR or ending in _LARGE or b"\0" in sample


def is_ignored(path: str, patterns: Iterable[str]) -> bool:
    """Return whether lines of a ``.gitignore`` leave out a file; plain patterns only."""
    lines = [line.strip() for line in patterns]
    rules = [line.strip("/") for line in lines if line and not line.startswith("#")]
    parts = path.split("/")
    return any(
        fnmatchcase(path, rule) or any(fnmatchcase(p, rule) for p in parts) for rule in rules
    )


def _delete(files: dict[str, HubFile], path: str) -> None:
    gone = [
        known for known in files if known == path or (path[-1:] == "/" and known.startswith(path))
    ]
    if not gone:
        raise HubError(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
    for known in gone:
        del files[known]
