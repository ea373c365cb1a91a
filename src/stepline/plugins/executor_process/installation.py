"""Making of an environment: uv for interpreter and requirements, a shell for the hook."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from stepline.errors import ConfigError, Location, PlatformError
from stepline.packages.outside import refuse_outside
from stepline.packages.requirements import HOOK, REQUIREMENTS, line_at_fault, read_requirements
from stepline.packages.uv import CommandFailed, index_arguments, run_command, run_uv
from stepline.ports.executor import ScriptVersion

# What a hook may see of the platform's environment: no secret that was put there for a run.
_HOOK_MAY_SEE = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_\w+|TZ|TERM|TMPDIR|XDG_\w+|PIP_\w+|UV_\w+"
    r"|\w*_CA_BUNDLE|SSL_CERT_\w+|(?i:\w+_proxy)|DEBIAN_FRONTEND|SSH_AUTH_SOCK"
)


class Installation:
    """One environment on its way.

    Args:
        home: An empty folder for it.
        version: The task script.
        environ: Environment of the platform.
        lock: Descriptor that every command inherits: what outlives a platform that was
            killed keeps the lock, so that nobody else makes the same environment meanwhile.
    """

    def __init__(
        self, home: Path, version: ScriptVersion, *, environ: Mapping[str, str], lock: int
    ) -> None:
        self._version = version
        self._environ = environ
        self._lock = lock
        self._venv = home / "venv"
        self._copy = home / "script"

    def make(self, python: str) -> None:
        """Make the environment, and run the script's hook if it has one.

        Raises:
            ConfigError: A requirement cannot be installed, or names what is not in the
                script's folder, or the hook fails.
            PlatformError: No environment can be made here.
            OSError: A file cannot be written.
        """
        script = Path(self._version.folder)
        refuse_outside(script)
        self._make_venv(python)
        if script.joinpath(HOOK).is_file():
            shutil.copytree(script, self._copy, symlinks=True)
            add_mode(self._copy, 0o200)
            self._run_hook()
            script = self._copy
            refuse_outside(script)
        if read_requirements(script).strip():
            self._install(script)
        if script == self._copy:
            remove_mode(script, 0o222)

    def _make_venv(self, python: str) -> None:
        try:
            self._uv("venv", "--seed", "--python", python, str(self._venv), cwd=self._venv.parent)
        except CommandFailed as failure:
            raise PlatformError(
                f"an environment on {python} cannot be made:\n{failure.output}",
                hint="pip, setuptools and wheel come from the package index, or from another "
                "that PIP_INDEX_URL or PIP_FIND_LINKS names",
                retryable=True,
            ) from None

    def _install(self, script: Path) -> None:
        python = str(self._venv / "bin" / "python")
        arguments = ["pip", "install", "--python", python, "--requirement", REQUIREMENTS]
        try:
            # Workers write no bytecode, so it is made here.
            index = index_arguments(self._environ)
            self._uv(*arguments, *index, "--compile-bytecode", cwd=script)
        except CommandFailed as failure:
            raise ConfigError(
                f"the requirements of {self._version.name} cannot be installed:\n{failure.output}",
                where=line_at_fault(read_requirements(script), failure.output),
                hint="change that line, or the runtime in config.json",
            ) from None

    def _run_hook(self) -> None:
        environ = {k: v for k, v in self._environ.items() if _HOOK_MAY_SEE.fullmatch(k)}
        environ["PATH"] = f"{self._venv / 'bin'}{os.pathsep}{environ.get('PATH', os.defpath)}"
        environ["VIRTUAL_ENV"] = str(self._venv)
        try:
            run_command(["sh", str(HOOK)], cwd=self._copy, environ=environ, keep=[self._lock])
        except CommandFailed as failure:
            raise ConfigError(
                f"the hook of {self._version.name} failed with exit code {failure.code}:\n"
                f"{failure.output}",
                where=Location(str(HOOK)),
                hint="run it by hand in a copy of the folder to see what it needs",
            ) from None

    def _uv(self, *arguments: str, cwd: Path) -> None:
        run_uv(*arguments, cwd=cwd, environ=self._environ, keep=[self._lock])


def remove_home(home: Path) -> None:
    """Remove an environment, half-made or whole; its script may be read-only."""
    if home.is_dir():
        add_mode(home, 0o700)
    shutil.rmtree(home, ignore_errors=True)


def add_mode(folder: Path, mode: int) -> None:
    """Add permissions to all files and folders of a folder."""
    for path in _all(folder):
        path.chmod(path.stat().st_mode & 0o7777 | mode)


def remove_mode(folder: Path, mode: int) -> None:
    """Take permissions away from all files and folders of a folder."""
    for path in _all(folder):
        path.chmod(path.stat().st_mode & 0o7777 & ~mode)


def _all(folder: Path) -> Iterator[Path]:
    """Give a folder, its files and its folders, those before what is in them; no links."""
    yield folder
    for entry in sorted(folder.iterdir()):
        if entry.is_symlink():
            continue
        if entry.is_dir():
            yield from _all(entry)
        else:
            yield entry
