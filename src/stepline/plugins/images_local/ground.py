"""What a task script stands on in its image: a base, Debian packages, the hook's changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from functools import cache
from pathlib import Path

from stepline.frozen import frozen
from stepline.model.image import BaseImage, BaseVariant, Layer
from stepline.packages.requirements import HOOK
from stepline.plugins.images_local.bases import Bases
from stepline.plugins.images_local.build_steps import HookBases, Steps
from stepline.plugins.images_local.folder_changes import FolderChanges
from stepline.plugins.images_local.runners import Runner, find_runner
from stepline.plugins.images_local.store import LayerStore
from stepline.plugins.images_local.system import SystemPackages
from stepline.ports.executor import ScriptVersion
from stepline.ports.images import ImageOptions, Tell


@frozen(kw_only=True)
class Site:
    """What images are made with.

    Attributes:
        store: Where layers are.
        bases: Base images.
        options: What settings say.
        environ: Environment of the platform.
        tell: Takes lines about what is going on.
    """

    store: LayerStore
    bases: Bases
    options: ImageOptions
    environ: Mapping[str, str]
    tell: Tell

    def steps(self) -> Steps:
        """Return what runs steps of a build in containers, or in sandboxes."""
        return Steps(self.store, cache(self._runner), self.environ)

    def _runner(self) -> Runner:
        return find_runner(self.options, self.store.path, environ=self.environ, tell=self.tell)


@frozen(kw_only=True)
class Ground:
    """What a task script stands on.

    Attributes:
        base: The base.
        own: Whether the author named it.
        layers: The layers above it.
        changes: What the hook changed in the task script's folder.
        hook_output: What the hook said.
        system: Versions of the Debian packages that were asked for.
        aside: Layers that were made besides, for the next image.
    """

    base: BaseImage
    own: bool = False
    layers: tuple[Layer, ...] = ()
    changes: FolderChanges = FolderChanges()
    hook_output: str = ""
    system: Mapping[str, str] = field(default_factory=dict)
    aside: tuple[Layer, ...] = ()


def lay_ground(version: ScriptVersion, site: Site) -> Ground:
    """Return what a task script stands on, making what is not there.

    Raises:
        ConfigError: The hook fails, or there is no such Debian package or image.
        PlatformError: This machine cannot make it.
    """
    base, own = _base(version, site), bool(version.script.image.reference)
    ground = Ground(base=base, own=own)
    wanted, has_hook = version.script.image.system, Path(version.folder, HOOK).is_file()
    if not wanted and not has_hook:
        return ground
    bases = hook_bases(version, site, base=base)
    packages = None
    if wanted:
        packages = _installed(version, bases, site)
        layers = (packages.layer,) if packages.layer else ()
        aside = (packages.raw,) if packages.raw else ()
        ground = replace(ground, layers=layers, system=packages.versions, aside=aside)
    return _hooked(version, bases, site, ground=ground, packages=packages) if has_hook else ground


def hook_bases(version: ScriptVersion, site: Site, *, base: BaseImage) -> HookBases:
    """Return the bases that steps of a build need; an author's own base is both of them.

    Args:
        version: The task script.
        site: What images are made with.
        base: What its image is made of.
    """
    if version.script.image.reference:
        return HookBases(slim=base, hook=base)
    hook = site.bases.get(version.runtime, BaseVariant.HOOK, tell=site.tell)
    return HookBases(slim=base, hook=hook)


def _base(version: ScriptVersion, site: Site) -> BaseImage:
    if version.script.image.reference:
        from stepline.plugins.images_local.own_base import own_base

        return own_base(version, site)
    return site.bases.get(version.runtime, BaseVariant.SLIM, tell=site.tell)


def _installed(version: ScriptVersion, bases: HookBases, site: Site) -> SystemPackages:
    from stepline.plugins.images_local.system import install_system

    wanted = version.script.image.system
    return install_system(wanted, bases, steps=site.steps(), tell=site.tell)


def _hooked(
    version: ScriptVersion,
    bases: HookBases,
    site: Site,
    *,
    ground: Ground,
    packages: SystemPackages | None,
) -> Ground:
    from stepline.plugins.images_local.hooks import Hooks

    result = Hooks(site.steps()).get(version, bases, system=packages, tell=site.tell)
    layers = (*ground.layers, result.layer) if result.layer else ground.layers
    files = result.changes.files
    return replace(
        ground,
        layers=layers,
        changes=result.changes,
        hook_output=result.output,
        aside=(*ground.aside, files) if files else ground.aside,
    )
