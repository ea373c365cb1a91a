"""The hooks that plugins implement.

Providers return an adapter, or None for a name that is not theirs; the first answer
counts. Observers return nothing, and an error in one is reported and changes nothing.

A plugin is a module (or another object with these functions) that a distribution
registers in the entry-point group ``stepline``, under the name ``<kind>.<name>``:
``executor.process``, ``secrets.env``, ``observer.slack``. Only the entry points that
a command or the settings name are imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from stepline.ports.durable_files import DurableFileStore
    from stepline.ports.engine import ContainerEngine, CredentialSource
    from stepline.ports.executor import Executor, ExecutorOptions
    from stepline.ports.images import ImageOptions, Images
    from stepline.ports.lake import LocalLake
    from stepline.ports.logs import LogStore
    from stepline.ports.schemas import SchemaSource
    from stepline.ports.secrets import SecretBackend, SecretStore
    from stepline.ports.state import State
    from stepline.ports.watcher import FolderWatcher, Found
    from stepline.settings import RegistryLogin

GROUP = "stepline"

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec(firstresult=True)
def stepline_executor(
    name: str, options: ExecutorOptions, cache_dir: Path, environ: Mapping[str, str]
) -> Executor | None:
    """Provide the executor that the settings or ``--executor`` name.

    Args:
        name: The executor's name, such as ``process``.
        options: How it is to treat tasks.
        cache_dir: Folder for what may be kept between runs, and may be lost.
        environ: Environment variables of the platform; not for tasks.
    """


@hookspec(firstresult=True)
def stepline_images(name: str, options: ImageOptions, environ: Mapping[str, str]) -> Images | None:
    """Provide the images of task scripts on this machine.

    Args:
        name: The adapter's name, such as ``local``.
        options: Where they are kept, and what they are made of.
        environ: Environment variables of the platform: proxies, index settings.
    """


@hookspec(firstresult=True)
def stepline_engine(name: str, environ: Mapping[str, str]) -> ContainerEngine | None:
    """Provide a container engine; it is connected when it is first used.

    Args:
        name: The engine's name, such as ``docker``.
        environ: Environment variables of the platform, such as DOCKER_HOST.
    """


@hookspec(firstresult=True)
def stepline_registry_credential(
    kind: str, host: str, login: RegistryLogin, secret: str, environ: Mapping[str, str]
) -> CredentialSource | None:
    """Provide what a container registry asks for, made from what settings say.

    Args:
        kind: The kind of registry that settings name, such as ``ecr``.
        host: The registry, with its port if it has one.
        login: What settings say about it.
        secret: The value that ``login.secret`` names; empty where it names none.
        environ: Environment variables of the platform.
    """


@hookspec(firstresult=True)
def stepline_secret_backend(name: str, environ: Mapping[str, str]) -> SecretBackend | None:
    """Provide the secret backend of this name: the word before ``:`` in ``--secret``.

    Args:
        name: The backend's name, such as ``env``.
        environ: Environment variables of the platform.
    """


@hookspec(firstresult=True)
def stepline_secret_store(
    name: str, folder: Path, environ: Mapping[str, str]
) -> SecretStore | None:
    """Provide the place where the service keeps secrets.

    Args:
        name: The store's name, such as ``encrypted``.
        folder: Folder for what the store keeps on this machine; it need not exist.
        environ: Environment variables of the platform.
    """


@hookspec(firstresult=True)
def stepline_local_lake(name: str, folder: Path) -> LocalLake | None:
    """Provide the files of one local run.

    Args:
        name: The adapter's name, such as ``local``.
        folder: Folder for the bytes that tasks write.
    """


@hookspec(firstresult=True)
def stepline_file_store(name: str, folder: Path) -> DurableFileStore | None:
    """Provide the service's file store, which also takes uploads.

    Args:
        name: The adapter's name, such as ``local``.
        folder: The service's folder for bytes; it need not exist.
    """


@hookspec(firstresult=True)
def stepline_log_store(name: str, folder: Path) -> LogStore | None:
    """Provide the store of the logs of attempts.

    Args:
        name: The adapter's name, such as ``local``.
        folder: The service's folder for logs; it need not exist.
    """


@hookspec(firstresult=True)
def stepline_schema_source(name: str, folder: Path) -> SchemaSource | None:
    """Provide the IDS and other schemas in a folder.

    Args:
        name: The adapter's name, such as ``local``.
        folder: The folder of ``--ids``.
    """


@hookspec(firstresult=True)
def stepline_folder_watcher(name: str, folder: Path, found: Found) -> FolderWatcher | None:
    """Provide the watcher of a folder, not started yet.

    Args:
        name: The watcher's name, such as ``folder``.
        folder: The folder; it need not exist.
        found: Takes files; where it raises, they are offered again.
    """


@hookspec(firstresult=True)
def stepline_state(url: str) -> State | None:
    """Provide the service's state, opened and with its tables up to date.

    Args:
        url: Where it is; the word before the colon chooses the plugin, such as ``sqlite``.
    """


@hookspec
def stepline_workflow_finished(record: Mapping[str, Any]) -> None:
    """Learn that a workflow came to its end; called once, after its files are in place.

    Args:
        record: The workflow's record, as ``workflow.json`` has it. Secrets are masked.
    """
