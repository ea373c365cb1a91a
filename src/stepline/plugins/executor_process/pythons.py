"""Finding the Python interpreters that a machine has."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from glob import glob
from pathlib import Path

from stepline.errors import PlatformError

KNOWN_RUNTIMES = tuple(f"3.{minor}" for minor in range(7, 14))
_OTHER_PLACES = (
    "{home}/.pyenv/versions/{version}.*/bin/python{version}",
    "{home}/.local/share/uv/python/cpython-{version}.*/bin/python{version}",
    "/opt/python/{version}*/bin/python{version}",
    "/usr/local/bin/python{version}",
)


def own_version() -> str:
    """Return the platform's own Python, ``3.N``."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def find_python(version: str, environ: Mapping[str, str]) -> str:
    """Return the path of an interpreter of ``version``, ``3.N``.

    Raises:
        PlatformError: This machine has none; the error names those it has.
    """
    if version == own_version():
        return _own_python(version)
    for path in _candidates(version, environ):
        if _reports(path, version):
            return os.path.realpath(path)
    found = ", ".join(f"python{v}" for v in installed(environ))
    raise PlatformError(
        f"this machine has no python{version}; it has {found}",
        hint=f"install one (Debian: apt install python{version}; elsewhere: "
        f'uv python install {version}), or set another "runtime" in config.json',
    )


def _own_python(version: str) -> str:
    path = Path(sys.base_prefix, "bin", f"python{version}")
    return str(path.resolve()) if path.exists() else os.path.realpath(sys.executable)


def installed(environ: Mapping[str, str]) -> list[str]:
    """Return the versions, ``3.N``, that `find_python` would find."""
    return [
        version
        for version in KNOWN_RUNTIMES
        if version == own_version()
        or any(_reports(path, version) for path in _candidates(version, environ))
    ]


def _candidates(version: str, environ: Mapping[str, str]) -> Iterator[str]:
    for folder in environ.get("PATH", "").split(os.pathsep):
        yield os.path.join(folder, f"python{version}")
    home = environ.get("HOME") or os.path.expanduser("~")
    for pattern in _OTHER_PLACES:
        place = pattern.format(version=version, home=home)
        yield from sorted(glob(place), reverse=True)


def _reports(path: str, version: str) -> bool:
    """Tell whether a file is a working interpreter; version managers leave shims that are not."""
    import subprocess

    if not os.access(path, os.X_OK):
        return False
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run(
            [path, "-I", "-c", code], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and answer.stdout.strip() == version
