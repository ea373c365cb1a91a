"""The tests of a task script: those in its folder, else those of the project around it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from stepline.app.project_layout import SCRIPTS_FOLDER, TESTS_FOLDER, project_around
from stepline.errors import Location, SettingsError
from stepline.frozen import frozen
from stepline.ports.engine import Mount

TESTED_IMAGE = "STEPLINE_TESTED_IMAGE"
"""Environment variable that names the image which tests run inside."""
_TEST_FILES = ("test_*.py", "*_test.py")
_LEFT_OUT = ("__pycache__", "node_modules", "venv")
# What tests of a project get to see of it inside an image; never its secrets and its results.
_FOLDERS = (TESTS_FOLDER, "protocols", "data", "ids", "schemas")
_FILES = ("*.py", "pyproject.toml", "pytest.ini", "setup.cfg", "stepline.toml", "tox.ini")
_READ = stat.S_IROTH
_SEARCHED = stat.S_IROTH | stat.S_IXOTH
_INSIDE = "/opt/stepline/project"


@frozen(kw_only=True)
class Suite:
    """The tests that are run for one task script.

    Attributes:
        script: The task script's folder.
        project: The project around it; None where there is none.
        own: Whether the tests are in the task script's folder.
    """

    script: Path
    project: Path | None
    own: bool

    @property
    def folder(self) -> Path:
        """Where pytest starts on this machine."""
        return self.script if self.own or self.project is None else _shown(self.project, self)

    @property
    def arguments(self) -> list[str]:
        """What pytest is told of where the tests are."""
        return [] if self.own else [TESTS_FOLDER]

    @property
    def places(self) -> str:
        """Where tests may be, for people."""
        if self.project is None:
            return str(self.script)
        return f"{self.script} and {_shown(self.project, self) / TESTS_FOLDER}"

    def inside(self, code: str) -> str:
        """Return where pytest starts inside an image.

        Args:
            code: The task script's folder in the image.
        """
        if self.project is None:
            return code
        return f"{_INSIDE}/{self._place}" if self.own else _INSIDE

    def mounts(self, copy: str) -> list[Mount]:
        """Return what tests need that is not in the image.

        Args:
            copy: Copy of the task script, just what the image is made of; it is there in
                the project.

        Raises:
            SettingsError: Other users may not read something of the project.
        """
        if self.project is None:
            return []
        seen = []
        for path in _seen(self.project, without=self.script.resolve()):
            _refuse_private(path)
            target = f"{_INSIDE}/{path.relative_to(self.project)}"
            seen.append(Mount(source=str(path), target=target))
        return [*seen, Mount(source=copy, target=f"{_INSIDE}/{self._place}")]

    @property
    def _place(self) -> str:
        return str(self.script.resolve().relative_to(self.project or self.script))


def find_suite(script: Path) -> Suite:
    """Return the tests of a task script.

    A task script without any test, in a project without any, has its own: none.

    Args:
        script: Its folder.
    """
    project = project_around(script)
    own = _has_tests(script) or project is None or not _has_tests(project / TESTS_FOLDER)
    return Suite(script=script, project=project, own=own)


def _shown(project: Path, suite: Suite) -> Path:
    """Return a project's path, from the current folder if the task script's is."""
    return project if suite.script.is_absolute() else Path(os.path.relpath(project))


def _refuse_private(path: Path) -> None:
    wanted = _SEARCHED if path.is_dir() else _READ
    if path.stat().st_mode & wanted != wanted:
        raise SettingsError(
            "other users may not read this, so neither may the tests inside the image",
            where=Location(str(path)),
            hint=f"chmod -R o+rX {path}",
        )


def _has_tests(folder: Path) -> bool:
    for _, folders, files in os.walk(folder):
        if any(fnmatch(file, pattern) for file in files for pattern in _TEST_FILES):
            return True
        folders[:] = [each for each in folders if each not in _LEFT_OUT and each[0] != "."]
    return False


def _seen(project: Path, *, without: Path) -> Iterator[Path]:
    """Yield what is mounted of a project, without one task script and what is around it."""
    yield from (project / name for name in _FOLDERS if (project / name).is_dir())
    for path in sorted(project.iterdir()):
        if path.is_file() and any(fnmatch(path.name, pattern) for pattern in _FILES):
            yield path
    scripts = project / SCRIPTS_FOLDER
    for path in sorted(scripts.iterdir()) if scripts.is_dir() else ():
        shown = path.is_dir() and path.name[0] != "." and path.name not in _LEFT_OUT
        if shown and path.resolve() != without and path not in without.parents:
            yield path
