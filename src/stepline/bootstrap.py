"""The composition root: settings and plugins become the objects that commands use."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import pluggy

from stepline.errors import PluginError, SettingsError
from stepline.ports import hookspecs
from stepline.ports.executor import Executor, ExecutorOptions
from stepline.ports.lake import LocalLake
from stepline.ports.schemas import SchemaSource
from stepline.ports.secrets import SecretBackend, SecretStore
from stepline.settings import Settings, images_dir

if TYPE_CHECKING:
    from stepline.app.images.logins import RegistryLogins
    from stepline.ports.durable_files import DurableFileStore
    from stepline.ports.engine import ContainerEngine, Credential, CredentialSource
    from stepline.ports.images import ImageOptions, Images
    from stepline.ports.logs import LogStore
    from stepline.ports.state import State
    from stepline.ports.watcher import FolderWatcher, Found
    from stepline.settings import RegistryLogin

T = TypeVar("T")


class PluginEntry(NamedTuple):
    """One registered entry point of the group ``stepline``.

    Attributes:
        name: ``<kind>.<name>``, such as ``secrets.env``.
        target: Module, or ``module:attribute``, that implements hooks.
        package: Distribution that registered it.
        version: Version of that distribution.
    """

    name: str
    target: str
    package: str
    version: str


class Plugins:
    """Loads plugins by name, and calls their hooks.

    Args:
        cache_dir: Where the list of entry points is kept between runs.
        environ: Environment variables of the platform.
        settings: All settings.

    Attributes:
        stored_secrets: Where ``secret:NAME`` is read in settings; None where there is no
            store of secrets.
    """

    def __init__(
        self, cache_dir: Path, environ: Mapping[str, str], settings: Settings | None = None
    ) -> None:
        self.stored_secrets: SecretBackend | None = None
        self._logins: RegistryLogins | None = None
        self._settings = settings or Settings()
        self._engine: ContainerEngine | None = None
        self._images: Images | None = None
        self._allow_hooks = self._settings.allow_before_install
        self._cache_dir = cache_dir
        self._environ = environ
        self._entries: list[PluginEntry] | None = None
        self.manager = pluggy.PluginManager(hookspecs.GROUP)
        self.manager.add_hookspecs(hookspecs)

    def entries(self) -> list[PluginEntry]:
        """Return all registered entry points, sorted by name."""
        if self._entries is None:
            self._entries = _cached_entries(self._cache_dir)
        return self._entries

    def load(self, name: str) -> object:
        """Import one plugin and register its hooks.

        Raises:
            SettingsError: No distribution registers the name.
            PluginError: It cannot be imported, implements an unknown hook, or shares its
                name with another.
        """
        if (loaded := self.manager.get_plugin(name)) is not None:
            return loaded
        entry = self._entry(name)
        try:
            plugin = _import_target(entry.target)
            self.manager.register(plugin, name=name)
            self.manager.check_pending()
        except Exception as error:
            if self.manager.has_plugin(name):
                self.manager.unregister(name=name)
            raise PluginError(
                f"cannot be loaded: {type(error).__name__}: {error}",
                plugin=name,
                package=f"{entry.package} {entry.version}",
                hint="mend, update or uninstall the package",
            ) from error
        return plugin

    def _entry(self, name: str) -> PluginEntry:
        found = [entry for entry in self.entries() if entry.name == name]
        if not found:
            raise _unknown_plugin(name, self.entries())
        if len(found) > 1:
            packages = ", ".join(f"{entry.package} {entry.version}" for entry in found)
            raise PluginError(
                f"several packages bring a plugin of this name: {packages}",
                plugin=name,
                hint="uninstall all of them but one",
            )
        return found[0]

    def load_all(self, names: Iterable[str]) -> None:
        """Load each of several plugins."""
        for name in names:
            self.load(name)

    def executor(self, name: str, options: ExecutorOptions) -> Executor:
        """Return the executor of this name."""
        self.load(f"executor.{name}")
        self._allow_hooks |= options.allow_before_install  # images are made for executors later
        options = replace(options, images=self.images, engine=self.engine)
        executor: Executor | None = self.manager.hook.stepline_executor(
            name=name, options=options, cache_dir=self._cache_dir, environ=self._environ
        )
        return self._provided(executor, f"executor.{name}", "stepline_executor")

    def engine(self, name: str = "docker") -> ContainerEngine:
        """Return the container engine; it is connected when it is first used."""
        if self._engine is None:
            self.load(f"engine.{name}")
            engine: ContainerEngine | None = self.manager.hook.stepline_engine(
                name=name, environ=self._environ
            )
            self._engine = self._provided(engine, f"engine.{name}", "stepline_engine")
        return self._engine

    def images(self) -> Images:
        """Return the images of this machine."""
        if self._images is None:
            self.load("images.local")
            images: Images | None = self.manager.hook.stepline_images(
                name="local", options=self._image_options(), environ=self._environ
            )
            self._images = self._provided(images, "images.local", "stepline_images")
        return self._images

    def _image_options(self) -> ImageOptions:
        from stepline.ports.images import ImageOptions

        own = self._settings.images_dir
        return ImageOptions(
            folder=Path(own).absolute() if own else images_dir(self._environ),
            bases=self._settings.bases,
            engine=self.engine,
            credential=self.credential,
            allow_before_install=self._allow_hooks,
        )

    def credential(self, reference: str) -> Credential | None:
        """Return what the registry of an image's reference asks for; None for nothing.

        Raises:
            SettingsError: Its secret is missing, or unreadable.
            PlatformError: It cannot be had, such as a token of a cloud.
        """
        if not self._settings.registries:
            return None
        if self._logins is None:
            from stepline.app.images.logins import RegistryLogins

            self._logins = RegistryLogins(
                self._settings.registries, backend=self._registry_secrets, provide=self._source
            )
        return self._logins.credential(reference)

    def _registry_secrets(self, name: str) -> SecretBackend:
        if name != "secret":
            return self.secret_backend(name)
        if self.stored_secrets is None:
            raise SettingsError(
                "the secrets of the service are not at hand here",
                hint="let settings name the secret of a registry as env:NAME or file:PATH",
            )
        return self.stored_secrets

    def _source(self, host: str, login: RegistryLogin, secret: str) -> CredentialSource:
        plugin = f"registry.{login.kind}"
        self.load(plugin)
        source: CredentialSource | None = self.manager.hook.stepline_registry_credential(
            kind=login.kind, host=host, login=login, secret=secret, environ=self._environ
        )
        return self._provided(source, plugin, "stepline_registry_credential")

    def local_lake(self, folder: Path) -> LocalLake:
        """Return the files of one local run, new bytes going to ``folder``."""
        self.load("files.local")
        lake: LocalLake | None = self.manager.hook.stepline_local_lake(name="local", folder=folder)
        return self._provided(lake, "files.local", "stepline_local_lake")

    def file_store(self, folder: Path) -> DurableFileStore:
        """Return the service's file store, its bytes in ``folder``."""
        self.load("files.local")
        store: DurableFileStore | None = self.manager.hook.stepline_file_store(
            name="local", folder=folder
        )
        return self._provided(store, "files.local", "stepline_file_store")

    def log_store(self, folder: Path) -> LogStore:
        """Return the store of the logs of attempts, kept in ``folder``."""
        self.load("files.local")
        store: LogStore | None = self.manager.hook.stepline_log_store(name="local", folder=folder)
        return self._provided(store, "files.local", "stepline_log_store")

    def schema_source(self, folder: Path) -> SchemaSource:
        """Return the schemas of a folder."""
        self.load("files.local")
        source: SchemaSource | None = self.manager.hook.stepline_schema_source(
            name="local", folder=folder
        )
        return self._provided(source, "files.local", "stepline_schema_source")

    def secret_backend(self, name: str) -> SecretBackend:
        """Return the secret backend of this name."""
        self.load(f"secrets.{name}")
        backend: SecretBackend | None = self.manager.hook.stepline_secret_backend(
            name=name, environ=self._environ
        )
        return self._provided(backend, f"secrets.{name}", "stepline_secret_backend")

    def secret_store(self, name: str, folder: Path) -> SecretStore:
        """Return the secret store of this name, with a folder for what it keeps here."""
        self.load(f"secrets.{name}")
        store: SecretStore | None = self.manager.hook.stepline_secret_store(
            name=name, folder=folder, environ=self._environ
        )
        return self._provided(store, f"secrets.{name}", "stepline_secret_store")

    def folder_watcher(self, folder: Path, found: Found, *, name: str = "folder") -> FolderWatcher:
        """Return a watcher of a folder, to be started; ``found`` takes files."""
        self.load(f"watcher.{name}")
        watcher: FolderWatcher | None = self.manager.hook.stepline_folder_watcher(
            name=name, folder=folder, found=found
        )
        return self._provided(watcher, f"watcher.{name}", "stepline_folder_watcher")

    def state(self, url: str) -> State:
        """Return the service's state at a URL such as ``sqlite:////var/lib/state.db``, opened.

        Raises:
            SettingsError: The URL names no kind of database, or one without a plugin.
            PlatformError: The state cannot be opened.
        """
        scheme, colon, _ = url.partition(":")
        if not colon or not scheme:
            raise SettingsError(
                f"'{url}' does not name a database", hint="write sqlite:///PATH, for instance"
            )
        self.load(f"state.{scheme}")
        state: State | None = self.manager.hook.stepline_state(url=url)
        return self._provided(state, f"state.{scheme}", "stepline_state")

    def workflow_finished(self, record: Mapping[str, Any]) -> list[str]:
        """Tell all observers; return what went wrong in them."""
        faults = []
        for implementation in self.manager.hook.stepline_workflow_finished.get_hookimpls():
            try:
                implementation.function(record)
            except Exception as error:  # noqa: BLE001  (an observer must not change the end)
                faults.append(f"plugin '{implementation.plugin_name}': {error!r}")
        return faults

    def _provided(self, adapter: T | None, name: str, hook: str) -> T:
        if adapter is None:
            package = next(e.package for e in self.entries() if e.name == name)
            raise PluginError(f"its {hook} gave nothing", plugin=name, package=package)
        return adapter


def _unknown_plugin(name: str, entries: list[PluginEntry]) -> SettingsError:
    kind, _, wanted = name.partition(".")
    known = [e.name.partition(".")[2] for e in entries if e.name.startswith(f"{kind}.")]
    return SettingsError(
        f"no installed package brings a plugin '{wanted}' of kind '{kind}'",
        hint=f"use one of: {', '.join(known)}" if known else "see stepline plugins list",
    )


def _import_target(target: str) -> object:
    import importlib

    module_name, _, attribute = target.partition(":")
    plugin: object = importlib.import_module(module_name)
    for part in attribute.split(".") if attribute else ():
        plugin = getattr(plugin, part)
    return plugin


def _cached_entries(cache_dir: Path) -> list[PluginEntry]:
    """Return the entry points, scanning only after an import folder has changed."""
    # The current folder, which `python -m` puts first, changes with every result in it.
    stamp = [[path, _changed(path)] for path in sys.path if path != os.getcwd()]
    file = cache_dir / "plugins.json"
    entries = _kept_entries(file, stamp)
    if entries is None:
        entries = _scan_entries()
        _keep_entries(file, {"stamp": stamp, "entries": entries})
    return entries


def _kept_entries(file: Path, stamp: list[list[Any]]) -> list[PluginEntry] | None:
    """Return the kept list; None if there is none, or not for this stamp, or a damaged one."""
    try:
        kept = json.loads(file.read_text())
        entries = [PluginEntry(*entry) for entry in kept["entries"]]
        sound = all(isinstance(part, str) for entry in entries for part in entry)
        return entries if sound and kept["stamp"] == stamp else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _keep_entries(file: Path, content: Mapping[str, Any]) -> None:
    partial = file.with_name(f"plugins.{os.getpid()}.json")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(content))
        partial.replace(file)
    except OSError:  # a cache that cannot be written only costs time
        try:
            partial.unlink(missing_ok=True)
        except OSError:
            pass


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _scan_entries() -> list[PluginEntry]:
    from importlib.metadata import entry_points

    return sorted(
        PluginEntry(point.name, point.value, point.dist.name, point.dist.version)
        for point in entry_points(group=hookspecs.GROUP)
        if point.dist is not None
    )
