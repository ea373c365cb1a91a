"""Watched folders: every file that somebody puts there is reported once it is whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from stepline.frozen import frozen


@frozen
class FoundFile:
    """One state of a file in a watched folder, with nobody writing to it.

    Attributes:
        path: Its absolute path.
        relative: Its path within the folder, with ``/`` between the parts.
        inode: Number of the file in its file system.
        mtime_ns: When it was last written to, in nanoseconds since the epoch.
        size: In bytes.
    """

    path: str
    relative: str
    inode: int
    mtime_ns: int
    size: int

    @property
    def key(self) -> str:
        """Text that tells this state from any other of this and other files."""
        return f"{self.inode}:{self.mtime_ns}:{self.size}:{self.path}"


Found = Callable[[Sequence[FoundFile]], None]
"""Takes files. It is called from one thread at a time, with up to some hundred files.

Where it raises, the same files are offered again, later and in smaller groups, for as
long as they are there. A file may be offered more than once: what was taken is known
by its key. Who reads a file compares its size and times afterwards, for somebody may
have begun to write to it meanwhile; that state is then offered in its turn.
"""


class FolderWatcher(Protocol):
    """Watches a folder and all folders in it.

    A file is offered when it was closed after writing, or was moved, renamed or linked
    into the folder; never while somebody has it open for writing. Names that begin with
    ``.`` or end as those of partial files do are left alone until they are renamed, and
    so are folders of such names. Symbolic links are not followed.
    """

    @property
    def faults(self) -> Sequence[str]:
        """What is wrong now, a sentence each; empty while all is well."""

    def start(self) -> None:
        """Begin: offer all that is there, then all that comes; may be called once.

        Returns as soon as nothing that is written from now on can be missed. A folder
        that is not there is a fault, and is watched as soon as it appears.
        """

    def rescan(self) -> None:
        """Look at everything again; return when all that was found was offered."""

    def stop(self) -> None:
        """End, and wait for a call of `Found` to return; may be called again."""
