"""The service as a whole: its parts put together, started and stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stepline.app.attempt_plans import Place
from stepline.app.attempts import Platform
from stepline.app.masking import Masker
from stepline.app.pipeline_config import look_up_config
from stepline.app.registry import Registry
from stepline.app.service.cleaning import Cleaning, CleaningPorts
from stepline.app.service.dispatcher import Dispatcher, DispatcherPorts
from stepline.app.service.endings import Ending, Endings
from stepline.app.service.files import BUCKET, FileService, StateCatalog
from stepline.app.service.flow import Flow
from stepline.app.service.intake import Intake, WatchedFolder
from stepline.app.service.pipelines import PipelineService
from stepline.app.service.plans import LookedUp, Plans
from stepline.app.service.scheduler import Scheduler
from stepline.app.service.shared_settings import SharedSettings
from stepline.app.service.space import space_problem
from stepline.app.service.steady_clock import SteadyClock
from stepline.app.service.workflows import WorkflowService
from stepline.app.service_secrets import ServiceSecrets
from stepline.errors import PlatformError, Problem, SettingsError, SteplineError
from stepline.frozen import frozen
from stepline.model.artifact import Artifact, ArtifactKind, ArtifactName
from stepline.model.pipeline import PipelineSpec
from stepline.model.values import Json
from stepline.ports.durable_files import DurableFileStore
from stepline.ports.executor import Executor
from stepline.ports.logs import LogStore
from stepline.ports.schemas import SchemaSource
from stepline.ports.secrets import SecretBackend, SecretStore
from stepline.ports.state import State, StoredWorkflow
from stepline.ports.watcher import FolderWatcher, Found
from stepline.workers.folders import remove_folder

_STOP_S = 20.0


@frozen(kw_only=True)
class ServicePorts:
    """What a service needs from outside.

    Attributes:
        state: Everything that must survive.
        store: The files' bytes.
        logs: Output of tasks.
        secrets: Keeps secrets.
        environment: Reads secrets that are not kept; None: there are none.
        executor: Runs tasks.
        watcher: Makes the watcher of a folder.
        schemas: IDS and other schemas, if there are any.
        now: Returns the time, ISO 8601 in UTC.
        clock: Returns seconds since the epoch.
        new_id: Returns an identifier that nothing else has and that can stand in a URL.
        finished: Told of each workflow that came to its end: its record, masked.
        report: Takes a line about what went wrong with the platform itself.
    """

    state: State
    store: DurableFileStore
    logs: LogStore
    secrets: SecretStore
    environment: SecretBackend | None
    executor: Executor
    watcher: Callable[[Path, Found], FolderWatcher]
    schemas: SchemaSource | None
    now: Callable[[], str]
    clock: Callable[[], float]
    new_id: Callable[[], str]
    finished: Callable[[Mapping[str, Any]], None]
    report: Callable[[str], None]


@frozen(kw_only=True)
class ServiceOptions:
    """How a service is to be.

    Attributes:
        org: Slug of the organisation.
        url: Address under which people reach it.
        slots: Attempts at a time.
        scratch: Folder in which the executor has the scratch folders of attempts.
        cache_dir: Folder for what may be lost.
        default_runtime: Python, ``3.N``, of task scripts that name none.
        watched: Folders whose files are taken in.
    """

    org: str
    url: str
    slots: int
    scratch: Path
    cache_dir: Path
    default_runtime: str
    watched: Sequence[WatchedFolder] = ()


class Service:
    """The parts of a service.

    Args:
        ports: What it needs from outside.
        options: How it is to be.

    Attributes:
        options: How it is.
        state: Everything that survives.
        store: The files' bytes, and uploads in progress.
        files: Files.
        pipelines: Pipelines.
        workflows: Workflows.
        registry: Published artifacts.
        settings: Shared settings.
        secrets: Secrets.
        cleaning: Removal of what nobody needs any more.
    """

    def __init__(self, ports: ServicePorts, options: ServiceOptions) -> None:
        self.options = options
        # Made first: whatever writes may end a workflow.
        self._endings = Endings(ports.state, self._ended)
        self.state: State = self._endings
        self.store = ports.store
        self.secrets = ServiceSecrets(ports.secrets, environment=ports.environment)
        self._ports = ports
        self._names: dict[str, str] = {}
        self._stop = threading.Event()
        self._clock = SteadyClock(ports.clock)
        self.registry = self._make_registry()
        self._plans = Plans(self.registry, self._look_up_config)
        self._flow = Flow(
            self._plans,
            now=ports.now,
            clock=self._clock,
            new_id=ports.new_id,
            ended=self._endings.note,
        )
        self.settings = SharedSettings(self.state, changed=self._redo_plans)
        self._dispatcher = self._make_dispatcher()
        self._scheduler = self._make_scheduler()
        self.files = self._make_files()
        self.pipelines = self._make_pipelines()
        self.workflows = self._make_workflows()
        self.cleaning = self._make_cleaning()
        self._intakes: list[Intake] = []
        self._watchers = [self._watcher(watched) for watched in options.watched]
        self._builder = threading.Thread(
            target=self.registry.run_builds, args=(self._stop,), name="builds"
        )

    def delete_artifact(
        self, name: ArtifactName, *, force: bool = False, common: bool = False
    ) -> Artifact:
        """Remove a published version; workflows that were made with it go on.

        Args:
            name: The version.
            force: Whether also one that others need.
            common: Whether the caller may publish in the namespace ``common``.

        Raises:
            SettingsError: A pipeline or a published protocol uses it.
            SteplineError: As `Registry.delete`.
        """
        users = [] if force else self._users(name)
        if users:
            raise SettingsError(
                f"{name} is used by {', '.join(users)}",
                hint="change or delete these first; with -f it is deleted all the same",
            )
        return self.registry.delete(name, common=common)

    def _users(self, name: ArtifactName) -> list[str]:
        if name.kind is ArtifactKind.TASK_SCRIPT:
            return [f"the protocol {each}" for each in self.registry.relationships(name)]
        pipelines = [each.spec for each in self.pipelines.all()]
        return [f"the pipeline '{each.name}'" for each in pipelines if each.protocol == str(name)]

    def start(self) -> None:
        """Begin to work."""
        remove_folder(self.options.scratch)  # what a service that was killed has left
        self.options.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.store.clean()
        self._redo_plans()
        self._builder.start()
        self._dispatcher.start()
        self._scheduler.start()
        self.pipelines.start_waiting()
        for watcher in self._watchers:
            watcher.start()

    def stop(self) -> None:
        """End orderly: what runs is made again at the next start."""
        self._stop.set()
        for watcher in self._watchers:
            watcher.stop()
        self._scheduler.stop()
        self._dispatcher.stop()
        if self._builder.ident is not None:
            self._builder.join(_STOP_S)
        self.state.close()

    @property
    def faults(self) -> Sequence[str]:
        """What is wrong now, a sentence each; empty while all is well."""
        found = [fault for watcher in self._watchers for fault in watcher.faults]
        found += [fault for intake in self._intakes for fault in intake.faults]
        found += self._ports.executor.faults()
        if full := space_problem(self.options.scratch):
            found.insert(0, full)
        try:
            with self.state.read() as view:
                view.pipelines.all()
        except PlatformError as error:
            found.insert(0, str(error))
        return found

    def _make_registry(self) -> Registry:
        ports, options = self._ports, self.options
        return Registry(
            self.state,
            ports.store,
            executor=ports.executor,
            cache_dir=options.cache_dir,
            default_runtime=options.default_runtime,
            org=options.org,
            now=ports.now,
            new_id=ports.new_id,
            published=self._redo_plans,
            report=ports.report,
        )

    def _make_dispatcher(self) -> Dispatcher:
        ports = self._ports
        platform = Platform(
            executor=ports.executor,
            catalog=StateCatalog(self.state),
            store=ports.store,
            schemas=ports.schemas,
            now=ports.now,
            new_id=ports.new_id,
            bucket=BUCKET,
        )
        dispatcher_ports = DispatcherPorts(
            state=self.state,
            flow=self._flow,
            platform=platform,
            logs=ports.logs,
            scratch=self.options.scratch,
            secrets=self.secrets,
            place=self._place,
            clock=self._clock,
            finished=self._finished,
            report=ports.report,
        )
        return Dispatcher(dispatcher_ports, owner=ports.new_id(), slots=self.options.slots)

    def _make_scheduler(self) -> Scheduler:
        ports = self._ports
        return Scheduler(
            self.state,
            self._flow,
            clock=ports.clock,
            changed=self._dispatcher.wake,
            report=ports.report,
        )

    def _make_files(self) -> FileService:
        ports = self._ports
        return FileService(
            self.state,
            self._flow,
            org=self.options.org,
            now=ports.now,
            new_id=ports.new_id,
            changed=self._dispatcher.wake,
        )

    def _make_pipelines(self) -> PipelineService:
        ports = self._ports
        return PipelineService(
            self.state,
            self._flow,
            now=ports.now,
            new_id=ports.new_id,
            check_secrets=self._missing_secrets,
            changed=self._pipelines_changed,
        )

    def _make_workflows(self) -> WorkflowService:
        ports = self._ports
        return WorkflowService(
            self.state,
            self._flow,
            logs=ports.logs,
            new_id=ports.new_id,
            changed=self._dispatcher.wake,
            settle=self._dispatcher.settle,
        )

    def _make_cleaning(self) -> Cleaning:
        ports = self._ports
        return Cleaning(
            CleaningPorts(
                state=ports.state,
                store=ports.store,
                logs=ports.logs,
                executor=ports.executor,
                registry=self.registry,
                cache_dir=self.options.cache_dir,
                clock=ports.clock,
            )
        )

    def _watcher(self, watched: WatchedFolder) -> FolderWatcher:
        ports = self._ports
        intake = Intake(
            watched,
            self.files,
            state=self.state,
            store=ports.store,
            new_id=ports.new_id,
            changed=self._dispatcher.wake,
            report=ports.report,
        )
        self._intakes.append(intake)
        return ports.watcher(Path(watched.folder), intake.take)

    def _place(self, pipeline_id: str) -> Place:
        name = self._names.get(pipeline_id)
        if name is None:
            with self.state.read() as view:
                revisions = view.pipelines.revisions(pipeline_id)  # these outlive it
            name = self._names[pipeline_id] = revisions[-1].spec.name if revisions else ""
        url = self.options.url
        return Place(org=self.options.org, pipeline_name=name, url=url, api_url=f"{url}/v1")

    def _look_up_config(self, config: Mapping[str, Json]) -> LookedUp:
        return look_up_config(config, self.settings.all(), org=self.options.org)

    def _missing_secrets(self, spec: PipelineSpec) -> Sequence[Problem]:
        config, _ = self._look_up_config(spec.config)
        return self.secrets.of_workflow(config, masker=Masker()).prime()

    def _ended(self, ending: Ending) -> None:
        self._dispatcher.ended(ending)

    def _finished(self, stored: StoredWorkflow) -> None:
        self._ports.finished(
            {
                "id": stored.id,
                "pipelineId": stored.pipeline_id,
                "status": stored.status.value,
                "output": stored.state["output"],
                "error": stored.state["error"],
                "startedAt": stored.created_at,
                "finishedAt": stored.updated_at,
            }
        )

    def _pipelines_changed(self) -> None:
        self._names.clear()
        self._scheduler.wake()
        self._dispatcher.wake()

    def _redo_plans(self) -> None:
        """Make all plans now, so that no event has to wait for one to be made."""
        self._plans.forget()
        with self.state.read() as view:
            pipelines = view.pipelines.all()
        for pipeline in pipelines:
            try:
                self._plans.of(pipeline)
            except SteplineError:
                continue  # an event for this pipeline will say so, in the ledger
