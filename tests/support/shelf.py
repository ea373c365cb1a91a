"""A destination in memory that can be told what goes wrong, for tests of the push contract."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stepline_sdk.push import Destination, Mark, Published, RemoteFile, Staged


class Version:
    """A version on the shelf."""

    def __init__(self, number: int, files: dict[str, bytes], mark: Mark | None) -> None:
        self.number = number
        self.files = files
        self.mark = mark


class Shelf(Destination):
    """Keeps versions in memory.

    Attributes:
        shelved: All versions, oldest first.
        calls: Names of the methods that were called.
        trouble: By method, what to raise at each of its next calls; None lets it pass.
        late: By method, what to raise after it has done its work.
    """

    kind = "shelf"
    ref = "plates/daily"
    tries = 3
    pause_s = 0.001
    settle_s = 0.06

    def __init__(self, **about: Any) -> None:
        self.about = about
        self.shelved: list[Version] = []
        self.calls: list[str] = []
        self.trouble: dict[str, list[Exception | None]] = defaultdict(list)
        self.late: dict[str, list[Exception | None]] = defaultdict(list)
        self.serve: Callable[[bytes], bytes] = lambda content: content
        self.digests: Callable[[bytes], str] = lambda content: ""

    def check(self, staged: Staged) -> None:
        self._begin("check")

    def versions(self) -> list[Published]:
        self._begin("versions")
        return [self._published(each) for each in reversed(self.shelved)]

    def upload(self, staged: Staged, newest: Published | None) -> None:
        self._begin("upload")
        files = {file.name: Path(file.path).read_bytes() for file in staged.files.values()}
        self.shelve(files, staged.mark)
        self._end("upload")

    def is_ready(self, published: Published) -> bool:
        self._begin("is_ready")
        return True

    def files(self, published: Published) -> dict[str, RemoteFile]:
        self._begin("files")
        return {
            name: RemoteFile(len(self.serve(content)), self.digests(content))
            for name, content in published.token.files.items()
        }

    def download(self, published: Published, name: str, path: str) -> None:
        self._begin("download")
        Path(path).write_bytes(self.serve(published.token.files[name]))

    def shelve(self, files: dict[str, bytes], mark: Mark | None = None) -> None:
        """Add a version."""
        self.shelved.append(Version(len(self.shelved) + 1, files, mark))

    def _published(self, version: Version) -> Published:
        return Published(self.ref, str(version.number), mark=version.mark, token=version)

    def _begin(self, name: str) -> None:
        self.calls.append(name)
        self._raise(self.trouble[name])

    def _end(self, name: str) -> None:
        self._raise(self.late[name])

    def _raise(self, planned: list[Exception | None]) -> None:
        error = planned.pop(0) if planned else None
        if error is not None:
            raise error
