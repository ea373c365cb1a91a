"""Unpacking of a layer into a folder, without ever writing outside of it.

The layer may have been made to harm. Names are walked part by part, and links on the way are
followed as they would be inside, where the folder is ``/``.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
from pathlib import Path

from stepline.errors import PlatformError
from stepline.plugins.images_local.trees import OPAQUE, WHITEOUT
from stepline.workers.folders import remove_folder

_MOST_LINKS = 40
_BLOCK = 1 << 20


class _Refused(Exception):
    """A member of a layer that is not unpacked."""


def unpack(tar: Path, root: Path, *, name: str) -> None:
    """Put the content of a layer over what is in a folder.

    Files get the owners that the layer says where this process may give them, and never the
    right to run as somebody else. Devices and pipes are left out. What is there already is
    replaced and never written to, since it may be a hard link.

    Args:
        tar: The layer, not compressed.
        root: The folder, nobody else's.
        name: What to call the layer in errors.

    Raises:
        PlatformError: It is damaged, or has names or links that lead out of the folder.
    """
    layer = _Unpacking(str(root))
    try:
        with tarfile.open(tar, "r:") as opened:
            members = opened.getmembers()
            for member in members:  # they are about what is below, wherever they stand
                layer.hide(member)
            for member in members:
                layer.put(opened, member)
    except (_Refused, tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise PlatformError(
            f"the layer {name} cannot be unpacked: {error}",
            hint="it is damaged or was made to harm: remove the image, and find out where it is "
            "from",
        ) from error


class _Unpacking:
    def __init__(self, root: str) -> None:
        self._root = root
        self._is_root = os.geteuid() == 0
        # Where the folders of names really are, for as long as that cannot have changed.
        self._known: dict[str, str] = {}

    def hide(self, member: tarfile.TarInfo) -> None:
        """Remove what a whiteout says."""
        folder, base = _split(member.name)
        if not base.startswith(WHITEOUT):
            return
        parent = self._folder(folder, make=False)
        if parent is None:
            return
        if base == OPAQUE:
            for entry in os.listdir(parent):
                self._clear(os.path.join(parent, entry))
        elif base[len(WHITEOUT) :] not in ("", ".", ".."):
            self._clear(os.path.join(parent, base[len(WHITEOUT) :]))
        else:
            raise _Refused(f"{member.name!r} hides nothing that has a name")

    def put(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Unpack one member."""
        folder, base = _split(member.name)
        if not base or base.startswith(WHITEOUT):
            return
        parent = self._folder(folder, make=True)
        assert parent is not None
        path = os.path.join(parent, base)
        if member.isdir():
            self._put_folder(path, member)
        elif member.isreg():
            self._clear(path)
            self._put_file(tar, member, path)
        elif member.issym():
            self._clear(path)
            os.symlink(member.linkname, path)
            self._own(path, member)
        elif member.islnk():
            self._put_hard_link(path, member)

    def _put_folder(self, path: str, member: tarfile.TarInfo) -> None:
        if os.path.islink(path) or not os.path.isdir(path):
            self._clear(path)
            os.mkdir(path)
        self._own(path, member)
        # Its owner has to be able to put something into it, and to remove it.
        os.chmod(path, stat.S_IMODE(member.mode) & 0o1777 | 0o700)

    def _put_file(self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        content = tar.extractfile(member)
        assert content is not None
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with content, open(os.open(path, flags, 0o600), "wb") as file:
            shutil.copyfileobj(content, file, _BLOCK)
            if file.tell() != member.size:
                raise _Refused(f"{member.name!r} is cut short")
            self._own(path, member)
            mode = stat.S_IMODE(member.mode) & 0o777
            os.fchmod(file.fileno(), mode if self._is_root else mode | 0o400)
            file.flush()
            os.utime(file.fileno(), (member.mtime, member.mtime))

    def _put_hard_link(self, path: str, member: tarfile.TarInfo) -> None:
        folder, base = _split(member.linkname)
        parent = self._folder(folder, make=False)
        target = os.path.join(parent, base) if parent is not None else ""
        if not base or not os.path.lexists(target) or os.path.isdir(target):
            raise _Refused(f"{member.name!r} is a link to {member.linkname!r}, which is no file")
        if target != path:
            self._clear(path)
            os.link(target, path, follow_symlinks=False)

    def _own(self, path: str, member: tarfile.TarInfo) -> None:
        if self._is_root:
            os.lchown(path, member.uid, member.gid)

    def _clear(self, path: str) -> None:
        """Remove what is in the way."""
        if not os.path.lexists(path):
            return
        if os.path.islink(path) or os.path.isdir(path):
            self._known.clear()
        if os.path.isdir(path) and not os.path.islink(path):
            remove_folder(path)
        else:
            os.unlink(path)

    def _folder(self, name: str, *, make: bool) -> str | None:
        """Return where a folder of the layer really is.

        Args:
            name: Its name in the layer.
            make: Make what is missing; otherwise there is None for it.
        """
        if name not in self._known:
            found = self._walk(name, make=make)
            if found is None:
                return None
            self._known[name] = found
        return self._known[name]

    def _walk(self, name: str, *, make: bool) -> str | None:
        done: list[str] = []
        left = name.split("/")[::-1]
        links = 0
        while left:
            part = left.pop()
            if part in ("", "."):
                continue
            if part == "..":  # of a link: names with it were refused
                if not done:
                    raise _Refused(f"{name!r} leads out of the image")
                done.pop()
                continue
            path = os.path.join(self._root, *done, part)
            if os.path.islink(path):
                links += 1
                target = os.readlink(path)
                if links > _MOST_LINKS:
                    raise _Refused(f"{name!r} leads through too many links")
                done = [] if target.startswith("/") else done
                left += target.split("/")[::-1]
                continue
            if not os.path.isdir(path):
                if os.path.lexists(path):
                    raise _Refused(f"{name!r} leads through a file")
                if not make:
                    return None
                os.mkdir(path)
                os.chmod(path, 0o755)
            done.append(part)
        return os.path.join(self._root, *done)


def _split(name: str) -> tuple[str, str]:
    """Return the folder and the last part of a member's name.

    Raises:
        _Refused: It is no name inside.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts:
        raise _Refused(f"{name!r} is not a name in the image")
    return "/".join(parts[:-1]), parts[-1] if parts else ""
