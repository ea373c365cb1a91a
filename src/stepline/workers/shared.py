"""What the platform shares with a container or a sandbox, on the disk of the file store.

::

    <folder>           the platform's alone
      task             mounted; nobody's to write to but for a platform that is no root
        scratch        what tasks and the platform share
        work           folders of the worker

Both are in one mount, so that a large file can be renamed from one to the other, and on a
disk, so that it is no memory. Where tasks are the platform's own user, they can put anything
in the place of either, so the platform holds the folder that it made.
"""

from __future__ import annotations

import os

from stepline.workers import inside
from stepline.workers.folders import remove_folder
from stepline.workers.scratch import empty_in_place

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class SharedFolder:
    """What one container or sandbox and the platform share.

    Args:
        path: Where it is; made here.
        for_user: Whether tasks are the user of images, rather than the platform's own.

    Attributes:
        path: Where it is; the platform's alone.
        mounted: What is mounted at `inside.TASK`.
        scratch: The scratch folder that was made, whatever has its name now.
    """

    def __init__(self, path: str, *, for_user: bool) -> None:
        self.path = path
        self.mounted = os.path.join(path, "task")
        os.makedirs(path, mode=0o700)
        os.mkdir(self.mounted)
        for name in map(os.path.basename, (inside.SCRATCH, inside.WORK)):
            made = os.path.join(self.mounted, name)
            os.mkdir(made, 0o700)
            if for_user:
                os.chown(made, inside.USER, inside.GROUP)
        os.chmod(self.mounted, 0o555)
        self._named = os.path.join(self.mounted, os.path.basename(inside.SCRATCH))
        self._held = os.open(self._named, _OPEN)
        self.scratch = f"/proc/self/fd/{self._held}"

    def tidy(self) -> bool:
        """Remove what a task left in scratch; tell whether it is as good as new, and in place."""
        return empty_in_place(self._held) and self._is_in_place()

    def remove(self) -> None:
        """Remove all, once nobody else uses it."""
        if self._held >= 0:
            os.close(self._held)
            self._held = -1
        remove_folder(self.path)

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(os.lstat(self._named), os.stat(self._held))
        except OSError:
            return False
