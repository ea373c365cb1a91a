"""What the commands of ``stepline image`` share: settings, adapters and use cases."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path

import click

from stepline import settings
from stepline.app.images.authored import Authored
from stepline.app.images.holding import find_build, hold
from stepline.app.images.outcomes import NO_TESTS, Outcomes
from stepline.app.images.pruning import Pruned, prune
from stepline.app.images.releases import MoveLog, Pushed, push_image, require_tag
from stepline.app.images.scripts import pin_folder
from stepline.app.images.testing import Workbench
from stepline.bootstrap import Plugins
from stepline.cli.home import read_settings_file
from stepline.errors import SettingsError, UserError
from stepline.model.image import Image, ImageBuild
from stepline.ports.engine import ContainerEngine
from stepline.ports.executor import Executor, ExecutorOptions, ScriptVersion
from stepline.ports.images import Images


class ImageTools:
    """Images, engine and registries of this machine, connected when they are needed.

    Args:
        environ: Environment variables of this process.
        tell: Takes lines about what is going on.
    """

    def __init__(self, environ: Mapping[str, str], tell: Callable[[str], None]) -> None:
        self._environ = environ
        self._print = tell
        self._settings = read_settings_file(environ)
        self._cache_dir = settings.cache_dir(environ)
        self._plugins = Plugins(self._cache_dir, environ, self._settings)
        own = self._settings.images_dir
        self._folder = Path(own).absolute() if own else settings.images_dir(environ)
        self._engines: list[ContainerEngine] = []
        self.outcomes = Outcomes(self._folder)
        self.authored = Authored()

    @cached_property
    def images(self) -> Images:
        """Images of this machine."""
        return self._plugins.images()

    @property
    def bench(self) -> Workbench:
        """What trying out images takes."""
        return Workbench(
            images=self.images,
            engine=self.engine,
            credential=self._plugins.credential,
            outcomes=self.outcomes,
            cache_dir=self._cache_dir,
            environ=self._environ,
            task_env=self._settings.task_env,
            now=_now,
            tell=self._tell,
        )

    def _tell(self, line: str) -> None:
        self.authored.told.add(line)
        self._print(self.authored.show(line))

    def engine(self) -> ContainerEngine:
        """Return the container engine."""
        engine = self._plugins.engine()
        if engine not in self._engines:
            self._engines.append(engine)
        return engine

    def pin(self, folder: Path) -> ScriptVersion:
        """Return the task script in a folder as it is now."""
        own = f"{sys.version_info.major}.{sys.version_info.minor}"
        version = pin_folder(
            folder,
            cache_dir=self._cache_dir,
            default_runtime=self._settings.default_runtime.removeprefix("python") or own,
            warn=lambda text: click.echo(f"warning: {text}", err=True),
        )
        self.authored.add(folder, version.folder)
        return version

    def build(self, folder: Path, *, renew: bool = False) -> Image:
        """Return the image of the task script in a folder.

        Args:
            folder: The folder.
            renew: Whether another image may take the place of one that was removed.
        """
        return self.images.build(self.pin(folder), tell=self._tell, renew=renew)

    def build_checked(self, folder: Path) -> Image:
        """Return the image of the task script in a folder, whose functions can be imported.

        Raises:
            UserError: One cannot; the image is built nevertheless.
        """
        from uuid import uuid4

        from stepline.app.images.imports import check_inside

        version = self.pin(folder)
        image = self.images.build(version, tell=self._tell, renew=True)
        if self.outcomes.is_imported(image.id):
            return image
        executors = [partial(self._executor, name) for name in ("docker", "sandbox")]
        if check_inside(version, executors, task_id=str(uuid4()), tell=self._tell):
            self.outcomes.add_imported(image.id)
        return image

    def _executor(self, name: str) -> Executor:
        options = ExecutorOptions(task_env=self._settings.task_env)
        return self._plugins.executor(name, options)

    def find(self, words: str) -> ImageBuild:
        """Return an image by its id, its task script's name, or the folder of that."""
        if not Path(words).is_dir():
            return find_build(self.images, words)
        return find_build(self.images, self.build(Path(words)).id)

    def find_made(self, words: str) -> ImageBuild:
        """Return an image as `find` does, and make none.

        Raises:
            UserError: There is none.
        """
        if not Path(words).is_dir():
            return find_build(self.images, words)
        digest = self.pin(Path(words)).digest
        made = [build for build in self.images.builds() if build.script == digest]
        if not made:
            raise UserError(
                f"no image was made of {words} as it is now", hint="`stepline image list` shows all"
            )
        return made[-1]

    def tested(self, image_id: str) -> str:
        """Return what came of an image's tests, for people."""
        outcome = self.outcomes.get(image_id)
        if outcome is None:
            return ""
        word = "none" if outcome.exit_code == NO_TESTS else "failed"
        return f"{'passed' if outcome.passed else word} {outcome.at[:16].replace('T', ' ')}"

    def push(self, build: ImageBuild, reference: str, *, force: bool, untested: bool) -> Pushed:
        """Send an image to a registry, if its tests passed."""
        require_tag(reference)
        if not untested:
            self.outcomes.require(build.image.id)
        engine = self.engine()
        hold(build.image, images=self.images, engine=engine)
        return push_image(
            engine,
            build.image.id,
            reference=reference,
            credential=self._plugins.credential(reference),
            force=force,
            log=MoveLog(self._folder),
            now=_now,
        )

    def prune(
        self,
        config: Path | None,
        *,
        no_service: bool,
        no_engine: bool,
        dry_run: bool = False,
        only: str = "",
    ) -> Pruned:
        """Remove what nothing needs any more.

        Args:
            config: File that names the service whose published versions count; None for the
                one that commands here find.
            no_service: Whether no published version counts.
            no_engine: Whether nothing counts that a container engine holds.
            dry_run: Remove nothing.
            only: Id of the one image that may be removed; empty for all.

        Raises:
            SettingsError: No service is known, or one is named that is not to count.
            PlatformError: The service or the engine cannot be asked.
        """
        if no_service and config is not None:
            raise SettingsError("--no-service and -c cannot be together", hint="leave one away")
        return prune(
            self.images,
            None if no_engine else self.engine,
            pinned=set() if no_service else self._published(config),
            outcomes=self.outcomes,
            dry_run=dry_run,
            only=only,
        )

    def close(self) -> None:
        """End the connection with the engine."""
        for engine in self._engines:
            engine.close()

    def _published(self, config: Path | None) -> set[str]:
        """Return the digests of the task scripts that a service has published.

        Raises:
            SettingsError: It is not known which service.
            PlatformError: It cannot be asked.
        """
        from contextlib import closing

        from stepline.cli.client import Client, path_of
        from stepline.cli.connection import find_connection, names_service

        if config is None and not names_service(self._environ):
            raise SettingsError(
                "no service is known here, so which versions are published is not known",
                hint="name its auth.json with -c FILE, or add --no-service if no service uses "
                "the images of this machine",
            )
        connection = find_connection({}, config=config, environ=self._environ)
        with closing(Client(connection)) as client:
            found = client.get(path_of("artifacts", "task-scripts"), include_prereleases="true")
        return {str(each["hash"]) for each in found}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
