"""Components that need incompatible versions of a package, told from a resolver's words.

Source:
    The wording of uv's explanations: "A depends on B<2", "all versions of A depend on B<2",
    "you require A and B>=3".
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence

from stepline.errors import ConfigError, Location
from stepline.frozen import frozen
from stepline.plugins.images_local.components import Component, requires
from stepline.plugins.images_local.groups import normalised

_NAME = r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?"
_DEPENDS = re.compile(rf"({_NAME})(?:\[[^\]]*\])?(?:[=<>!~][^\s]*)? depends? on ({_NAME})(\S*)")
_ASKED = re.compile(r"you require ([^.]*?)(?:, we can conclude|$)", re.MULTILINE)
_REQUIREMENT = re.compile(rf"\s*({_NAME})\s*(?:\[[^\]]*\])?\s*\(?([^;)]*)\)?\s*(;.*)?")
_OWN = "requirements.txt"


@frozen
class _Need:
    """What somebody needs of a package: its specifier, and by which package in between."""

    who: str
    specifier: str
    by: str = ""

    def __str__(self) -> str:
        return f"{self.who} needs {{package}}{self.specifier}" + (
            f" by {self.by}" if self.by else ""
        )


def conflict(output: str, components: Sequence[Component]) -> ConfigError | None:
    """Return the error for components that cannot be in one image.

    Args:
        output: What the resolver said.
        components: All components.

    Returns:
        An error that names components and package; None where no component is at fault.
    """
    edges = _edges(output, components)
    asked = _asked(output)
    for package in sorted({target for _, target in edges}):
        needs = _needs(package, components, edges)
        if package in asked and len(needs) == 1:
            needs.append(_Need(_OWN, asked[package]))
        if len({need.specifier for need in needs}) > 1:
            words = ", and ".join(str(need).format(package=package) for need in needs)
            return ConfigError(
                f"{words}: no version of {package} suits all of them:\n{output}",
                where=Location("config.json"),
                hint=f"change what one of them asks of {package}, or put them into images of "
                "their own",
            )
    return None


def refuse_unlocked(whole: str, *, lock: str, components: Sequence[Component]) -> None:
    """Refuse packages that components require and a project's lock does not have.

    Args:
        whole: The lock of the project's locked packages with the components.
        lock: The project's lock.
        components: All components.

    Raises:
        ConfigError: There are such packages.
    """
    here = _names(lock)
    lacking = [name for name in _names(whole) if name not in here]
    if lacking:
        folders = ", ".join(component.folder for component in components)
        raise ConfigError(
            f"the lock file lacks what the components {folders} require: {', '.join(lacking)}",
            where=Location("pyproject.toml"),
            hint="have one of image.groups depend on the components by their paths, and lock again",
        )


def _names(lock: str) -> list[str]:
    """Return the names of a lock's packages."""
    found = re.findall(rf"(?m)^({_NAME})(?=[\[=\s])", lock)
    found += re.findall(r"(?m)^\./(?:[^/\s]*/)*([^/\s-]+)-\S*\.whl", lock)
    return [normalised(name) for name in found]


def _edges(output: str, components: Sequence[Component]) -> dict[tuple[str, str], str]:
    """Return the specifiers by who requires what: components' own words, then the resolver's."""
    plain = " ".join(output.split())
    found: dict[tuple[str, str], str] = {}
    for component in components:
        for text in requires(component.wheel):
            match = _REQUIREMENT.match(text)
            if match and not match[3] and re.search(rf"\b{re.escape(match[1])}\b", plain):
                found[component.name, normalised(match[1])] = match[2].replace(" ", "")
    for who, target, specifier in _DEPENDS.findall(plain):
        key = (normalised(who), normalised(target))
        found.setdefault(key, specifier.rstrip(",."))
    return found


def _asked(output: str) -> dict[str, str]:
    """Return the specifiers of packages that requirements.txt names."""
    found = {}
    for words in _ASKED.findall(" ".join(output.split())):
        for text in re.split(r",? and |, ", words):
            if match := re.fullmatch(rf"({_NAME})([=<>!~]\S*)", text.strip()):
                found[normalised(match[1])] = match[2]
    return found


def _needs(
    package: str, components: Sequence[Component], edges: Mapping[tuple[str, str], str]
) -> list[_Need]:
    """Return what components need of a package, themselves or by others."""
    found = []
    for component in components:
        last = _last_before(package, component.name, edges)
        if last is not None:
            who = f"the component {component.folder} ({component.name} {component.version})"
            by = "" if last == component.name else last
            found.append(_Need(who, edges[last, package], by))
    return found


def _last_before(package: str, start: str, edges: Mapping[tuple[str, str], str]) -> str | None:
    """Return who requires a package on the shortest way to it; None where there is no way."""
    waiting, seen = deque([start]), {start}
    while waiting:
        who = waiting.popleft()
        if (who, package) in edges:
            return who
        reached = [target for source, target in edges if source == who and target not in seen]
        seen.update(reached)
        waiting.extend(reached)
    return None
