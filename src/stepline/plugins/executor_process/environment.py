"""One environment per task script content: made once by uv, found in milliseconds after.

An environment is usable when its marker file exists, which is written last. What a
crash left half-made has no marker and is removed before the next attempt; a lock
file keeps two processes from making the same one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from stepline.errors import ConfigError, Location, PlatformError
from stepline.frozen import frozen
from stepline.model.task_script import ImageChoices
from stepline.packages.requirements import HOOK, depend_on_folder, read_requirements
from stepline.plugins.executor_process.holds import Holds
from stepline.plugins.executor_process.pythons import find_python
from stepline.ports.executor import ScriptVersion
from stepline.ports.freed import Freed

_MARKER = "environment.json"


@frozen
class Environment:
    """A folder with an interpreter and what a task script requires.

    Attributes:
        key: SHA-256 over all that determines the content.
        python: The environment's interpreter.
        code: Folder of the task script to run; the version's own, or the copy
            that its ``init/before_install`` changed.
    """

    key: str
    python: str
    code: str

    @property
    def bin(self) -> str:
        """Folder of the environment's commands."""
        return os.path.dirname(self.python)


def _say_nothing(text: str) -> None:
    """Nobody wants to know."""


class Environments:
    """The cache of environments in one folder.

    Args:
        folder: Where environments are kept.
        environ: Environment of the platform: PATH, proxies and index settings.
        allow_hooks: Run ``init/before_install`` where a script has one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        environ: Mapping[str, str],
        allow_hooks: bool,
    ) -> None:
        self._folder = folder
        self._environ = environ
        self._allow_hooks = allow_hooks
        self._holds = Holds()

    def get(
        self, version: ScriptVersion, tell: Callable[[str], None] = _say_nothing
    ) -> Environment:
        """Return the environment of a version, making it if need be.

        Args:
            version: The task script.
            tell: Told when it is about to be made, which takes long.

        Raises:
            ConfigError: A requirement cannot be installed, the hook fails, there is a
                hook and hooks are not allowed here, or only an image can have what the
                script requires.
            PlatformError: No such Python, or the folder cannot be written.
        """
        _refuse_ungiven(version)
        for words in _missing(version.script.image):
            tell(f"warning: {words}, which the executor process does not give")
        has_hook = self._has_hook(version)
        if has_hook and not self._allow_hooks:
            raise ConfigError(
                f"{version.name} has a hook, which would run as you on this machine",
                where=Location(str(HOOK)),
                hint="allow it with --allow-before-install, or run the script in an image",
            )
        key = self._key(version)
        home = self._folder / key
        self._holds.add(str(home))
        self._holds.add(version.folder, make=False)
        environment = Environment(
            key=f"sha256:{key}",
            python=str(home / "venv" / "bin" / "python"),
            code=str(home / "script") if has_hook else version.folder,
        )
        if not _is_usable(home, environment):
            with _locked(self._folder, key) as lock:
                if not _is_usable(home, environment):
                    tell(f"making the environment of {version.name}")
                    self._make(home, version, lock)
        return environment

    def remove_unused(
        self, versions: Sequence[ScriptVersion], *, before: float, dry_run: bool
    ) -> Freed:
        """Remove environments that no process uses, nor did since a time.

        Args:
            versions: Those whose environments stay; this process lets go of all others.
            before: Seconds since the epoch.
            dry_run: Whether to remove nothing, and only tell what would be.

        Raises:
            PlatformError: An environment cannot be removed; the rest stays.
        """
        from stepline.ports.removal import remove_unused_folders

        keep = self._keys_of(versions)
        homes = {str(self._folder / key) for key in keep}
        self._holds.release(but=homes.union(version.folder for version in versions))
        root, names = str(self._folder), re.compile("[0-9a-f]{64}")
        try:
            return remove_unused_folders(root, names, keep=keep, before=before, dry_run=dry_run)
        except OSError as error:
            raise PlatformError(
                f"environments cannot be removed: {error.strerror}: '{error.filename}'",
                hint="look at the permissions of the cache",
            ) from error

    def close(self) -> None:
        """Let go of all environments."""
        self._holds.release(but=frozenset())

    def _keys_of(self, versions: Iterable[ScriptVersion]) -> frozenset[str]:
        found = set()
        for version in versions:
            # One without its interpreter, or its folder, has no environment that works.
            with suppress(PlatformError, OSError):
                found.add(self._key(version))
        return frozenset(found)

    def _has_hook(self, version: ScriptVersion) -> bool:
        return Path(version.folder, HOOK).is_file()

    def _key(self, version: ScriptVersion) -> str:
        requirements = read_requirements(Path(version.folder))
        with_folder = self._has_hook(version) or depend_on_folder(requirements)
        parts = {
            "python": self._python(version.runtime),
            "requirements": requirements,
            "folder": version.digest if with_folder else "",
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _python(self, runtime: str) -> str:
        """Return the interpreter, remembered between runs while it is still there."""
        memo = self._folder / f"python-{runtime}.txt"
        try:
            path = memo.read_text()
            if os.access(path, os.X_OK):
                return path
        except OSError:
            pass
        path = find_python(runtime, self._environ)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            memo.write_text(path)
        except OSError as error:
            raise _unwritable(self._folder, error) from error
        return path

    def _make(self, home: Path, version: ScriptVersion, lock: int) -> None:
        """Make an environment, or leave nothing of it."""
        from stepline.plugins.executor_process.installation import Installation, remove_home

        remove_home(home)
        try:
            home.mkdir(parents=True)
            python = self._python(version.runtime)
            Installation(home, version, environ=self._environ, lock=lock).make(python)
            marker = {"name": version.name, "digest": version.digest, "python": python}
            partial = home / f"{_MARKER}.partial"
            partial.write_text(json.dumps(marker))
            partial.replace(home / _MARKER)
        except OSError as error:
            remove_home(home)
            raise _unwritable(home, error) from error
        except BaseException:
            remove_home(home)
            raise


def _refuse_ungiven(version: ScriptVersion) -> None:
    """Refuse a script whose packages only an image gets."""
    image = version.script.image
    for key, names in (("groups", image.groups), ("components", image.components)):
        if names:
            raise ConfigError(
                f"{version.name} requires the {key} {', '.join(names)}, which only images get",
                where=Location("config.json"),
                hint="run it with the executor docker or sandbox, or name what it needs in "
                f"requirements.txt in place of image.{key}",
            )


def _missing(image: ImageChoices) -> Iterator[str]:
    """Give what a script may lack outside of an image, in words."""
    if image.reference:
        yield f"config.json names the image {image.reference}"
    if image.system:
        yield f"config.json names the Debian packages {', '.join(image.system)}"


def _is_usable(home: Path, environment: Environment) -> bool:
    return (home / _MARKER).is_file() and os.access(environment.python, os.X_OK)


@contextmanager
def _locked(folder: Path, key: str) -> Iterator[int]:
    import fcntl

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / f"{key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)


def _unwritable(folder: Path, error: OSError) -> PlatformError:
    return PlatformError(
        f"the environment cannot be made in {folder}: {error.strerror}",
        hint="free some space, or set STEPLINE_CACHE_DIR to a folder that can be written",
    )
