"""All newest file versions of a state, one after another."""

from __future__ import annotations

from collections.abc import Iterator

from stepline.model.file import FileRecord
from stepline.ports.state import FilesView

_PAGE = 1000


def newest_files(files: FilesView) -> Iterator[FileRecord]:
    """Yield the newest version of every file, in the order of their commits."""
    after = 0
    while True:
        page = files.page(after=after, limit=_PAGE)
        yield from page.items
        after = page.after
        if not after:
            return
