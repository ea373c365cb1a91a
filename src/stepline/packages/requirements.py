"""What a task script's folder asks for: its requirements.txt and its hook."""

from __future__ import annotations

from pathlib import Path

from stepline.errors import Location

HOOK = Path("init", "before_install")
REQUIREMENTS = "requirements.txt"

_OPTIONS_WITHOUT_FILES = (
    "-i",
    "--index-url",
    "--extra-index-url",
    "--trusted-host",
    "--no-index",
    "--pre",
    "--prefer-binary",
    "--only-binary",
    "--no-binary",
    "--require-hashes",
    "--hash",
)
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tar.bz2", ".tar.xz", ".tgz")


def read_requirements(folder: Path) -> str:
    """Return the text of a script's requirements.txt, empty where there is none."""
    try:
        return (folder / REQUIREMENTS).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def depend_on_folder(requirements: str) -> bool:
    """Tell whether what is installed may depend on other files of the script's folder.

    In doubt it does: then the environment is made anew when the script changes.
    """
    return any(_is_local(line) for line in map(_without_comment, requirements.splitlines()))


def line_at_fault(requirements: str, output: str) -> Location:
    """Return the line of requirements.txt that the resolver's words are about.

    That is the first one that they repeat, else the first whose package they name.
    """
    import re

    lines = [(n, _without_comment(line)) for n, line in enumerate(requirements.splitlines(), 1)]
    words = set(re.findall(r"[a-z0-9][a-z0-9.-]*[a-z0-9]|[a-z0-9]", _plain(output)))
    for number, line in lines:
        if line and re.search(rf"(?<![\w.-]){re.escape(line)}(?![\w.-])", output):
            return Location(REQUIREMENTS, number, 1)
    for number, line in lines:
        name = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line)
        if name and _plain(name[0]) in words:
            return Location(REQUIREMENTS, number, 1)
    return Location(REQUIREMENTS)


def _without_comment(line: str) -> str:
    text = line.strip()
    return "" if text.startswith("#") else text.partition(" #")[0].strip()


def _is_local(line: str) -> bool:
    if line.startswith("-"):
        option = line.replace("=", " ").split()[0]
        return option not in _OPTIONS_WITHOUT_FILES
    if "file:" in line:
        return True
    path = line.partition(";")[0].strip().lower()
    return "://" not in path and ("/" in path or path.endswith(_ARCHIVES))


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")
