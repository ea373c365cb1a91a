"""A file store that a service keeps: durable, with upkeep and resumable uploads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from stepline.ports.files import FileStore
from stepline.ports.freed import Freed
from stepline.ports.uploads import Uploads


class DurableFileStore(FileStore, Protocol):
    """Keeps bytes by content; what was published outlasts a crash of the machine.

    When ``publish`` of one of its staging areas returns, the bytes are on the disk. One
    whose ``publish`` raised `PlatformError` cannot be published any more.
    """

    def verify(self, name: str) -> bool:
        """Read a blob and return whether its bytes are there and have its digest.

        Raises:
            PlatformError: It cannot be read.
        """

    def delete_unreferenced(
        self,
        names_in_use: Callable[[Sequence[str]], frozenset[str]],
        *,
        older_than_s: float,
        dry_run: bool = False,
    ) -> Freed:
        """Remove blobs that nothing refers to.

        Publishing bytes that the store has counts as writing them anew. An upload that was
        finished, and is not forgotten, refers to its blob.

        Args:
            names_in_use: Given some names, returns those that something refers to.
            older_than_s: Seconds; what was published later than that stays. More than ever
                pass between publishing bytes and committing the reference to them.
            dry_run: Whether to remove nothing, and only tell what would be.

        Raises:
            PlatformError: Something cannot be removed; the rest stays.
        """

    def clean(self) -> None:
        """Remove what dead processes left half-done, and uploads that were given up.

        What living processes are at stays. To be called when a service starts.

        Raises:
            PlatformError: The folder cannot be read.
        """

    @property
    def uploads(self) -> Uploads:
        """Files that arrive in parts."""
