"""The process that is killed: a service as `stepline serve` makes it, driven over a pipe."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from stepline.app.archives import pack
from stepline.app.service import dispatcher
from stepline.app.service.files import NewFile
from stepline.app.service.service import Service
from stepline.model.artifact import ArtifactKind, ArtifactName, Build, BuildStatus
from stepline.model.pipeline import Clause, Condition, Group, Operator, Pipeline, PipelineSpec
from stepline.model.workflow import RetryBehavior, RetryPolicy, WorkflowStatus
from stepline.server.composition import HomeOptions, make_service, open_state
from stepline.server.selftest.adapters import WatchedPlugins
from stepline.server.selftest.places import Places
from stepline.server.selftest.points import Point, Watch, WatchedState
from stepline.server.selftest.sending import FIRST_START, RETRIES

NAMESPACE = "private-demo"
_PUBLISHED = Path(__file__).with_name("published")
_BEAT_S = 0.2
_POLL_S = 0.02
_RETRY_S = 0.05
_CONTAINER_RETRY_S = 1.0
_UNFINISHED = (WorkflowStatus.PENDING, WorkflowStatus.IN_PROGRESS)


def run(connection: Connection, places: Places, *, target: Point | None) -> None:
    """Be a service until the other end of the connection is closed, or death comes.

    Args:
        connection: Takes commands, which are names and arguments, and is given their results.
        places: Where everything is.
        target: Where to die; None for nowhere.
    """
    os.set_inheritable(connection.fileno(), False)
    log = os.open(places.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ["TMPDIR"] = str(places.temporary)
    # Leases are extended at a commit point like others, which is to come soon.
    dispatcher.BEAT_S = _BEAT_S
    phase = "start" if places.home.exists() else FIRST_START
    watch = Watch(places.kinds, target, phase=phase)
    service = make(places, watch)
    service.start()
    # Whatever an executor's containers need to come back must not use up what is lost.
    delay_s = _RETRY_S if places.settings.executor == "process" else _CONTAINER_RETRY_S
    try:
        _serve(connection, Commands(service, watch, places.drafts, delay_s=delay_s))
    finally:
        service.stop()


def make(places: Places, watch: Watch) -> Service:
    """Return the service of a self-test, not started."""
    plugins = WatchedPlugins(places, watch)
    return make_service(
        WatchedState(open_state(plugins, places.home), watch),
        HomeOptions(home=places.home, org=None, url="http://127.0.0.1:1", watched=[places.inbox]),
        plugins=plugins,
        settings=replace(
            places.settings, workers=2, task_env={"SELFTEST_MARKS": str(places.marks)}
        ),
        cache_dir=places.cache,
        report=lambda line: print(f"{os.getpid()} {line}", flush=True),
    )


def _serve(connection: Connection, commands: Commands) -> None:
    connection.send("ready")
    while True:
        try:
            name, arguments = connection.recv()
        except EOFError:
            return
        command: Callable[..., Any] = getattr(commands, name)
        connection.send(command(**arguments))


class Commands:
    """What the driver may have a service do; all of it may be done again.

    Args:
        service: The service.
        watch: Told of the phase.
        drafts: Folder for archives to publish.
        delay_s: Seconds before the first retry.
    """

    def __init__(self, service: Service, watch: Watch, drafts: Path, *, delay_s: float) -> None:
        self._service = service
        self._watch = watch
        self._drafts = drafts
        self._delay_s = delay_s

    def phase(self, name: str) -> None:
        """Note what comes now."""
        self._watch.phase = name

    def publish(self, kind: str, folder: str, *, slug: str, version: str, wait: bool) -> str:
        """Publish one of our artifacts; return how its build stands, or ended."""
        archive = self._drafts / f"{slug}-{version}.zip"
        pack(_PUBLISHED / folder, archive)
        name = ArtifactName(ArtifactKind(kind), NAMESPACE, slug, version)
        registry = self._service.registry
        build: Build = registry.upload(name, archive)
        while wait and build.status is BuildStatus.IN_PROGRESS:
            time.sleep(_POLL_S)
            build = registry.build(build.id)
        return str(build.status.value)

    def apply(self, name: str, *, clause: Mapping[str, str], description: str) -> str:
        """Set a pipeline of the protocol of its name; return its id."""
        test = Clause(clause["key"], "is", clause["value"])
        spec = PipelineSpec(
            name=name,
            protocol=f"{NAMESPACE}/{name}:v1.0.0",
            trigger=Condition(groups=(Group(Operator.AND, (test,)),)),
            retry=RetryPolicy(
                behavior=RetryBehavior.CONSTANT, base_delay_s=self._delay_s, max_retries=RETRIES
            ),
            description=description,
        )
        pipeline: Pipeline = self._service.pipelines.apply(spec)
        return pipeline.id

    def add(self, file_id: str, *, path: str, source: str) -> str:
        """Upload a file under an id of the sender's choice; return the id that it has."""
        staging = self._service.store.staging()
        blob = staging.add(source)
        staging.publish()
        new = NewFile(path=path, file_id=file_id, labels=(("sent", "yes"),))
        return self._service.files.add(new, blob).pointer.file_id

    def status(self) -> tuple[int, int]:
        """Return how many files there are, and how many workflows have not ended."""
        with self._service.state.read() as view:
            files = view.files.page(limit=1).total
            return files, view.workflows.page(statuses=_UNFINISHED, limit=1).total

    def faults(self) -> list[str]:
        """Return what is wrong with the service now."""
        return list(self._service.faults)
