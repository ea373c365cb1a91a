"""Resumable uploads in a folder: one folder each, with the bytes and what is known of them.

The offset of an upload is the size of its file, so nothing can disagree about it. The
digest is taken as the bytes pass; after a restart it is taken anew, from the file. A lock
on the file admits one caller at a time; the kernel lifts it from one that was killed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, Protocol

from stepline.errors import UploadError
from stepline.frozen import frozen
from stepline.model.values import Json
from stepline.plugins.files_local.disk import disk_error
from stepline.plugins.files_local.durable import make_synced
from stepline.plugins.files_local.replacing import remove
from stepline.ports.files import Blob
from stepline.ports.freed import Freed
from stepline.ports.uploads import (
    DigestMismatch,
    UnknownUpload,
    Upload,
    UploadInUse,
    WrongOffset,
)

CHUNK_BYTES = 1024 * 1024
GIVEN_UP_S = 7 * 24 * 3600.0
_ID = re.compile(r"[0-9a-f]{32}")
_KEPT = "the upload cannot be kept"
# Digests in progress; an upload whose own was dropped is read again when it is finished.
_DIGESTS = 1000


class BlobTaker(Protocol):
    """The store that finished uploads go to."""

    def take(self, digests: Mapping[str, str]) -> None:
        """Take over files whose SHA-256 is known."""

    def reuse(self, sha256: str, size: int) -> bool:
        """Publish bytes that are there already; False where they are not."""


@frozen
class _Digest:
    """The digest of an upload's first bytes.

    Attributes:
        size: How many bytes.
        state: The hash object, which nobody updates; it is copied.
    """

    size: int
    state: Any


class FolderUploads:
    """Uploads in progress.

    Args:
        root: Their folder; made when the first begins.
        store: Where finished ones go; on the same disk.
    """

    def __init__(self, root: str, store: BlobTaker) -> None:
        self._root = root
        self._store = store
        self._mutex = threading.Lock()
        self._digests: OrderedDict[str, _Digest] = OrderedDict()

    def begin(self, size: int | None, about: Mapping[str, Json]) -> str:
        """Begin an upload and return its id, which cannot be guessed.

        Raises:
            UploadError: The size is negative.
            PlatformError: There is no place for it; retryable.
        """
        if size is not None and size < 0:
            raise UploadError(f"an upload cannot have {size} bytes")
        upload_id = os.urandom(16).hex()
        folder = os.path.join(self._root, upload_id)
        try:
            make_synced(self._root)
            os.mkdir(folder, mode=0o700)
            _write_json(os.path.join(folder, "about.json"), {"size": size, "about": dict(about)})
            # Last: an upload without this file is none.
            open(os.path.join(folder, "content"), "xb").close()
        except OSError as error:
            remove(folder)
            raise disk_error(error, _KEPT, retryable=True) from error
        return upload_id

    def get(self, upload_id: str) -> Upload:
        """Return an upload.

        Raises:
            UnknownUpload: There is none.
        """
        known = self._read(upload_id, "about.json")
        try:
            offset = os.stat(self._path(upload_id, "content")).st_size
        except FileNotFoundError:
            offset = self._read(upload_id, "finished.json")["size"]
        return Upload(upload_id, offset, known["size"], known["about"])

    def offset(self, upload_id: str) -> int:
        """Return where the next part has to begin.

        Raises:
            UnknownUpload: There is none.
        """
        return self.get(upload_id).offset

    def append(
        self, upload_id: str, offset: int, *, source: BinaryIO, limit: int | None = None
    ) -> int:
        """Take in a part and return the offset behind it; see the port.

        Raises:
            UploadError: The upload is unknown, in use or finished, the part begins at another
                offset, or is too long. Nothing of the part was kept.
            PlatformError: There is no place for it; retryable from `offset` on.
        """
        size = self.get(upload_id).size
        if self._is_finished(upload_id):
            raise UploadError("the upload is finished already", hint="begin a new one")
        with self._locked(upload_id) as file:
            here = os.fstat(file.fileno()).st_size
            if here != offset:
                raise WrongOffset(offset, here)
            part = _Part(file, self._digest_of(upload_id, file, here))
            rest = None if size is None else size - here
            try:
                part.take_all(
                    source, min((n for n in (limit, rest) if n is not None), default=None)
                )
            finally:
                self._remember(upload_id, part.digest())
            return part.digest().size

    def finish(self, upload_id: str, sha256: str | None = None) -> Blob:
        """Make a durable blob of the bytes. Doing so again returns the same blob.

        Raises:
            UploadError: The upload is unknown or in use, or its bytes are not all that were
                announced. The upload stays as it is.
            PlatformError: The blob cannot be kept; retryable.
        """
        size = self.get(upload_id).size
        if self._is_finished(upload_id):
            return self._finished_before(upload_id, sha256)
        with self._locked(upload_id) as file:
            here = os.fstat(file.fileno()).st_size
            if size not in (None, here):
                raise UploadError(
                    f"the upload has {here} of {size} bytes", hint="send the rest first"
                )
            actual = self._digest_of(upload_id, file, here).state.hexdigest()
            _check_digest(sha256, actual)
            self._sync(upload_id, file)
            try:
                # First: with the bytes gone this tells which blob they are.
                note = {"size": here, "sha256": actual}
                _write_json(self._path(upload_id, "finished.json"), note)
                self._store.take({self._path(upload_id, "content"): actual})
            except OSError as error:
                raise disk_error(error, _KEPT, retryable=True) from error
        self._forget(upload_id)
        return _blob(actual, here)

    def abort(self, upload_id: str) -> None:
        """Forget an upload and its bytes, but not a blob that was made of them.

        Raises:
            UploadInUse: A part is just being taken in.
        """
        try:
            with self._locked(upload_id):
                remove(self._path(upload_id))
        except UnknownUpload:
            if _ID.fullmatch(upload_id):
                remove(self._path(upload_id))
        self._forget(upload_id)

    def delete_given_up(self, *, dry_run: bool = False) -> Freed:
        """Forget uploads that nobody has touched for a week.

        Raises:
            PlatformError: They cannot be listed.
        """
        freed = Freed()
        for upload_id in self._all():
            if self._age_s(upload_id) > GIVEN_UP_S:
                with suppress(UploadInUse):
                    freed += self._size_of(upload_id) if dry_run else self._given_up(upload_id)
        return freed

    def finished_blobs(self) -> set[str]:
        """Return names of the blobs that were made of uploads which are not forgotten.

        Raises:
            PlatformError: They cannot be listed.
        """
        found = set()
        for upload_id in self._all():
            with suppress(UnknownUpload):
                found.add(f"sha256:{self._read(upload_id, 'finished.json')['sha256']}")
        return found

    def _all(self) -> list[str]:
        try:
            return [name for name in os.listdir(self._root) if _ID.fullmatch(name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise disk_error(error, "the uploads cannot be listed", retryable=True) from error

    def _given_up(self, upload_id: str) -> Freed:
        """Forget an upload, unless somebody touched it since."""
        with suppress(UnknownUpload), self._locked(upload_id):
            if self._age_s(upload_id) <= GIVEN_UP_S:
                return Freed()
            freed = self._size_of(upload_id)
            remove(self._path(upload_id))
            self._forget(upload_id)
            return freed
        # Without content, which is all that can be locked: finished, or half begun.
        freed = self._size_of(upload_id)
        self.abort(upload_id)
        return freed

    def _size_of(self, upload_id: str) -> Freed:
        try:
            return Freed(1, os.stat(self._path(upload_id, "content")).st_size)
        except OSError:
            return Freed(1)

    def _age_s(self, upload_id: str) -> float:
        times = [0.0]
        for name in ("", "content"):
            with suppress(OSError):
                times.append(os.stat(self._path(upload_id, name)).st_mtime)
        return time.time() - max(times)

    def _finished_before(self, upload_id: str, sha256: str | None) -> Blob:
        note = self._read(upload_id, "finished.json")
        _check_digest(sha256, note["sha256"])
        try:
            kept = self._store.reuse(note["sha256"], note["size"])
        except OSError as error:
            raise disk_error(error, _KEPT, retryable=True) from error
        if not kept:
            raise UnknownUpload(upload_id)
        return _blob(note["sha256"], note["size"])

    def _sync(self, upload_id: str, file: BinaryIO) -> None:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            # Another try may succeed without the bytes being there.
            remove(self._path(upload_id))
            self._forget(upload_id)
            raise disk_error(error, "the disk lost bytes of the upload", retryable=True) from error

    def _is_finished(self, upload_id: str) -> bool:
        return not os.path.exists(self._path(upload_id, "content"))

    def _path(self, upload_id: str, name: str = "") -> str:
        if not _ID.fullmatch(upload_id):
            raise UnknownUpload(upload_id)
        return os.path.join(self._root, upload_id, name)

    def _read(self, upload_id: str, name: str) -> Any:
        try:
            with open(self._path(upload_id, name), encoding="utf-8") as file:
                return json.load(file)
        except (FileNotFoundError, ValueError):
            raise UnknownUpload(upload_id) from None
        except OSError as error:
            raise disk_error(error, "the upload cannot be read") from error

    @contextmanager
    def _locked(self, upload_id: str) -> Iterator[BinaryIO]:
        import fcntl

        with self._open(upload_id) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise UploadInUse from error
            # It may have been finished or aborted since it was opened.
            if self._is_finished(upload_id):
                raise UnknownUpload(upload_id)
            yield file

    def _open(self, upload_id: str) -> BinaryIO:
        try:
            return open(self._path(upload_id, "content"), "r+b", buffering=0)
        except FileNotFoundError:
            raise UnknownUpload(upload_id) from None
        except OSError as error:
            raise disk_error(error, "the upload cannot be opened") from error

    def _digest_of(self, upload_id: str, file: BinaryIO, size: int) -> _Digest:
        with self._mutex:
            known = self._digests.get(upload_id)
        if known is not None and known.size == size:
            return known
        file.seek(0)
        state = hashlib.sha256()
        try:
            while chunk := file.read(CHUNK_BYTES):
                state.update(chunk)
        except OSError as error:
            raise disk_error(error, "the upload cannot be read", retryable=True) from error
        return _Digest(size, state)

    def _remember(self, upload_id: str, digest: _Digest) -> None:
        with self._mutex:
            self._digests[upload_id] = digest
            self._digests.move_to_end(upload_id)
            if len(self._digests) > _DIGESTS:
                self._digests.popitem(last=False)

    def _forget(self, upload_id: str) -> None:
        with self._mutex:
            self._digests.pop(upload_id, None)


class _Part:
    """One part on its way into an upload's file.

    Args:
        file: The file, unbuffered.
        begin: The digest of all that is in it.
    """

    def __init__(self, file: BinaryIO, begin: _Digest) -> None:
        self._file = file
        self._begin = begin
        self._state = begin.state.copy()
        self._size = begin.size
        file.seek(begin.size)

    def digest(self) -> _Digest:
        """Return the digest of all that is in the file now."""
        return _Digest(self._size, self._state)

    def take_all(self, source: BinaryIO, most: int | None) -> None:
        """Write all that a source gives, or nothing if that is more than ``most`` bytes."""
        end = None if most is None else self._begin.size + most
        # One byte more than may come tells whether more would come.
        while chunk := source.read(
            _up_to(CHUNK_BYTES, None if end is None else end - self._size + 1)
        ):
            if end is not None and self._size + len(chunk) > end:
                self._undo()
                raise UploadError(
                    f"the part has more than the {most} bytes that it may have",
                    hint="begin an upload of the right size, or send a smaller file",
                )
            self._write(chunk)

    def _write(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            # What came through in part is not in the digest.
            self._cut()
            raise disk_error(error, _KEPT, retryable=True) from error
        self._state.update(chunk)
        self._size += len(chunk)

    def _undo(self) -> None:
        self._size, self._state = self._begin.size, self._begin.state
        self._cut()

    def _cut(self) -> None:
        try:
            self._file.truncate(self._size)
        except OSError as error:
            raise disk_error(error, _KEPT, retryable=True) from error


def _up_to(chunk: int, most: int | None) -> int:
    return chunk if most is None else min(chunk, most)


def _blob(sha256: str, size: int) -> Blob:
    return Blob(f"sha256:{sha256}", size=size, sha256=sha256)


def _check_digest(expected: str | None, actual: str) -> None:
    if expected is not None and expected.lower() != actual:
        raise DigestMismatch(expected, actual)


def _write_json(path: str, content: Mapping[str, Any]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file)
