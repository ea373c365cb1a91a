"""Where everything of one self-test is."""

from __future__ import annotations

import shutil
from pathlib import Path

from stepline.frozen import frozen
from stepline.settings import Settings


@frozen
class Places:
    """Folders and files of one self-test.

    Attributes:
        base: The folder that all others are in.
        cache: Folder for environments, which other self-tests may share.
        settings: What the services are set to: their executor, and where its images are.
    """

    base: Path
    cache: Path
    settings: Settings = Settings()

    @property
    def home(self) -> Path:
        """The service's home folder."""
        return self.base / "home"

    @property
    def inbox(self) -> Path:
        """The watched folder."""
        return self.base / "inbox"

    @property
    def drafts(self) -> Path:
        """Where files are written that are renamed into the watched folder, or uploaded."""
        return self.base / "drafts"

    @property
    def marks(self) -> Path:
        """Where tasks note that they failed."""
        return self.base / "marks"

    @property
    def temporary(self) -> Path:
        """The service's folder for temporary files, and so that of its workers."""
        return self.base / "tmp"

    @property
    def kinds(self) -> Path:
        """File of the kinds of commit points that were seen."""
        return self.base / "kinds.txt"

    @property
    def log(self) -> Path:
        """File of all that the services said."""
        return self.base / "service.log"

    def make(self) -> None:
        """Make the folders."""
        for folder in (self.inbox, self.drafts, self.marks, self.temporary):
            folder.mkdir(parents=True)
        self.marks.chmod(0o777)  # in containers, tasks are other users

    def remove(self) -> None:
        """Remove everything but the cache."""
        shutil.rmtree(self.base, ignore_errors=True)
