"""The software in an image, read from its layers: Debian packages and Python packages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

from stepline.model.image import Package
from stepline.plugins.images_local.debs import installed
from stepline.plugins.images_local.trees import Tree, read_layers

DEBIAN, PYTHON = "deb", "pypi"
_METADATA = re.compile(
    r"(?:.*/)?(?:site|dist)-packages/[^/]+\.(?:dist-info/METADATA|egg-info/PKG-INFO|egg-info)"
)
_OF_DEBIAN = "usr/lib/python3/dist-packages/"
_LONGEST_LICENCE = 100


def read_software(tars: Sequence[Path]) -> list[Package]:
    """Return the software in a stack of layers, sorted by system and name.

    Args:
        tars: The layers, lowest first; what a higher one removes does not count.
    """
    tree = read_layers(tars)
    found = {*_debian(tree), *_python(tree)}
    return sorted(found, key=lambda each: (each.system, each.name.lower(), each.version))


def read_files(tars: Sequence[Path]) -> dict[str, str]:
    """Return the SHA-256 of each file in a stack of layers, by its path.

    Links and folders are in it too, with what they are in place of a hash.

    Args:
        tars: The layers, lowest first.
    """
    import hashlib

    found = {}
    for path, node in sorted(read_layers(tars).items()):
        if node.content is None:
            found[path] = f"link to {node.target}" if node.target else "folder"
            continue
        digest = hashlib.sha256()
        for block in node.content.blocks():
            digest.update(block)
        found[path] = digest.hexdigest()
    return found


def _debian(tree: Tree) -> Iterator[Package]:
    for deb in installed(tree).values():
        yield Package(deb.name, deb.version, DEBIAN, _debian_licence(deb.name, tree))


def _debian_licence(name: str, tree: Tree) -> str:
    """Return the licences of a package's copyright file, if that is written for machines."""
    text = _text(f"usr/share/doc/{name}/copyright", tree)
    if "copyright-format" not in text.partition("\n\n")[0]:
        return ""
    found = []
    for part in re.split(r"\n\s*\n", text):
        licence = re.search(r"^License:[ \t]*(\S.*)$", part, re.MULTILINE)
        files = re.search(r"^Files:[ \t]*(.*)$", part, re.MULTILINE)
        if licence and files:
            found.append(licence[1].strip())
            if files[1].strip() == "*":
                return licence[1].strip()
    return " and ".join(sorted(set(found)))


def _python(tree: Tree) -> Iterator[Package]:
    for path in tree:
        # Those that Debian packages bring are on the list as such.
        if _METADATA.fullmatch(path) and not path.startswith(_OF_DEBIAN):
            message = HeaderParser().parsestr(_text(path, tree))
            if message["Name"] and message["Version"]:
                yield Package(message["Name"], message["Version"], PYTHON, _licence(message))


def _licence(message: Message) -> str:
    """Return the licence of a Python package: an expression, its own word, or a classifier's."""
    if expression := message["License-Expression"]:
        return str(expression)
    own = str(message["License"] or "").strip()
    if own and own != "UNKNOWN" and "\n" not in own and len(own) <= _LONGEST_LICENCE:
        return own
    named = [
        str(line).rpartition("::")[2].strip()
        for line in message.get_all("Classifier", [])
        if str(line).startswith("License ::")
    ]
    return " and ".join(named)


def _text(path: str, tree: Tree) -> str:
    """Return the text of a file, also where its folder is a link to another; empty for none."""
    node = tree.get(path)
    if node is None:
        plain = PurePosixPath(path)
        folder = tree.get(str(plain.parent))
        if folder is not None and folder.target:
            node = tree.get(str(plain.parent.parent / folder.target / plain.name))
    if node is None or node.content is None:
        return ""
    return node.content.read().decode("utf-8", "replace")
