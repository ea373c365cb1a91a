"""Errors at the author's own files, though copies of them are what images are made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stepline.app.told import Told
from stepline.errors import Location, SteplineError, UserError


class Authored:
    """The folders of task scripts, and the copies that were made of them.

    Attributes:
        told: Lines that the author was told.
    """

    def __init__(self) -> None:
        self.told = Told()
        self._folders: dict[str, Path] = {}

    def add(self, folder: Path, copy: str) -> None:
        """Remember a folder.

        Args:
            folder: Path as its author wrote it.
            copy: Path of its copy.
        """
        self._folders[copy] = folder

    def show(self, text: str) -> str:
        """Return a text that names the author's folders in place of copies."""
        for copy, folder in self._folders.items():
            text = text.replace(copy, str(folder))
        return text

    def mend(self, error: SteplineError) -> None:
        """Have an error name the author's files, and not repeat what was told just before."""
        error.what = self.show(self.told.without(error.what))
        error.where = error.where and self._place(error.where)
        if isinstance(error, UserError):
            error.problems = tuple(
                replace(problem, where=self._place(problem.where)) for problem in error.problems
            )

    def _place(self, where: Location) -> Location:
        path = self.show(where.path)
        for folder in self._folders.values():
            known = Path(path).is_absolute() or Path(path).is_relative_to(folder)
            if path == where.path and (folder == Path() or not known):
                # Builds know files by their paths in the folder.
                path = str(folder / path) if (folder / path).exists() else path
        return replace(where, path=path)
