"""Debian packages of a root file system, as its dpkg knows them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from stepline.frozen import frozen
from stepline.plugins.images_local.trees import Tree

STATUS = "var/lib/dpkg/status"
_INFO = "var/lib/dpkg/info"
# By their sources. What Debian's setups need is of no use once packages are set up; what
# Python's do may be imported by packages that say that they need it.
_INSTALLERS = ("apt", "dpkg", "debconf", "gnupg2", "debian-archive-keyring")
_PYTHON_TOOLS = ("python-pip", "setuptools", "wheel", "python-setuptools", "python-wheel")
_PYTHON = ("python3-", "libpython3")
_PIP = re.compile(
    r"(?:.*/)?(?:site|dist)-packages/(?:(?:pip|setuptools|wheel)(?:/|-[^/]*-info(?:/|$)|$)"
    r"|(?:pkg_resources|_distutils_hack)(?:/|$)|distutils-precedence\.pth$)"
    r"|usr/(?:local/)?bin/(?:pip|wheel)[0-9.]*$"
)


@frozen
class Deb:
    """An installed Debian package.

    Attributes:
        name: Its name.
        version: Its version.
        source: Name of the source that it was built from.
        depends: Of each dependency, the names of the packages that would do.
        provides: Names that it stands for besides its own.
        essential: Whether others may need it without saying so.
        entry: All that dpkg says about it.
    """

    name: str
    version: str
    source: str
    depends: tuple[tuple[str, ...], ...]
    provides: tuple[str, ...]
    essential: bool
    entry: str


def installed(tree: Tree) -> dict[str, Deb]:
    """Return the installed packages of a tree by name; empty without dpkg's list of them."""
    node = tree.get(STATUS)
    if node is None or node.content is None:
        return {}
    text = node.content.read().decode("utf-8", "replace")
    return {deb.name: deb for deb in map(_parse, text.split("\n\n")) if deb is not None}


def status(debs: Iterable[Deb]) -> str:
    """Return packages as dpkg's list of them, sorted by name."""
    return "".join(f"{deb.entry.strip()}\n\n" for deb in sorted(debs, key=lambda deb: deb.name))


def left_out(
    before: Mapping[str, Deb],
    finished: Mapping[str, Deb],
    *,
    shipped: Collection[str],
    wanted: Collection[str] = (),
) -> frozenset[str]:
    """Return the packages that were in the hook's base for building alone.

    They are the tools, and what only the tools need.

    Args:
        before: Packages of the hook's base.
        finished: Packages after the hook.
        shipped: Names of the packages of the base that images are made of.
        wanted: Names of packages that were asked for.
    """
    extra = {name: deb for name, deb in before.items() if name not in shipped}
    tools = _tools(extra, finished, set(wanted))
    of_tools = _closure(tools, finished) & extra.keys()
    roots = {
        name
        for name, deb in finished.items()
        if name not in tools
        and (
            name not in of_tools
            or name in wanted
            or deb.essential
            or name.startswith(_PYTHON)  # pip takes these for requirements that are met
        )
    }
    kept = _closure(roots, {k: v for k, v in finished.items() if k not in tools})
    return frozenset(tools | (of_tools - kept))


def _tools(extra: Mapping[str, Deb], finished: Mapping[str, Deb], wanted: set[str]) -> set[str]:
    """Return the tools of a base of hooks, but for those that were asked for or are needed."""
    installers = {name for name, deb in extra.items() if deb.source in _INSTALLERS}
    python = {name for name, deb in extra.items() if deb.source in _PYTHON_TOOLS}
    asked = wanted & (installers | python)
    new = (finished.keys() - extra.keys()) | wanted
    plain = {name: deb for name, deb in finished.items() if name not in installers}
    return (installers | (python - _closure(new, plain))) - _closure(asked, finished)


def owned(tree: Tree, names: Collection[str]) -> frozenset[str]:
    """Return the paths of the files of packages, as the tree has them."""
    short = {f"{top}/": f"{tree[top].target}/" for top in tree if "/" not in top}
    short = {top: target for top, target in short.items() if target != "/"}
    found = set()
    for path in _lists(tree, names):
        top = path.partition("/")[0] + "/"
        found.add(short[top] + path.removeprefix(top) if top in short else path)
    return frozenset(found)


def is_pip(path: str) -> bool:
    """Tell whether a path is one of pip, setuptools or wheel, however they were installed."""
    return _PIP.match(path) is not None


def _lists(tree: Tree, names: Collection[str]) -> Iterator[str]:
    for path, node in tree.items():
        if path.startswith(_INFO) and path.endswith(".list") and node.content is not None:
            name = path.removeprefix(f"{_INFO}/").removesuffix(".list").partition(":")[0]
            if name in names:
                lines = node.content.read().decode("utf-8", "replace").splitlines()
                yield from (line.lstrip("/") for line in lines)


def _closure(names: Collection[str], debs: Mapping[str, Deb]) -> set[str]:
    """Return packages with all that they need."""
    by_name: dict[str, set[str]] = {name: {name} for name in debs}
    for deb in debs.values():
        for provided in deb.provides:
            by_name.setdefault(provided, set()).add(deb.name)
    found: set[str] = set()
    waiting = [name for name in names if name in debs]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            wanted = (choice for choices in debs[name].depends for choice in choices)
            waiting.extend(one for choice in wanted for one in by_name.get(choice, ()))
    return found


def _parse(entry: str) -> Deb | None:
    fields: dict[str, str] = dict(
        re.findall(r"^([A-Za-z-]+): *(.*(?:\n[ \t].*)*)$", entry, re.MULTILINE)
    )
    if "Package" not in fields or not fields.get("Status", "").startswith("install "):
        return None
    name = fields["Package"]
    depends = [fields[key] for key in ("Pre-Depends", "Depends") if key in fields]
    return Deb(
        name,
        fields.get("Version", ""),
        fields.get("Source", name).partition(" ")[0],
        tuple(_names(part, "|") for text in depends for part in text.split(",")),
        _names(fields.get("Provides", ""), ","),
        fields.get("Essential") == "yes",
        entry,
    )


def _names(text: str, separator: str) -> tuple[str, ...]:
    names = (re.split(r"[\s(:\[]", part.strip(), maxsplit=1)[0] for part in text.split(separator))
    return tuple(name for name in names if name)
