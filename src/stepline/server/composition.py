"""From a home folder and settings to a service."""

from __future__ import annotations

import os
import re
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stepline.app.service.service import Service, ServiceOptions, ServicePorts
from stepline.bootstrap import Plugins
from stepline.errors import SettingsError
from stepline.frozen import frozen
from stepline.model.task import Isolation
from stepline.ports.executor import ExecutorOptions
from stepline.ports.state import State
from stepline.server.watching import watched_folders
from stepline.settings import Settings

_SPACE = "service"
_ORG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_DEFAULT_ORG = "demo"
# While one result is synced to the disk, or a task waits for others, a processor has work.
_MORE_THAN_PROCESSORS = 2


@frozen(kw_only=True)
class HomeOptions:
    """What a person chose for a service.

    Attributes:
        home: Folder of all its state.
        org: Slug of the organisation; None for the one of before, or the default.
        url: Address under which people reach it.
        watched: Folders whose files are taken in, as `watched_folders` reads them.
    """

    home: Path
    org: str | None
    url: str
    watched: Sequence[str | Path] = ()


def open_state(plugins: Plugins, home: Path) -> State:
    """Open the state of a home folder, which is made if need be, and is only its owner's.

    Raises:
        SettingsError: The folder cannot be made or used.
        PlatformError: The state cannot be opened: in use, damaged, of a newer version.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A run in the same folder may have made it for all to read.
        home.chmod(0o700)
    except OSError as error:
        raise SettingsError(
            f"the folder '{home}' cannot be made or used: {error.strerror}",
            hint="choose another one with --home",
        ) from error
    return plugins.state(f"sqlite:///{home.absolute() / 'state.db'}")


def make_service(
    state: State,
    options: HomeOptions,
    *,
    plugins: Plugins,
    settings: Settings,
    cache_dir: Path,
    report: Callable[[str], None],
    clock: Callable[[], float] = time.time,
) -> Service:
    """Put a service together; it does not work before it is started.

    Args:
        state: Opened by `open_state`.
        options: What a person chose.
        plugins: Where adapters come from.
        settings: All settings.
        cache_dir: Folder for what may be lost.
        report: Takes a line about what goes wrong with the platform itself.
        clock: Returns seconds since the epoch.

    Raises:
        SettingsError: The organisation is another one than before, or cannot be one; or a
            folder cannot be watched.
    """
    home = options.home.absolute()
    executor_options = ExecutorOptions(
        task_env=settings.task_env,
        isolation=Isolation(settings.isolation),
        allow_before_install=settings.allow_before_install,
        scratch=str(home / "scratch"),
    )
    plugins.stored_secrets = secrets = plugins.secret_store("encrypted", home / "secrets")
    ports = ServicePorts(
        state=state,
        store=plugins.file_store(home / "files"),
        logs=plugins.log_store(home / "logs"),
        secrets=secrets,
        environment=plugins.secret_backend("env"),
        executor=plugins.executor(settings.executor, executor_options),
        watcher=plugins.folder_watcher,
        schemas=None,
        now=lambda: _text(clock()),
        clock=clock,
        new_id=lambda: str(uuid.uuid4()),
        finished=lambda record: _observe(plugins, record, report),
        report=report,
    )
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    service_options = ServiceOptions(
        org=_settled_org(state, options.org),
        url=options.url,
        slots=settings.workers or len(os.sched_getaffinity(0)) + _MORE_THAN_PROCESSORS,
        scratch=home / "scratch",
        cache_dir=cache_dir,
        default_runtime=settings.default_runtime.removeprefix("python") or own,
        watched=watched_folders(options.watched, home=home),
    )
    return Service(ports, service_options)


def _settled_org(state: State, wanted: str | None) -> str:
    """Return the organisation of a state; the first start decides it for good."""
    with state.read() as view:
        known = view.values.get(_SPACE, "org")
    if isinstance(known, str):
        if wanted not in (None, known):
            raise SettingsError(
                f"this state belongs to the organisation '{known}', not '{wanted}'",
                hint="leave --org out, or use another --home",
            )
        return known
    org = wanted or _DEFAULT_ORG
    if not _ORG.fullmatch(org):
        raise SettingsError(
            f"'{org}' cannot name an organisation",
            hint="use small letters, digits and '-'",
        )
    state.write(lambda tx: tx.values.set(_SPACE, "org", value=org))
    return org


def _observe(plugins: Plugins, record: Mapping[str, Any], report: Callable[[str], None]) -> None:
    for fault in plugins.workflow_finished(record):
        report(fault)


def _text(at: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
    return f"{whole}.{int(at % 1 * 1000):03d}Z"
