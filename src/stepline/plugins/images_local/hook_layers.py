"""The layer of what a build step changed of a system, as images keep it.

It holds all that the finished system has over the slim base, but for the tools that the base
of hooks brought, so that what was installed finds in the image what it found in the build.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from stepline.frozen import frozen
from stepline.plugins.images_local.debs import (
    STATUS,
    installed,
    is_pip,
    left_out,
    owned,
    status,
)
from stepline.plugins.images_local.trees import Content, Node, Tree, parents, same

# What belongs to the machine, to the moment or to the tools.
_NEVER = re.compile(
    r"(?:run|tmp|proc|sys|dev|opt/stepline|etc/apt|etc/dpkg|root/\.cache|usr/share/man|var/(?:log|tmp|backups)"
    r"|var/lib/(?:apt|dpkg)|var/cache/(?:apt|debconf|ldconfig))(?:/|$)"
    r"|(?:etc/(?:hosts|hostname|resolv\.conf|mtab|machine-id|\.pwd\.lock)|usr/sbin/policy-rc\.d"
    r"|etc/(?:passwd|group|shadow|gshadow|subuid|subgid)-|var/lib/dbus/machine-id|\.dockerenv"
    r"|root/\.wget-hsts)$"
)
# Not of an optional part.
_REQUIRES = re.compile(
    r"^Requires-Dist: *(pip|setuptools|wheel)\b(?!.*\bextra *==)", re.MULTILINE | re.IGNORECASE
)
# Bytes 4 to 7 of bytecode: 0 where it holds as long as the source has the same time.
_FLAGS = slice(4, 8)


@frozen(kw_only=True)
class Systems:
    """The systems that make a layer.

    Attributes:
        before: The base of hooks.
        finished: The same after the step.
        shipped: What the layer goes on.
    """

    before: Tree
    finished: Tree
    shipped: Tree


def changed_paths(systems: Systems) -> list[str]:
    """Return the paths that the step added or changed, sorted; what is never kept is left out."""
    before, finished = systems.before, systems.finished
    return sorted(
        path
        for path, node in finished.items()
        if not _NEVER.match(path)
        and (path not in before or not same(before[path], node))
        and not _is_stale_bytecode(path, node)
    )


def removed_paths(systems: Systems) -> list[str]:
    """Return the paths that the step removed, sorted, without what was in removed folders."""
    before, finished = systems.before, systems.finished
    gone = {path for path in before if path not in finished and not _NEVER.match(path)}
    return sorted(path for path in gone if not any(parent in gone for parent in parents(path)))


def raw_layer(systems: Systems) -> dict[str, Node | None]:
    """Return all that the step changed, for a further step on top."""
    before, finished = systems.before, systems.finished
    found: dict[str, Node | None] = {
        path: node
        for path, node in finished.items()
        if path not in before or not same(before[path], node)
    }
    gone = {path for path in before if path not in finished}
    topmost = (path for path in gone if not any(parent in gone for parent in parents(path)))
    found.update(dict.fromkeys(topmost))
    return _with_parents(found, finished)


def shipped_layer(
    systems: Systems, *, scratch: Path, wanted: Collection[str] = ()
) -> dict[str, Node | None] | None:
    """Return what goes over the shipped system; None where that lacks nothing.

    Args:
        systems: Before and after the step, and what the layer goes on.
        scratch: An empty folder for files of the layer.
        wanted: Names of Debian packages that were asked for.
    """
    changed, removed = changed_paths(systems), removed_paths(systems)
    shipped, finished = systems.shipped, systems.finished
    debs, there = installed(finished), installed(shipped)
    lacking = {name for name in wanted if name in debs and name not in there}
    if not changed and not removed and not lacking:
        return None
    before = installed(systems.before)
    unneeded = left_out(
        before, debs, shipped=there.keys(), wanted=lacking | _required(systems, changed)
    )
    found: dict[str, Node | None] = {
        path: finished[path]
        for path in _kept_paths(systems, set(changed), unneeded)
        if path not in shipped or not same(shipped[path], finished[path])
    }
    found.update((path, None) for path in removed if path in shipped)
    kept = status(deb for name, deb in debs.items() if name not in unneeded)
    if debs and kept != status(there.values()):
        found[STATUS] = _file(scratch / "status", kept)
    return _with_parents(found, finished)


def find_text(tree: Mapping[str, Node | None], texts: Collection[str]) -> str | None:
    """Return the path of a file that holds one of several texts; None where none does."""
    needles = [text.encode() for text in texts]
    for path, node in tree.items():
        if node is not None and node.content is not None and _holds(node.content, needles):
            return path
    return None


def _required(systems: Systems, changed: Collection[str]) -> set[str]:
    """Return the Debian packages of the tools that new Python packages require.

    Pip installed none of its own, since it found these.
    """
    found: set[str] = set()
    for path in changed:
        content = systems.finished[path].content
        if path.endswith(".dist-info/METADATA") and content is not None:
            text = content.read().decode("utf-8", "replace")
            found.update(f"python3-{name.lower()}" for name in _REQUIRES.findall(text))
    return found


def _kept_paths(systems: Systems, changed: set[str], unneeded: Collection[str]) -> Iterator[str]:
    """Give what the step changed and what the base of hooks had before, but for the tools."""
    dropped = owned(systems.finished, unneeded)
    kept = owned(systems.finished, installed(systems.finished).keys() - set(unneeded))
    for path, node in systems.finished.items():
        if path in changed:
            if path in kept or node.is_folder or path not in dropped:
                yield path
        elif node.is_folder or _NEVER.match(path):
            continue
        elif path in kept or not (path in dropped or is_pip(path) or path.startswith("var/")):
            yield path


def _with_parents(found: dict[str, Node | None], finished: Tree) -> dict[str, Node | None]:
    for path in list(found):
        for parent in parents(path):
            if parent in finished:
                found.setdefault(parent, finished[parent])
    return found


def _is_stale_bytecode(path: str, node: Node) -> bool:
    """Tell whether a file is bytecode that layers make invalid, since they keep no times."""
    if not path.endswith(".pyc") or node.content is None:
        return False
    return next(node.content.blocks(), b"")[_FLAGS] == bytes(4)


def _holds(content: Content, needles: Collection[bytes]) -> bool:
    longest = max(map(len, needles), default=0)
    rest = b""
    for block in content.blocks():
        piece = rest + block
        if any(needle in piece for needle in needles):
            return True
        rest = piece[-longest:]
    return False


def _file(path: Path, text: str) -> Node:
    import tarfile

    path.write_text(text, encoding="utf-8")
    return Node(tarfile.REGTYPE, 0o644, (0, 0), content=Content(path, 0, path.stat().st_size))
