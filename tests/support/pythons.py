"""Pythons of other versions that this machine happens to have."""

import os
import re
import shutil
import subprocess
from pathlib import Path

_MINOR = re.compile(r"3\.(\d+)")
_ASK = "import sys; print('%d.%d' % sys.version_info[:2])"


def find_pythons(oldest: tuple[int, int] = (3, 7)) -> dict[str, str]:
    """Return one interpreter per version ``3.N``, oldest version first.

    Looks at PATH and at the folders in which version managers keep interpreters.
    """
    found: dict[str, str] = {}
    for path in _candidates():
        version = _version(path)
        if version and tuple(map(int, version.split("."))) >= oldest:
            found.setdefault(version, path)
    return dict(sorted(found.items(), key=lambda item: int(item[0].partition(".")[2])))


def _candidates() -> list[str]:
    names = [f"python3.{minor}" for minor in range(7, 20)]
    on_path = [path for name in names if (path := shutil.which(name))]
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    managed = sorted(root.glob("3.*/bin/python")) if root.is_dir() else []
    return on_path + [str(path) for path in managed]


def _version(path: str) -> str:
    """Return what an interpreter says of itself; a version manager's shim may only fail."""
    try:
        answer = subprocess.run(
            [path, "-c", _ASK], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    text = answer.stdout.strip()
    return text if _MINOR.fullmatch(text) else ""
