"""What published versions hold: folders made from their archives, and models of them."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stepline.app.archives import unpack
from stepline.app.code_store import store_code, stored_code
from stepline.app.load import load_protocol, load_task_script
from stepline.app.project_layout import PROTOCOL_FILES
from stepline.errors import (
    ArtifactNotFound,
    ConfigError,
    PlatformError,
    ProtocolError,
    UploadError,
)
from stepline.model.artifact import ArtifactName
from stepline.model.protocol import Protocol
from stepline.ports.executor import ScriptVersion
from stepline.ports.files import FileStore
from stepline.ports.state import State
from stepline.ports.use_marks import note_use
from stepline.workers.folders import remove_folder


class ArtifactContents:
    """Knows the content of every digest; several threads may use it.

    Args:
        state: Knows which archive a digest came from.
        store: Has the archives.
        cache_dir: Folder of the copies, which may be emptied at any time.
        default_runtime: Python, ``3.N``, of task scripts that name none.
    """

    def __init__(
        self, state: State, store: FileStore, *, cache_dir: Path, default_runtime: str
    ) -> None:
        self._state = state
        self._store = store
        self._cache_dir = cache_dir
        self._default_runtime = default_runtime
        self._one_at_a_time = threading.Lock()
        self._digests: dict[str, str] = {}
        self._versions: dict[tuple[str, ArtifactName], ScriptVersion] = {}
        self._protocols: dict[str, Protocol] = {}

    @property
    def cache_dir(self) -> Path:
        """Folder of the copies."""
        return self._cache_dir

    def take_in(self, archive: Path) -> tuple[str, Path]:
        """Unpack an archive, and keep its content.

        Returns:
            The digest ``sha256:<hex>`` of the content, and a read-only folder with it.

        Raises:
            UploadError: The archive is refused.
            PlatformError: There is no place for it.
        """
        return take_in(archive, self._cache_dir)

    def of_archive(self, blob: str) -> tuple[str, Path]:
        """Return digest and folder of an archive in the store.

        Raises:
            UploadError: The archive is refused.
            PlatformError: The blob is gone, or there is no place for its content.
        """
        digest = self._digests.get(blob)
        folder = stored_code(digest, self._cache_dir) if digest else None
        if digest is None or folder is None:
            path = self._store.local_path(blob)
            try:
                digest, folder = self.take_in(Path(path)) if path else self._fetch(blob)
            except FileNotFoundError as error:
                raise PlatformError(
                    "the bytes of a published archive are gone from the file store",
                    hint="put back a copy of the files, or publish the version again with -f",
                ) from error
            self._digests[blob] = digest
        return digest, folder

    def remember(self, blob: str, digest: str) -> None:
        """Note what an archive holds, so that it need not be unpacked again."""
        self._digests[blob] = digest

    def folder(self, digest: str) -> Path:
        """Return a read-only folder with the content of a digest; made anew if it is gone.

        Raises:
            ArtifactNotFound: Nothing with this digest was ever published.
            PlatformError: Its archive is gone, or not what it was.
        """
        folder = stored_code(digest, self._cache_dir)
        if folder is not None:
            return folder
        with self._state.read() as view:
            blob = view.artifacts.archive_of(digest)
        if blob is None:
            raise ArtifactNotFound(f"nothing was published with the digest {digest}")
        try:
            found, folder = self.of_archive(blob)
        except UploadError as error:
            raise PlatformError(
                f"the archive of {digest} is damaged: {error.what}",
                hint="publish the version again with -f, or put back a copy of the files",
            ) from error
        if found != digest:
            raise PlatformError(f"the archive of {digest} is not what it was: it holds {found}")
        return folder

    def script_version(self, digest: str, name: ArtifactName) -> ScriptVersion:
        """Return a task script as an executor needs it.

        Raises:
            ArtifactNotFound: Nothing with this digest was ever published.
            ConfigError: It is no task script.
            PlatformError: Its archive is gone, or not what it was.
        """
        known = self._versions.get((digest, name))
        if known is not None and note_use(known.folder):
            return known
        with self._one_at_a_time:
            known = self.unpublished_version(digest, self.folder(digest), name=name)
            self._versions[digest, name] = known
        return known

    def unpublished_version(
        self, digest: str, folder: Path, *, name: ArtifactName
    ) -> ScriptVersion:
        """Return a task script that need not be published yet.

        Raises:
            ConfigError: It is no task script.
        """
        script = load_task_script(folder, self._cache_dir).unwrap(ConfigError)
        runtime = script.runtime or self._default_runtime
        return ScriptVersion(str(name), digest, str(folder), script, runtime)

    def protocol(self, digest: str) -> Protocol:
        """Return a protocol.

        Raises:
            ArtifactNotFound: Nothing with this digest was ever published.
            ProtocolError: It is no protocol.
            PlatformError: Its archive is gone, or not what it was.
        """
        known = self._protocols.get(digest)
        if known is not None:
            return known
        with self._one_at_a_time:
            path = protocol_file(self.folder(digest))
            if path is None:
                raise ProtocolError(f"the artifact {digest} holds no protocol")
            known = load_protocol(path, self._cache_dir).unwrap(ProtocolError)
            self._protocols[digest] = known
        return known

    def remove_leftovers(self) -> None:
        """Remove what processes that are gone have left half unpacked."""
        folder = self._cache_dir / "unpacking"
        for entry in folder.iterdir() if folder.is_dir() else ():
            if not _is_running(entry.name.partition("-")[0]):
                remove_folder(entry)

    def _fetch(self, blob: str) -> tuple[str, Path]:
        with temporary_folder(self._cache_dir) as folder:
            try:
                folder.mkdir(parents=True)
                archive = folder / "archive.zip"
                with self._store.open(blob) as reading, archive.open("xb") as writing:
                    shutil.copyfileobj(reading, writing)
            except OSError as error:
                what = f"an archive cannot be fetched: {error.strerror or error}"
                raise PlatformError(what, retryable=True) from error
            return self.take_in(archive)


def take_in(archive: Path, cache_dir: Path) -> tuple[str, Path]:
    """Unpack an archive, and keep its content in a cache.

    Returns:
        The digest ``sha256:<hex>`` of the content, and a read-only folder with it.

    Raises:
        UploadError: The archive is refused.
        PlatformError: There is no place for it.
    """
    with temporary_folder(cache_dir) as folder:
        unpack(archive, folder)
        return store_code(folder, cache_dir)


@contextmanager
def temporary_folder(cache_dir: Path) -> Iterator[Path]:
    """Give the path of a folder that is not there yet, and is gone afterwards."""
    folder = cache_dir / "unpacking" / f"{os.getpid()}-{os.urandom(6).hex()}"
    try:
        yield folder
    finally:
        remove_folder(folder)


def protocol_file(folder: Path) -> Path | None:
    """Return the protocol in a folder's root; of several, the one that holds."""
    paths = (folder / name for name in PROTOCOL_FILES)
    return next((path for path in paths if path.is_file()), None)


def _is_running(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        pass
    return True
