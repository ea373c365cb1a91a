"""What requirements.txt must not name: anything of this machine beside the script's folder.

Who writes a task script may be somebody else than who runs the platform. A file that is
included from elsewhere would be shown in errors, and a package from elsewhere be installed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from stepline.errors import ConfigError, Location
from stepline.packages.requirements import REQUIREMENTS

_INCLUDES = ("-r", "--requirement", "-c", "--constraint")
_INDEXES = ("-i", "--index-url", "--extra-index-url", "-f", "--find-links")
_OPTION = re.compile(
    r"(--requirement|--constraint|--index-url|--extra-index-url|--find-links|--editable"
    r"|-[rcife](?!\w*-))[\s=]*"
)
_NAMED = re.compile(r"[A-Za-z0-9][\w.-]*\s*(?:\[[^\]]*\])?\s*@\s*")
_REMOTE = re.compile(r"(?!(?:\w+\+)?file:)[a-z][a-z0-9.+-]*://", re.IGNORECASE)
_FILE = re.compile(r"(?:\w+\+)?file:(?://[^/]*(?=/))?", re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{\w+\}")
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tar.bz2", ".tar.xz", ".tgz")
_ROOT = "${PROJECT_ROOT}"
# What may come after a path, of which no parser is asked here: each reading has to be inside.
_ENDS = (r"\s+;", ";", r"\s", r"\s*\[", "#", r"\?")
_MOST_FILES = 100


def refuse_outside(folder: Path) -> None:
    """Refuse a requirements.txt that names files which are not in the script's folder.

    What it includes is read too, and links are followed.

    Args:
        folder: The task script's folder.

    Raises:
        ConfigError: It names one, or includes what is on another machine.
    """
    root, waiting = folder.resolve(), [folder / REQUIREMENTS]
    seen: set[Path] = set()
    while waiting and len(seen) < _MOST_FILES:
        file = waiting.pop()
        if not _is_inside(file, root):
            raise _refused(str(file), Location(REQUIREMENTS))
        if file.resolve() not in seen and file.is_file():
            seen.add(file.resolve())
            waiting += _included(file, folder)


def is_outside(place: str, folder: Path) -> bool:
    """Tell whether a path, or an address of a file, is not in a folder.

    Args:
        place: As requirements name it; an address of another machine is not outside.
        folder: What it is relative to.
    """
    return not _REMOTE.match(place) and not _all_inside(place, [folder], folder)


def _included(file: Path, folder: Path) -> Iterator[Path]:
    """Give the files that one includes, after making sure of all that it names."""
    text = _text(file)
    bases = list(dict.fromkeys([file.parent, folder]))
    for begin, line in _logical_lines(text):
        for offset, option, place in _places(line):
            where = _location(file, folder, text=text, offset=begin + offset)
            remote = _REMOTE.match(place) is not None
            if remote and option in _INCLUDES:
                raise _refused_remote(place, where)
            allowed = remote or _is_left_to_settings(option, place)
            if not allowed and not _all_inside(place, bases, folder):
                raise _refused(place, where)
            if option in _INCLUDES:
                named = (base / _path(each) for base in bases for each in _readings(place))
                yield from (each for each in named if os.path.lexists(each))


def _places(line: str) -> Iterator[tuple[int, str, str]]:
    """Give what a line may name: where in it that begins, the option, and the path or address."""
    begin = len(line) - len(line.lstrip())
    if option := _OPTION.match(line, begin):
        yield option.end(), option[1], _unquoted(line[option.end() :])
        return
    if line[begin] == "-":
        return
    if named := _NAMED.match(line, begin):
        yield named.end(), "", _unquoted(line[named.end() :])
    bare = line[begin:].partition(";")[0].strip().lower()
    local = _FILE.match(bare) or "/" in bare or bare.startswith(".") or bare.endswith(_ARCHIVES)
    if local and not (named and "://" in bare):
        yield begin, "", _unquoted(line[begin:])


def _is_left_to_settings(option: str, place: str) -> bool:
    """Tell whether it is for the platform's own variables to say which index is used."""
    return option in _INDEXES and _VARIABLE.fullmatch(place) is not None


def _all_inside(place: str, bases: list[Path], folder: Path) -> bool:
    """Tell whether whatever a place may mean is in a folder."""
    root = folder.resolve()
    for reading in _readings(place.replace(_ROOT, str(folder.absolute()))):
        path = _path(reading)
        found = [base / path for base in bases]
        there = [each for each in found if os.path.lexists(each)]
        if _VARIABLE.search(path) or not all(_is_inside(each, root) for each in there or found[:1]):
            return False
    return True


def _is_inside(path: Path, root: Path) -> bool:
    """Tell whether a file is in a folder, or a folder is with the packages in it."""
    try:
        if not path.resolve().is_relative_to(root):
            return False
        names = os.listdir(path) if path.is_dir() else ()
        packages = (path / name for name in names if name.lower().endswith(_ARCHIVES))
        return all(each.resolve().is_relative_to(root) for each in packages)
    except (OSError, RuntimeError, ValueError):  # a loop of links, or no path at all
        return False


def _readings(place: str) -> Iterator[str]:
    yield place
    for end in _ENDS:
        if shorter := re.split(end, place, maxsplit=1)[0].strip():
            yield shorter


def _path(place: str) -> str:
    """Return the path of an address of a file, or the path that it is."""
    found = _FILE.match(place)
    return unquote(place[found.end() :]) if found else place


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if text[:1] in ("'", '"') and text[-1:] == text[:1] else text


def _text(file: Path) -> str:
    """Return a file's text, as uv decodes it."""
    content = file.read_bytes()
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    return content.decode("utf-16" if wide else "utf-8-sig", "replace")


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Give each line that counts, and where it begins in the text."""
    joined = re.sub(r"\\[ \t]*\r?\n", lambda found: " " * len(found[0]), text)
    for found in re.finditer(r"[^\r\n]+", joined):
        line = re.sub(r"(^|\s)#.*", "", found[0])
        if line.strip():
            yield found.start(), line


def _location(file: Path, folder: Path, *, text: str, offset: int) -> Location:
    line = text.count("\n", 0, offset) + 1
    return Location(os.path.relpath(file, folder), line, offset - text.rfind("\n", 0, offset))


def _refused(place: str, where: Location) -> ConfigError:
    return ConfigError(
        f"{place} is not in the task script's folder",
        where=where,
        hint="requirements name packages of an index, or files in the task script's own folder: "
        "copy it there, and name it by its path in that folder",
    )


def _refused_remote(place: str, where: Location) -> ConfigError:
    from stepline.packages.uv import mask_credentials

    return ConfigError(
        f"{mask_credentials(place)} is a file of requirements on another machine",
        where=where,
        hint="put a copy of it into the task script's folder, and include that",
    )
