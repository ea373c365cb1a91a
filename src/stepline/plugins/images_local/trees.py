"""Root file systems as trees of nodes, read from layers or from a folder, and compared."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import BinaryIO

from stepline.frozen import frozen
from stepline.plugins.images_local.tars import new_member

WHITEOUT = ".wh."
"""Begin of the name of what hides a file of the layers below."""

OPAQUE = ".wh..wh..opq"
"""Name of what hides all of a folder of the layers below."""

_BLOCK = 1 << 20
_XATTR = "SCHILY.xattr."
_TYPES = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
}


@frozen
class Content:
    """The bytes of a file, wherever they are.

    Attributes:
        path: A tar, or the file itself.
        offset: Where they begin in it.
        size: Their number.
    """

    path: Path
    offset: int
    size: int

    def blocks(self) -> Iterator[bytes]:
        """Give the bytes in pieces of at most 1 MiB."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            left = self.size
            while left and (block := file.read(min(left, _BLOCK))):
                left -= len(block)
                yield block

    def read(self) -> bytes:
        """Return all the bytes."""
        return b"".join(self.blocks())


@frozen
class Node:
    """A file, link or folder of a root file system; nodes with one content are hard links.

    Attributes:
        kind: Type of a tar's member.
        mode: Permissions, with the bits for other identities.
        owner: User and group.
        target: Of a link.
        content: Of a file.
        xattrs: Extended attributes, as a tar has them.
    """

    kind: bytes
    mode: int
    owner: tuple[int, int]
    target: str = ""
    content: Content | None = None
    xattrs: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.kind == tarfile.DIRTYPE


Tree = dict[str, Node]
"""Nodes by their path, without a leading slash."""


def read_layers(tars: Sequence[Path]) -> Tree:
    """Return the tree of several layers, lowest first; devices are left out."""
    tree: Tree = {}
    for tar in tars:
        _apply_layer(tree, tar)
    return tree


def read_folder(folder: Path) -> Tree:
    """Return the tree of all that is in a folder, without following links."""
    tree: Tree = {}
    contents: dict[tuple[int, int], Content] = {}
    for path in _walk(folder):
        found = path.lstat()
        if (kind := _TYPES.get(stat.S_IFMT(found.st_mode))) is None:
            continue
        content = None
        if kind == tarfile.REGTYPE:
            new = Content(path, 0, found.st_size)
            content = contents.setdefault((found.st_dev, found.st_ino), new)
        tree[path.relative_to(folder).as_posix()] = Node(
            kind,
            stat.S_IMODE(found.st_mode),
            (found.st_uid, found.st_gid),
            os.readlink(path) if kind == tarfile.SYMTYPE else "",
            content,
            _read_xattrs(path),
        )
    return tree


def same(one: Node, other: Node) -> bool:
    """Tell whether two nodes are alike in everything that a layer keeps."""
    if _plain(one) != _plain(other):
        return False
    if one.content is None or other.content is None or one.content == other.content:
        return one.content is other.content or one.content == other.content
    if one.content.size != other.content.size:
        return False
    return one.content.read() == other.content.read()


def write_tree(tree: Mapping[str, Node | None], file: BinaryIO) -> None:
    """Write a tree as the tar of a layer; None stands for something that is removed."""
    links: dict[Content, str] = {}
    with tarfile.TarFile(
        fileobj=file, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8", copybufsize=_BLOCK
    ) as tar:
        for path in sorted(tree, key=lambda path: path.split("/")):
            node = tree[path]
            if node is None:
                folder, _, name = path.rpartition("/")
                tar.addfile(new_member(f"{folder}/{WHITEOUT}{name}".lstrip("/")))
            else:
                _write_node(tar, path, node, links)


def parents(path: str) -> Iterator[str]:
    """Give the folders that a path is in, the nearest first."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _apply_layer(tree: Tree, tar: Path) -> None:
    here: Tree = {}
    with tarfile.open(tar) as opened:
        for member in opened:
            path = os.path.normpath(member.name).lstrip("/")
            folder, _, name = path.rpartition("/")
            if name == OPAQUE:
                _remove(tree, folder, itself=False)
            elif name.startswith(WHITEOUT):
                _remove(tree, f"{folder}/{name.removeprefix(WHITEOUT)}".lstrip("/"))
            elif path != "." and (node := _member_node(member, tar, here)) is not None:
                here[path] = node
    for path, node in here.items():
        if path in tree and tree[path].is_folder and not node.is_folder:
            _remove(tree, path)
        tree[path] = node


def _remove(tree: Tree, path: str, *, itself: bool = True) -> None:
    below = f"{path}/"
    for name in [name for name in tree if name.startswith(below) or (itself and name == path)]:
        del tree[name]


def _member_node(member: tarfile.TarInfo, tar: Path, here: Tree) -> Node | None:
    if member.islnk():
        return here.get(os.path.normpath(member.linkname).lstrip("/"))
    if not (member.isfile() or member.issym() or member.isdir()):
        return None
    content = Content(tar, member.offset_data, member.size) if member.isfile() else None
    kind = tarfile.REGTYPE if content else member.type
    owner = (member.uid, member.gid)
    xattrs = {k: v for k, v in member.pax_headers.items() if k.startswith(_XATTR)}
    return Node(kind, member.mode & 0o7777, owner, member.linkname, content, xattrs)


def _write_node(tar: tarfile.TarFile, path: str, node: Node, links: dict[Content, str]) -> None:
    member = new_member(path, mode=node.mode)
    member.type, member.linkname = node.kind, node.target
    member.uid, member.gid = node.owner
    member.pax_headers = dict(node.xattrs)
    if node.content is None:
        tar.addfile(member)
    elif node.content in links and node.content.size:
        member.type, member.linkname = tarfile.LNKTYPE, links[node.content]
        tar.addfile(member)
    else:
        links[node.content] = path
        member.size = node.content.size
        with node.content.path.open("rb") as file:
            file.seek(node.content.offset)
            tar.addfile(member, file)


def _plain(node: Node) -> tuple[object, ...]:
    # The mode of a link means nothing, and is told differently by kernels and tars.
    mode = 0 if node.kind == tarfile.SYMTYPE else node.mode
    return node.kind, mode, node.owner, node.target, dict(node.xattrs)


def _read_xattrs(path: Path) -> dict[str, str]:
    try:
        names = os.listxattr(path, follow_symlinks=False)
        found = {name: os.getxattr(path, name, follow_symlinks=False) for name in names}
    except OSError:
        return {}
    return {f"{_XATTR}{k}": v.decode("utf-8", "surrogateescape") for k, v in found.items()}


def _walk(folder: Path) -> Iterator[Path]:
    for entry in os.scandir(folder):
        yield Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
