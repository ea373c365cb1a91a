"""Steps of a build that run as root in the base of hooks, with the settings of the platform."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from stepline.errors import ConfigError, Location, PlatformError, SteplineError
from stepline.frozen import frozen
from stepline.model.image import BaseImage, Image, Layer
from stepline.plugins.images_local.build_settings import SEEN_AT, BuildSettings, write_settings
from stepline.plugins.images_local.configs import image_config, image_id
from stepline.plugins.images_local.hook_layers import find_text
from stepline.plugins.images_local.mirrors import find_sources, write_apt_folder
from stepline.plugins.images_local.printed import masked_lines
from stepline.plugins.images_local.runners import Ended, Order, Runner
from stepline.plugins.images_local.store import LayerStore
from stepline.plugins.images_local.trees import Node
from stepline.ports.engine import Mount
from stepline.ports.images import Tell

TAIL_LINES = 40
_DEBIAN = "debian:"
# Setups of packages such as Java's stop where these are missing, as in every slim image.
_MANUALS = "mkdir -p " + " ".join(f"/usr/share/man/man{number}" for number in range(1, 9))
_APT_CONFIG = f"{SEEN_AT}/apt/apt.conf"
# A step that was forgotten by a platform that died ends by itself, this much later, seconds.
_GRACE_S = 60


@frozen(kw_only=True)
class HookBases:
    """The two bases of a runtime.

    Attributes:
        slim: What images are made of.
        hook: Where steps run.
    """

    slim: BaseImage
    hook: BaseImage


class Steps:
    """Runs steps.

    Args:
        store: Has the layers of the bases.
        runner: Returns where steps run.
        environ: Environment variables of the platform.
    """

    def __init__(
        self, store: LayerStore, runner: Callable[[], Runner], environ: Mapping[str, str]
    ) -> None:
        self.store = store
        self._runner = runner
        self._environ = environ

    def settings(self, folder: Path, *, base: BaseImage, must_have_apt: bool) -> BuildSettings:
        """Write the settings of a step.

        Args:
            folder: Takes them; it is not there yet.
            base: The base of hooks.
            must_have_apt: Whether it is an error that no Debian packages can be had.

        Raises:
            PlatformError: No Debian packages can be had, and must.
        """
        settings = write_settings(folder, self._environ)
        apt = folder / "apt"
        apt.mkdir()
        apt.joinpath("apt.conf").touch()
        if base.source.startswith(_DEBIAN):
            suite = base.source.removeprefix(_DEBIAN)
            try:
                sources = find_sources(suite, folder=folder, environ=self._environ)
                write_apt_folder(apt, sources, environ=self._environ)
            except PlatformError:
                if must_have_apt:
                    raise
                apt.joinpath("sources.list").touch()
        written = (path for path in apt.iterdir() if path.suffix in (".conf", ".list"))
        return settings.knowing(path.read_text() for path in written)

    def run(
        self,
        script: str,
        image: Image,
        *,
        settings: BuildSettings,
        mounts: Sequence[Mount] = (),
        scratch: Path,
        limit_s: float,
        keep: bool = True,
        tell: Tell,
    ) -> Ended:
        """Run a shell script as root, with the settings.

        Args:
            script: Its text.
            image: Where it runs.
            settings: What `settings` returned.
            mounts: Further folders.
            scratch: A folder that stays while the result is used; it is not there yet.
            limit_s: Seconds that it may take.
            keep: Whether the image is used for other steps too, as a base is.
            tell: Takes each line that it prints.
        """
        scratch.mkdir()
        text = f". {SEEN_AT}/environment\nexport APT_CONFIG={_APT_CONFIG}\n{_MANUALS}\n{script}"
        Path(settings.mounts[0].source, "step").write_text(text)
        order = Order(
            image=image,
            tars=self.tars(image),
            command=("timeout", f"{limit_s + _GRACE_S:.0f}", "sh", f"{SEEN_AT}/step"),
            mounts=(*settings.mounts, *mounts),
            limit_s=limit_s,
            keep=keep,
        )
        with self._given_back(order, mounts):
            ended = self._runner().run(
                order,
                scratch=scratch,
                tell=lambda line: tell(masked_lines(line, settings.masked)),
            )
        output = masked_lines(ended.output, settings.masked)
        return Ended(ended.code, output, ended.root)

    @contextmanager
    def _given_back(self, order: Order, mounts: Sequence[Mount]) -> Iterator[None]:
        """Leave nothing of root's in folders that a step may write to, however it ended.

        A step that was killed did not get to its last line.
        """
        try:
            yield
        finally:
            folders = tuple(each for each in mounts if not each.read_only)
            if folders and any(_is_anothers(Path(each.source)) for each in folders):
                script = "\n".join(give_back(each.target) for each in folders)
                again = Order(
                    **{
                        **vars(order),
                        "command": ("timeout", f"{_GRACE_S}", "sh", "-c", script),
                        "mounts": folders,
                        "network": False,
                        "limit_s": _GRACE_S,
                    }
                )
                with self.store.temporary() as scratch, suppress(SteplineError):
                    self._runner().run(again, scratch=scratch, tell=lambda line: None)

    def check(self, image: Image, command: Sequence[str], *, mount: Mount, scratch: Path) -> Ended:
        """Run a command in an image made for this, without a network, for two minutes at most."""
        scratch.mkdir()
        order = Order(
            image=image,
            tars=self.tars(image),
            command=command,
            mounts=(mount,),
            network=False,
            limit_s=120,
            keep=False,
        )
        return self._runner().run(order, scratch=scratch, tell=lambda line: None)

    def tars(self, image: Image) -> list[Path]:
        """Return the files of an image's layers."""
        return [self.store.path(layer) for layer in image.layers]


def stacked(image: Image, layers: Sequence[Layer]) -> Image:
    """Return an image with further layers on top."""
    every = (*image.layers, *layers)
    text = image_config(every, json.loads(image.config).get("config") or {})
    return Image(**{**vars(image), "id": image_id(text), "config": text, "layers": every})


def _is_anothers(folder: Path) -> bool:
    """Tell whether a folder, or what is in it, belongs to somebody else than the platform."""
    own = os.getuid()
    if own == 0:
        return False
    found: list[str] = []
    try:
        for base, folders, names in os.walk(folder, onerror=lambda error: found.append("hidden")):
            paths = (base, *(os.path.join(base, name) for name in (*folders, *names)))
            if found or any(os.lstat(path).st_uid != own for path in paths):
                return True
    except OSError:
        return True
    return bool(found)


def give_back(folder: str) -> str:
    """Return a line of shell that makes the platform the owner of what root made in a folder."""
    owner = f"{os.getuid()}:{os.getgid()}"
    return "" if owner == "0:0" else f"chown -hR {owner} {folder} && chmod -R u+rwX {folder}"


def tail(output: str) -> str:
    """Return the end of an output, for an error."""
    lines = output.splitlines()
    return "\n".join(lines[-TAIL_LINES:])


def refuse_secrets(tree: Mapping[str, Node | None], settings: BuildSettings) -> None:
    """Make sure that no password of the build is in a layer.

    Raises:
        ConfigError: A file holds one.
    """
    if settings.secrets and (path := find_text(tree, settings.secrets)):
        raise ConfigError(
            f"the hook left a password of this machine's settings in {path}",
            where=Location("init/before_install"),
            hint="have the hook remove that file, or not write it: images are passed on",
        )
