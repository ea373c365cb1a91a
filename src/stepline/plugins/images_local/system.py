"""Debian packages that a task script declares."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stepline.errors import ConfigError, Location, PlatformError
from stepline.frozen import frozen
from stepline.model.image import Layer, LayerKind
from stepline.plugins.images_local.build_steps import HookBases, Steps, refuse_secrets, tail
from stepline.plugins.images_local.debs import installed
from stepline.plugins.images_local.hook_layers import Systems, raw_layer, shipped_layer
from stepline.plugins.images_local.trees import Node, read_layers, write_tree
from stepline.ports.images import Tell

LIMIT_S = 1800.0
"""How long an installation may take, seconds."""

_NOTES = "system"
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+(?::[a-z0-9]+)?(?:[=/][A-Za-z0-9.+:~-]+)?")
_UNKNOWN = re.compile(r"^E: Unable to locate package (\S+)", re.MULTILINE)
_NO_CANDIDATE = re.compile(r"^E: Package '?([^\s']+)'? has no installation", re.MULTILINE)
_NO_VERSION = re.compile(r"^E: (Version|Release) '([^']*)' for '([^']+)' was not", re.MULTILINE)
_VERSION = re.compile(r"^ *(\S+) \| +(\S+) \| ", re.MULTILINE)
_UNREACHABLE = re.compile(r"^(?:W|E): Failed to fetch|Temporary failure resolving", re.MULTILINE)


@frozen(kw_only=True)
class SystemPackages:
    """Debian packages, installed.

    Attributes:
        key: What tells them apart from any others.
        layer: What goes over the slim base; None where it has them already.
        raw: What goes over the base of hooks, for a hook to run on.
        versions: Versions of the declared packages by name.
    """

    key: str
    layer: Layer | None
    raw: Layer | None
    versions: Mapping[str, str]

    def to_plain(self) -> dict[str, Any]:
        """Return every field as plain JSON."""
        layers = {name: each and each.to_plain() for name, each in self._layers().items()}
        return {"key": self.key, "versions": dict(self.versions), **layers}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> SystemPackages:
        """Rebuild packages from what `to_plain` returned."""
        layers = {name: plain[name] and Layer.from_plain(plain[name]) for name in ("layer", "raw")}
        return cls(**{**plain, **layers})

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers that there are."""
        return tuple(layer for layer in self._layers().values() if layer is not None)

    def _layers(self) -> dict[str, Layer | None]:
        return {"layer": self.layer, "raw": self.raw}


def install_system(
    packages: Sequence[str], bases: HookBases, *, steps: Steps, tell: Tell
) -> SystemPackages:
    """Install Debian packages, or find them installed.

    Args:
        packages: Their names, as apt-get takes them: ``NAME`` or ``NAME=VERSION``.
        bases: The bases of the runtime.
        steps: Runs apt-get.
        tell: Takes lines about what is going on.

    Raises:
        ConfigError: There is no such package.
        PlatformError: Packages cannot be installed on this machine.
    """
    _refuse_names(packages)
    key = _key(packages, bases)
    with steps.store.lock(f"system-{key}"):
        note = steps.store.note(_NOTES, key)
        found = SystemPackages.from_plain(note) if note else None
        if found is not None and all(steps.store.has(layer) for layer in found.layers):
            return found
        made = _install(packages, key, bases, steps=steps, tell=tell)
        steps.store.put_note(_NOTES, key, note=made.to_plain())
        return made


def _install(
    packages: Sequence[str], key: str, bases: HookBases, *, steps: Steps, tell: Tell
) -> SystemPackages:
    tell(f"installing Debian packages: {', '.join(packages)}")
    with steps.store.temporary() as work:
        settings = steps.settings(work / "settings", base=bases.hook, must_have_apt=True)
        ended = steps.run(
            _script(packages),
            bases.hook.image,
            settings=settings,
            scratch=work / "run",
            limit_s=LIMIT_S,
            tell=tell,
        )
        if ended.code != 0:
            raise failure(packages, code=ended.code, output=ended.output)
        systems = Systems(
            before=read_layers(steps.tars(bases.hook.image)),
            finished=ended.root,
            shipped=read_layers(steps.tars(bases.slim.image)),
        )
        names = [_name(package) for package in packages]
        tree = shipped_layer(systems, scratch=work / "run", wanted=names)
        refuse_secrets(tree or {}, settings)
        debs = installed(ended.root)
        return SystemPackages(
            key=key,
            layer=_add(tree, work, steps) if tree else None,
            raw=_add(raw_layer(systems), work, steps),
            versions={name: debs[name].version for name in names if name in debs},
        )


def _add(tree: Mapping[str, Node | None], work: Path, steps: Steps) -> Layer:
    with work.joinpath("layer.tar").open("wb") as file:
        write_tree(tree, file)
    return steps.store.add(work / "layer.tar", LayerKind.SYSTEM)


def _script(packages: Sequence[str]) -> str:
    names = " ".join(shlex.quote(package) for package in packages)
    options = "--yes --quiet --no-install-recommends -o APT::Color=0 -o Dpkg::Progress-Fancy=0"
    install = f"apt-get install {options} -- {names}"
    if pinned := [_name(package) for package in packages if re.search("[=/]", package)]:
        install += f" || {{ code=$?; apt-cache madison -- {shlex.join(pinned)}; exit $code; }}"
    return f"set -e\napt-get update --quiet\n{install}\n"


def _name(package: str) -> str:
    return re.split("[:=/]", package)[0]


def failure(
    packages: Sequence[str], *, code: int | None, output: str
) -> ConfigError | PlatformError:
    """Return the error for packages that could not be installed.

    Args:
        packages: All of them.
        code: With what apt-get ended; None where it took too long.
        output: What it printed, and what versions there are of those with one.
    """
    where = Location("config.json")
    if missing := _missing(output):
        what, hint = missing
        return ConfigError(what, where=where, hint=hint)
    if code is None or _UNREACHABLE.search(output):
        return PlatformError(
            f"Debian packages cannot be fetched:\n{tail(output)}",
            hint="check that apt-get update works on this machine",
            retryable=True,
        )
    return ConfigError(
        f"the Debian packages {', '.join(packages)} cannot be installed:\n{tail(output)}",
        where=where,
        hint="declare packages that go together",
    )


def _missing(output: str) -> tuple[str, str] | None:
    """Return what there is not, and what to do; None where that is not what apt-get says."""
    search = "`apt-cache search WORD` finds the right name, of the Debian release of the base"
    if unknown := sorted(set(_UNKNOWN.findall(output))):
        return f"there is no Debian package {', '.join(unknown)}", search
    if virtual := sorted(set(_NO_CANDIDATE.findall(output))):
        names = ", ".join(virtual)
        return f"there is no Debian package that can be installed as {names}", search
    if found := _NO_VERSION.search(output):
        kind, wanted, name = found.groups()
        versions = [f"{name}={each}" for known, each in _VERSION.findall(output) if known == name]
        what = f"version {wanted}" if kind == "Version" else f"version of the release {wanted}"
        there = f"there is {', '.join(dict.fromkeys(versions))}; " if versions else ""
        hint = f"{there}without a version, the newest of the base's Debian release is taken"
        return f"the Debian package {name} has no {what}", hint
    return None


def _refuse_names(packages: Sequence[str]) -> None:
    for package in packages:
        if not _NAME.fullmatch(package):
            raise ConfigError(
                f"'{package}' is no name of a Debian package",
                where=Location("config.json"),
                hint="write NAME or NAME=VERSION",
            )


def _key(packages: Sequence[str], bases: HookBases) -> str:
    parts = ["1", bases.hook.image.id, bases.slim.image.id, *sorted(set(packages))]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
