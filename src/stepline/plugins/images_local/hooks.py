"""``init/before_install``: runs once for what it depends on, and is found again after that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stepline.errors import ConfigError, Location, PlatformError
from stepline.frozen import frozen
from stepline.model.image import Image, Layer, LayerKind
from stepline.plugins.images_local.build_settings import BuildSettings
from stepline.plugins.images_local.build_steps import (
    HookBases,
    Steps,
    give_back,
    refuse_secrets,
    stacked,
    tail,
)
from stepline.plugins.images_local.configs import CODE
from stepline.plugins.images_local.folder_changes import (
    FolderChanges,
    FolderDifference,
    WatchedFolder,
    all_paths,
    digests,
    refuse_special,
)
from stepline.plugins.images_local.hook_layers import Systems, changed_paths, shipped_layer
from stepline.plugins.images_local.runners import Ended
from stepline.plugins.images_local.smoke import check_commands, find_commands
from stepline.plugins.images_local.system import SystemPackages
from stepline.plugins.images_local.tars import Entry, write_entries
from stepline.plugins.images_local.trees import (
    Node,
    Tree,
    read_folder,
    read_layers,
    write_tree,
)
from stepline.ports.engine import Mount
from stepline.ports.executor import ScriptVersion
from stepline.ports.images import Tell

HOOK = "init/before_install"
LIMIT_S = 1800.0
"""How long a hook may run, seconds."""

_NOTES = "hook"
_KEPT_RUNS = 20
_NOT_STARTED = 225


@frozen(kw_only=True)
class HookResult:
    """What came of a hook.

    Attributes:
        layer: What it changed of the system; None for nothing.
        changes: What it changed in the script's folder.
        output: What it said.
    """

    layer: Layer | None
    changes: FolderChanges
    output: str

    def to_plain(self) -> dict[str, Any]:
        """Return every field as plain JSON."""
        layer = self.layer.to_plain() if self.layer else None
        return {"layer": layer, "changes": self.changes.to_plain(), "output": self.output}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> HookResult:
        """Rebuild a result from what `to_plain` returned."""
        layer = Layer.from_plain(plain["layer"]) if plain["layer"] else None
        changes = FolderChanges.from_plain(plain["changes"])
        return cls(layer=layer, changes=changes, output=plain["output"])

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers that the result needs."""
        both = (self.layer, self.changes.files)
        return tuple(layer for layer in both if layer is not None)


def has_hook(folder: Path) -> bool:
    """Tell whether a task script has a hook."""
    return folder.joinpath(HOOK).is_file()


class Hooks:
    """Runs hooks, each once for everything that it depends on.

    That is the bases, the files in ``init``, the names of all files, and the content of the
    files that the hook read, changed or removed.

    Args:
        steps: Runs the hook.
        limit_s: How long it may run, seconds.
    """

    def __init__(self, steps: Steps, *, limit_s: float = LIMIT_S) -> None:
        self._steps = steps
        self._store = steps.store
        self._limit_s = limit_s

    def get(
        self,
        version: ScriptVersion,
        bases: HookBases,
        *,
        system: SystemPackages | None = None,
        tell: Tell,
    ) -> HookResult:
        """Return what the hook of a task script does, running it where that is not known.

        Args:
            version: The task script; it has a hook.
            bases: The bases of its runtime.
            system: Debian packages that are installed before.
            tell: Takes lines about what is going on, and each line that the hook prints.

        Raises:
            ConfigError: The hook fails, never ends, or installs a command that cannot start.
            PlatformError: It cannot be run on this machine.
        """
        folder = Path(version.folder)
        key = _key(folder, bases, system)
        with self._store.lock(f"hook-{key}"):
            if (found := self._known(key, folder)) is not None:
                tell(f"{HOOK}: found, as none of what it depends on has changed")
                return found
            inputs, result = self._run(folder, bases, system, tell)
            run = {"inputs": dict(inputs), "result": result.to_plain()}
            runs = [run, *self._runs(key)][:_KEPT_RUNS]
            self._store.put_note(_NOTES, key, note={"runs": runs})
            return result

    def _runs(self, key: str) -> list[dict[str, Any]]:
        note = self._store.note(_NOTES, key)
        return list(note["runs"]) if note else []

    def _known(self, key: str, folder: Path) -> HookResult | None:
        for run in self._runs(key):
            result = HookResult.from_plain(run["result"])
            if digests(folder, list(run["inputs"])) == run["inputs"] and all(
                self._store.has(layer) for layer in result.layers
            ):
                return result
        return None

    def _run(
        self, folder: Path, bases: HookBases, system: SystemPackages | None, tell: Tell
    ) -> tuple[Mapping[str, str], HookResult]:
        tell(f"{HOOK}: running as root in {bases.hook.source}")
        with self._store.temporary() as work:
            watched = WatchedFolder(folder, work / "script")
            settings = self._steps.settings(work / "settings", base=bases.hook, must_have_apt=False)
            raw = (system.raw,) if system and system.raw else ()
            image = stacked(bases.hook.image, raw) if raw else bases.hook.image
            ended = self._steps.run(
                _script(),
                image,
                settings=settings,
                mounts=(Mount(source=str(watched.path), target=CODE, read_only=False),),
                scratch=work / "run",
                limit_s=self._limit_s,
                keep=not raw,
                tell=tell,
            )
            _refuse_failure(ended, folder, limit_s=self._limit_s)
            difference = watched.difference()
            refuse_special(watched.path)
            changes = self._changes(watched, difference, settings=settings, work=work)
            shipped = (system.layer,) if system and system.layer else ()
            layer = self._layer(
                image,
                stacked(bases.slim.image, shipped),
                ended.root,
                settings=settings,
                work=work,
                tell=tell,
            )
        return difference.inputs, HookResult(layer=layer, changes=changes, output=ended.output)

    def _layer(
        self,
        image: Image,
        below: Image,
        finished: Tree,
        *,
        settings: BuildSettings,
        work: Path,
        tell: Tell,
    ) -> Layer | None:
        """Return the layer of what the hook did to the system, after trying its commands."""
        systems = Systems(
            before=read_layers(self._steps.tars(image)),
            finished=finished,
            shipped=read_layers(self._steps.tars(below)),
        )
        tree = shipped_layer(systems, scratch=work / "run")
        if tree is None:
            return None
        refuse_secrets(tree, settings)
        layer = self._add(tree, work / "layer.tar", LayerKind.HOOK)
        commands = find_commands(finished, changed_paths(systems), python=below.python)
        check_commands(
            commands,
            stacked(below, (layer,)),
            steps=self._steps,
            folder=work / "smoke",
            tell=tell,
        )
        return layer

    def _changes(
        self,
        watched: WatchedFolder,
        difference: FolderDifference,
        *,
        settings: BuildSettings,
        work: Path,
    ) -> FolderChanges:
        tree = {k: v for k, v in read_folder(watched.path).items() if k in difference.changed}
        refuse_secrets(tree, settings)
        files = None
        if difference.changed:
            entries = (Entry(path, watched.path / path) for path in difference.changed)
            with work.joinpath("files.tar").open("wb") as file:
                write_entries(entries, file)
            files = self._store.add(work / "files.tar", LayerKind.CODE)
        return FolderChanges(
            files=files, removed=difference.removed, executable=difference.executable
        )

    def _add(self, tree: Mapping[str, Node | None], tar: Path, kind: LayerKind) -> Layer:
        with tar.open("wb") as file:
            write_tree(tree, file)
        return self._store.add(tar, kind)


def _refuse_failure(ended: Ended, folder: Path, *, limit_s: float) -> None:
    if ended.code == 0:
        return
    if ended.code is None:
        raise ConfigError(
            f"the hook did not end in {_words(limit_s)} and was killed; "
            f"the end of what it said:\n{tail(ended.output)}",
            where=Location(HOOK),
            hint="have it wait for nobody: no questions, no servers",
        )
    if ended.code == _NOT_STARTED:
        raise PlatformError(f"the hook could not be started:\n{tail(ended.output)}")
    windows = b"\r\n" in folder.joinpath(HOOK).read_bytes()
    raise ConfigError(
        f"the hook failed with exit code {ended.code}; "
        f"the end of what it said:\n{tail(ended.output)}",
        where=Location(HOOK),
        hint="its lines end as Windows has them, which no shell understands: save it with "
        "plain line ends"
        if windows
        else "it runs as root, by sh, in a copy of the task script's folder",
    )


def _script() -> str:
    """Return the shell script that runs a hook."""
    lines = [f"cd {CODE} || exit {_NOT_STARTED}", f"sh {HOOK}", "code=$?"]
    return "\n".join([*lines, give_back(CODE), "exit $code\n"])


def _key(folder: Path, bases: HookBases, system: SystemPackages | None) -> str:
    names: Sequence[str] = all_paths(folder)
    parts = {
        "form": 1,
        "hook": bases.hook.image.id,
        "slim": bases.slim.image.id,
        "system": system.key if system else "",
        "names": names,
        "init": digests(folder, [name for name in names if name.startswith("init/")]),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _words(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:g} s"
