"""What tests inside images need and images do not have: pytest, and our own test kit.

It is a folder for each Python, mounted read-only while tests run, and searched after all that
the image has, so that tests see the packages which tasks see.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from stepline.app.common import shipped_folder
from stepline.app.project_layout import PROTOCOLS_FOLDER, SCRIPTS_FOLDER
from stepline.errors import PlatformError
from stepline.packages.uv import CommandFailed, index_arguments, run_uv
from stepline.ports.engine import Mount
from stepline.workers.folders import remove_folder

PLATFORM = "x86_64-manylinux_2_28"
_KIT = "/opt/stepline/test-kit"
_OURS = "/opt/stepline/ours"
_SDK = "/opt/stepline/sdk"
_RUNNER = "pytest>=7"
_UNFINISHED = ".new-"
# Nobody takes so long to make a kit, seconds.
_FORSAKEN_S = 24 * 3600.0
_PLUGIN = "stepline.testing.pytest_plugin"
# What our test kit imports of others'; it is for the Pythons that we ourselves run on.
_NEEDED = ("jsonschema", "pluggy", "pyyaml")
_OLDEST = 11

# What `python -m pytest` does, with the kit's folders behind all others.
# Our plugin may be installed where the tests run too, and pytest takes it only once.
_START = """\
import os, sys
sys.path.insert(0, os.getcwd())
sys.path.extend(sys.argv[1].split(os.pathsep))
ours = sys.argv[2]
del sys.argv[1:3]
if ours:
    from importlib.metadata import entry_points
    found = [each.name for each in entry_points(group="pytest11") if each.value == ours]
    sys.argv[1:1] = ["-p", (found or [ours])[0]]
import pytest
sys.exit(pytest.main())
"""


class Kit:
    """The kit for one Python.

    Args:
        folder: Where it is on this machine.
        runtime: The Python, ``3.N``.
    """

    def __init__(self, folder: Path, runtime: str) -> None:
        self._folder = folder
        self._has_ours = _has_ours(runtime)

    @property
    def mounts(self) -> list[Mount]:
        """What a container has to see."""
        mounts = [
            Mount(source=str(self._folder), target=_KIT),
            Mount(source=_home("stepline_sdk"), target=f"{_SDK}/stepline_sdk"),
        ]
        if self._has_ours:
            mounts.append(Mount(source=_home("stepline"), target=f"{_OURS}/stepline"))
            mounts += _shipped()
        return mounts

    def command(self, python: str, arguments: list[str], *, inside: bool) -> list[str]:
        """Return the command that runs pytest.

        Args:
            python: The interpreter.
            arguments: Further ones for pytest.
            inside: Whether it runs where `mounts` are, or on this machine.
        """
        sdk = _SDK if inside else os.path.dirname(_home("stepline_sdk"))
        folders = [_KIT if inside else str(self._folder), sdk, f"{sdk}/stepline_sdk/compat"]
        if self._has_ours:
            folders.append(_OURS if inside else os.path.dirname(_home("stepline")))
        own = _PLUGIN if self._has_ours else ""
        fixed = ["-p", "no:cacheprovider", "-rs"]
        return [python, "-B", "-c", _START, os.pathsep.join(folders), own, *fixed, *arguments]


def _shipped() -> list[Mount]:
    """Return what travels with Stepline where that lies beside the package, as in a checkout."""
    home, package = shipped_folder(), Path(_home("stepline"))
    if home.is_relative_to(package):
        return []
    # Where the package inside looks for it.
    place = Path(_OURS).parent
    names = [name for name in (SCRIPTS_FOLDER, PROTOCOLS_FOLDER) if (home / name).is_dir()]
    return [Mount(source=str(home / name), target=str(place / name)) for name in names]


def find_kit(
    runtime: str, *, cache_dir: Path, environ: Mapping[str, str], tell: Callable[[str], None]
) -> Kit:
    """Return the kit for a Python, made by uv where it is not there.

    Args:
        runtime: The Python, ``3.N``.
        cache_dir: Folder for what may be kept between runs.
        environ: Environment of the platform.
        tell: Told what takes long.

    Raises:
        PlatformError: The package index cannot be used, or the cache not be written.
    """
    wanted = [_RUNNER, *(_needed() if _has_ours(runtime) else ())]
    key = hashlib.sha256("\n".join([runtime, PLATFORM, *wanted]).encode()).hexdigest()
    folder = cache_dir / "test-kits" / f"{runtime}-{key[:16]}"
    if not folder.is_dir():
        tell(f"fetching pytest for Python {runtime}")
        _make(folder, runtime, wanted, environ)
    return Kit(folder, runtime)


def _make(folder: Path, runtime: str, wanted: list[str], environ: Mapping[str, str]) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_forsaken(folder.parent)
        with TemporaryDirectory(dir=folder.parent, prefix=_UNFINISHED) as work:
            target = Path(work, "kit")
            arguments = ["pip", "install", "--target", str(target), "--only-binary", ":all:"]
            arguments += ["--python", sys.executable, "--python-version", runtime]
            arguments += ["--python-platform", PLATFORM, *index_arguments(environ), *wanted]
            run_uv(*arguments, cwd=Path(work), environ=environ)
            target.chmod(0o755)
            if not folder.is_dir():
                _sync(target)
                target.rename(folder)
                _sync_one(folder.parent)
    except CommandFailed as failure:
        raise PlatformError(
            f"pytest cannot be fetched for Python {runtime}:\n{failure.output}",
            hint="UV_DEFAULT_INDEX or PIP_INDEX_URL names the package index",
            retryable=True,
        ) from None
    except OSError as error:
        if not folder.is_dir():  # else another was faster
            raise PlatformError(
                f"pytest cannot be kept in {folder.parent}: {error.strerror}",
                hint="free some space, or set STEPLINE_CACHE_DIR to a folder that can be written",
            ) from error


def _remove_forsaken(folder: Path) -> None:
    """Remove what processes left that were killed while they made a kit."""
    for path in folder.glob(f"{_UNFINISHED}*"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - _FORSAKEN_S:
                remove_folder(path)


def _sync(folder: Path) -> None:
    """Have all of a folder on the disk, so that what has its name is whole."""
    for base, _, names in os.walk(folder):
        for path in (*(Path(base, name) for name in names), Path(base)):
            if not path.is_symlink():
                _sync_one(path)


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _needed() -> list[str]:
    """Return our own requirements that the test kit has too."""
    try:
        listed = requires("stepline") or []
    except PackageNotFoundError:
        listed = []
    plain = {line.partition(";")[0].strip() for line in listed if "extra ==" not in line}
    found = [line for line in sorted(plain) if line.lower().startswith(_NEEDED)]
    return [line.replace(" ", "").replace("(", "").replace(")", "") for line in found] or [*_NEEDED]


def _has_ours(runtime: str) -> bool:
    return int(runtime.partition(".")[2]) >= _OLDEST


def _home(package: str) -> str:
    """Return the folder of one of our own packages."""
    spec = find_spec(package)
    return os.path.dirname(os.path.abspath(str(spec.origin))) if spec else ""
