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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stepline.errors import ConfigError, Location, PlatformError
from stepline.frozen import frozen
from stepline.plugins.executor_process.pythons import find_python
from stepline.ports.executor import ScriptVersion

HOOK = Path("init", "before_install")
_MARKER = "environment.json"
_LOCAL_REFERENCE = re.compile(
    r"^\s*(-[ercf]\b|--(requirement|constraint|find-links|editable))|file:|\./|\.\./|\.whl|\.tar\.gz",
    re.M,
)
_PIP_SETTINGS = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
}


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


class Environments:
    """The cache of environments in one folder.

    Args:
        folder: Where environments are kept.
        environ: Environment of the platform: PATH, proxies and index settings.
        allow_hooks: Run ``init/before_install`` where a script has one.
    """

    def __init__(self, folder: Path, *, environ: Mapping[str, str], allow_hooks: bool) -> None:
        self._folder = folder
        self._environ = environ
        self._allow_hooks = allow_hooks

    def get(self, version: ScriptVersion) -> Environment:
        """Return the environment of a version, making it if need be.

        Raises:
            ConfigError: A requirement cannot be installed, the hook fails, or there
                is a hook and hooks are not allowed here.
            PlatformError: No such Python, or the folder cannot be written.
        """
        has_hook = (version_folder := Path(version.folder)).joinpath(HOOK).is_file()
        if has_hook and not self._allow_hooks:
            raise ConfigError(
                f"{version.name} has a hook, which would run as you on this machine",
                where=Location(str(HOOK)),
                hint="allow it with --allow-before-install, or run the script in an image",
            )
        key = self._key(version, has_hook)
        home = self._folder / key
        environment = Environment(
            key=f"sha256:{key}",
            python=str(home / "venv" / "bin" / "python"),
            code=str(home / "script") if has_hook else version.folder,
        )
        if not (home / _MARKER).is_file():
            with _locked(self._folder, key):
                if not (home / _MARKER).is_file():
                    self._make(home, version, version_folder, has_hook)
        return environment

    def _key(self, version: ScriptVersion, has_hook: bool) -> str:
        requirements = _requirements(Path(version.folder))
        depends_on_folder = has_hook or _LOCAL_REFERENCE.search(requirements)
        parts = {
            "python": self._python(version.runtime),
            "requirements": requirements,
            "folder": version.digest if depends_on_folder else "",
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

    def _make(self, home: Path, version: ScriptVersion, source: Path, has_hook: bool) -> None:
        import shutil

        shutil.rmtree(home, ignore_errors=True)
        try:
            home.mkdir(parents=True)
            script = source
            venv = home / "venv"
            python = self._python(version.runtime)
            self._make_venv(python, venv)
            if has_hook:
                script = home / "script"
                shutil.copytree(source, script)
                self._run_hook(version, script, venv)
            self._install(version, script, venv)
            marker = {"name": version.name, "digest": version.digest, "python": python}
            (home / _MARKER).write_text(json.dumps(marker))
        except OSError as error:
            shutil.rmtree(home, ignore_errors=True)
            raise _unwritable(home, error) from error
        except BaseException:
            shutil.rmtree(home, ignore_errors=True)
            raise

    def _make_venv(self, python: str, venv: Path) -> None:
        arguments = ["venv", "--seed", "--quiet", "--python", python, str(venv)]
        try:
            self._uv(*arguments, cwd=venv.parent)
        except _CommandFailed as failure:
            raise PlatformError(
                f"an environment on {python} cannot be made:\n{failure.output}",
                hint="pip, setuptools and wheel come from the package index, or from another "
                "that PIP_INDEX_URL or PIP_FIND_LINKS names",
                retryable=True,
            ) from None

    def _install(self, version: ScriptVersion, script: Path, venv: Path) -> None:
        if not _requirements(script).strip():
            return
        arguments = ["pip", "install", "--quiet", "--python", str(venv / "bin" / "python")]
        try:
            self._uv(*arguments, "--requirement", "requirements.txt", cwd=script)
        except _CommandFailed as failure:
            raise ConfigError(
                f"the requirements of {version.name} cannot be installed:\n{failure.output}",
                where=_line_at_fault(script, failure.output),
                hint="change that line, or the runtime in config.json",
            ) from None

    def _run_hook(self, version: ScriptVersion, script: Path, venv: Path) -> None:
        environ = dict(self._environ)
        environ["PATH"] = f"{venv / 'bin'}{os.pathsep}{environ.get('PATH', '')}"
        environ["VIRTUAL_ENV"] = str(venv)
        try:
            _run(["sh", str(HOOK)], cwd=script, environ=environ)
        except _CommandFailed as failure:
            raise ConfigError(
                f"the hook of {version.name} failed with exit code {failure.code}:\n"
                f"{failure.output}",
                where=Location(str(HOOK)),
                hint="run it by hand in a copy of the folder to see what it needs",
            ) from None

    def _uv(self, *arguments: str, cwd: Path) -> None:
        import uv

        environ = dict(self._environ)
        for pip_name, uv_name in _PIP_SETTINGS.items():
            if pip_name in environ and uv_name not in environ:
                environ[uv_name] = environ[pip_name]
        environ.pop("VIRTUAL_ENV", None)
        environ["UV_NO_CONFIG"] = environ.get("UV_NO_CONFIG", "1")
        environ["UV_PYTHON_DOWNLOADS"] = "never"
        command = [str(uv.find_uv_bin()), *arguments, "--no-progress", "--color", "never"]
        _run(command, cwd=cwd, environ=environ)


class _CommandFailed(Exception):
    def __init__(self, code: int, output: str) -> None:
        super().__init__(output)
        self.code = code
        self.output = output


def _run(command: list[str], *, cwd: Path, environ: Mapping[str, str]) -> None:
    """Run a command to its end; its whole process group ends if this one is interrupted."""
    import signal
    import subprocess

    with subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise _CommandFailed(process.returncode, output.strip())


def _requirements(folder: Path) -> str:
    try:
        return (folder / "requirements.txt").read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _line_at_fault(script: Path, output: str) -> Location:
    """Find the first line of requirements.txt whose package the resolver's words name."""
    words = set(re.findall(r"[a-z0-9][a-z0-9._-]*", output.lower().replace("_", "-")))
    for number, line in enumerate(_requirements(script).splitlines(), start=1):
        name = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", line)
        if line.strip() and line.strip() in output:
            return Location("requirements.txt", number, 1)
        if name and name[1].lower().replace("_", "-") in words:
            return Location("requirements.txt", number, 1)
    return Location("requirements.txt")


@contextmanager
def _locked(folder: Path, key: str) -> Iterator[None]:
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{key}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _unwritable(folder: Path, error: OSError) -> PlatformError:
    return PlatformError(
        f"the environment cannot be made in {folder}: {error.strerror}",
        hint="free some space, or set STEPLINE_CACHE_DIR to a folder that can be written",
    )
