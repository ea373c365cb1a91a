"""The project that a test belongs to: its task scripts, protocols and files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from stepline import settings
from stepline.app.load import CONFIG_FILE, MANIFEST_FILE, load_manifest, load_task_script
from stepline.errors import ArtifactNotFound, ConfigError, Location
from stepline.expressions.suggest import nearest_hint
from stepline.frozen import frozen
from stepline.model.task_script import TaskScript
from stepline.parsing.result import Parsed
from stepline.settings import Settings

SCRIPTS = "task-scripts"
PROTOCOLS = "protocols"
IDS = "ids"


@frozen
class Script:
    """A task script of the project.

    Attributes:
        name: ``namespace/slug:version``, or the folder's name if it has no manifest.json.
        folder: Where it is.
        script: Its validated config.json.
    """

    name: str
    folder: Path
    script: TaskScript


class Project:
    """Finds what a test names.

    Args:
        test_folder: Folder of the test's file.
    """

    def __init__(self, test_folder: Path) -> None:
        self._test_folder = test_folder

    @cached_property
    def root(self) -> Path:
        """The nearest folder, from the test's upwards, with ``task-scripts`` or ``protocols``.

        For tests in the folder of a task script that is in no project, it is that folder.

        Raises:
            ConfigError: There is none.
        """
        for folder in (self._test_folder, *self._test_folder.parents):
            if (folder / SCRIPTS).is_dir() or (folder / PROTOCOLS).is_dir():
                return folder
        if self._around is not None:
            return self._around
        raise ConfigError(
            f"no folder from here upwards has {SCRIPTS} or {PROTOCOLS} in it",
            where=Location(str(self._test_folder)),
            hint="keep tests in a project as `stepline init` makes it",
        )

    @cached_property
    def _around(self) -> Path | None:
        """The folder of the task script that the test is in, if it is in one."""
        above = (self._test_folder, *self._test_folder.parents)
        return next((folder for folder in above if (folder / CONFIG_FILE).is_file()), None)

    @cached_property
    def settings(self) -> Settings:
        """The settings of the project's ``stepline.toml``."""
        file = self.root / settings.FILE_NAME
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        return settings.read_settings(text, path=str(file), environ=os.environ)

    @property
    def ids_folder(self) -> Path | None:
        """The project's folder of IDS and schemas, if it has one."""
        try:
            folder = self.root / IDS
        except ConfigError:
            return None
        return folder if folder.is_dir() else None

    @property
    def cache_dir(self) -> Path:
        """Folder for what may be kept between runs."""
        return settings.cache_dir(os.environ)

    @property
    def default_runtime(self) -> str:
        """Python, ``3.N``, for task scripts that name none."""
        own = f"{sys.version_info.major}.{sys.version_info.minor}"
        return self.settings.default_runtime.removeprefix("python") or own

    def file(self, path: str | Path) -> Path:
        """Return a file by its path from the project's root, or from the test's folder.

        Raises:
            ConfigError: There is no such file.
        """
        folders = [self._test_folder]
        try:
            folders.insert(0, self.root)
        except ConfigError:
            pass  # a test without a project has files too
        for folder in folders:
            if (folder / path).is_file():
                return folder / path
        looked = " and ".join(str(folder) for folder in folders)
        raise ConfigError(f"there is no file '{path}' in {looked}")

    def script(self, name: str | Path | None, function: str | None = None) -> Script:
        """Return a task script.

        Args:
            name: Its folder, from the project's root or from ``task-scripts``; ``.`` means
                the one that the test is in; None means that one if it will do, or the
                only one, or the only one that exposes the function.
            function: Slug of a function that it must expose.

        Raises:
            ArtifactNotFound: There is none, or it is open which is meant.
            ConfigError: Its config.json is not valid.
        """
        parsed = self._parsed(name)
        valid = [(home, each.value) for home, each in parsed if each.value is not None]
        able = [(home, s) for home, s in valid if function is None or s.find(function)]
        if name is None:
            able = [each for each in able if each[0] == self._around] or able
        if len(able) == 1:
            return self._script(*able[0])
        if able:
            names = ", ".join(repr(home.name) for home, _ in able)
            what = f"exposes '{function}'" if function else "could be meant"
            raise ArtifactNotFound(
                f"more than one task script {what}", hint=f"add task_script=, one of: {names}"
            )
        for _, each in parsed:
            each.unwrap(ConfigError)
        known = [each.slug for _, script in valid for each in script.functions]
        raise ArtifactNotFound(
            f"no task script here exposes '{function}'", hint=nearest_hint(str(function), known)
        )

    def slug(self, function: Callable[..., Any], name: str | Path | None) -> str:
        """Return the slug under which a task script exposes a function.

        Args:
            function: The function, as a test imported it.
            name: Folder of the task script, as for `script`.

        Raises:
            ArtifactNotFound: It is not exposed.
        """
        path = f"{function.__module__}.{function.__qualname__}"
        exposed = [
            each.slug
            for _, parsed in sorted(self._parsed(name), key=lambda it: it[0] != self._around)
            for each in (parsed.value.functions if parsed.value else ())
            if each.function == path
        ]
        if exposed:
            return exposed[0]
        raise ArtifactNotFound(
            f"no task script here exposes the function {path}", hint="name it in config.json"
        )

    def protocol(self, name: str | Path | None) -> Path:
        """Return a protocol's file or folder, or the folder of the only protocol.

        Raises:
            ArtifactNotFound: There is none, or it is open which is meant.
        """
        if name is not None and (self.root / name).is_file():
            return _shown(self.root / name)
        folder = self._folder(PROTOCOLS, name, holds="protocol.yml")
        if name is not None:
            return _shown(folder)
        found = [entry for entry in sorted(folder.iterdir()) if entry.is_dir()]
        if len(found) == 1:
            return _shown(found[0])
        names = ", ".join(repr(entry.name) for entry in found) or "none"
        raise ArtifactNotFound(f"it is open which protocol is meant; there are: {names}")

    def _folder(self, kind: str, name: str | Path | None, *, holds: str) -> Path:
        """Return the folder of all, or the one that is named."""
        home = self.root / kind
        if name is None:
            if home.is_dir():
                return home
            raise ArtifactNotFound(f"the project has no folder {kind}", where=_at(self.root))
        for folder in (self.root / name, home / name):
            if folder.is_dir():
                return folder
        known = [entry.parent.name for entry in sorted(home.glob(f"*/{holds}"))]
        raise ArtifactNotFound(
            f"{kind} has no folder '{name}'",
            where=_at(self.root),
            hint=nearest_hint(str(name), known),
        )

    def _parsed(self, name: str | Path | None) -> list[tuple[Path, Parsed[TaskScript]]]:
        """Return the task scripts that a name may mean."""
        alone = name is None and not (self.root / SCRIPTS).is_dir()
        own = self._around if alone or (name is not None and Path(name) == Path()) else None
        folder = own or self._folder(SCRIPTS, name, holds=CONFIG_FILE)
        homes = [folder] if (folder / CONFIG_FILE).is_file() else sorted(folder.iterdir())
        return [
            (home, load_task_script(home, self.cache_dir))
            for home in homes
            if (home / CONFIG_FILE).is_file()
        ]

    def _script(self, home: Path, script: TaskScript) -> Script:
        name = home.name
        if (home / MANIFEST_FILE).is_file():
            named = load_manifest(home / MANIFEST_FILE, self.cache_dir).unwrap(ConfigError)
            name = f"{named.namespace}/{named.slug}:{named.version}"
        return Script(name, home, script)


def _shown(path: Path) -> Path:
    """Return a path as messages are to show it: from the current folder, if it is below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _at(path: Path) -> Location:
    return Location(str(path))
