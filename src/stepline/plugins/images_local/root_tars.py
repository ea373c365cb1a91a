"""Tars of whole systems, freed of what a build leaves in them."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from pathlib import Path

from stepline.plugins.images_local.tars import new_member

_EMPTY = ("dev", "proc", "run", "sys", "tmp", "var/cache/apt", "var/lib/apt/lists", "var/tmp")
"""Folders of which nothing is kept."""

_KEPT = ("var/cache/apt/archives", "var/cache/apt/archives/partial", "var/lib/apt/lists/partial")
"""Folders that apt wants. They belong to root; a build leaves them to a user of the machine's."""


def rewrite_root(source: Path, target: Path) -> None:
    """Write the tar of a system once more, so that it tells only of the system's files.

    Owners and modes stay, since Debian means something by them. Times, names of owners, the
    order and further attributes do not.
    """
    with tarfile.open(source) as raw, tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        members = {name: member for member in raw if _is_kept(name := _name(member), member)}
        files: dict[str, str] = {}
        for name in sorted(members, key=lambda name: name.split("/")):
            _rewrite(name, members, raw=raw, tar=tar, files=files)


def _name(member: tarfile.TarInfo) -> str:
    return member.name.removeprefix("./").rstrip("/")


def _is_kept(name: str, member: tarfile.TarInfo) -> bool:
    if name in ("", ".") or not (
        member.isdir() or member.isfile() or member.issym() or member.islnk()
    ):
        return False
    return name in _KEPT or not any(name.startswith(f"{folder}/") for folder in _EMPTY)


def _rewrite(
    name: str,
    members: Mapping[str, tarfile.TarInfo],
    *,
    raw: tarfile.TarFile,
    tar: tarfile.TarFile,
    files: dict[str, str],
) -> None:
    """Write one member.

    Args:
        name: Its name.
        members: All members by name.
        raw: Where its content is.
        tar: Where to.
        files: By the name in ``raw`` that holds a file with several: the first name that was
            written of it; the further ones become links to that.
    """
    member = members[name]
    holder = _name_of_link(member) if member.islnk() else name
    found = members[holder]
    new = new_member(name, mode=found.mode & 0o7777, size=found.size)
    if name not in _KEPT:
        new.uid, new.gid = found.uid, found.gid
    if not found.isfile():
        new.type, new.linkname, new.size = found.type, found.linkname, 0
        tar.addfile(new)
    elif (first := files.setdefault(holder, name)) != name:
        new.type, new.linkname, new.size = tarfile.LNKTYPE, first, 0
        tar.addfile(new)
    else:
        tar.addfile(new, raw.extractfile(found))


def _name_of_link(member: tarfile.TarInfo) -> str:
    return member.linkname.removeprefix("./")
