"""Executors run attempts of tasks; one port for processes, sandboxes and containers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from stepline.errors import PlatformError
from stepline.frozen import frozen
from stepline.model.task import Isolation, Limits, TaskOutcome, TaskRequest
from stepline.model.task_script import TaskScript
from stepline.ports.freed import Freed

if TYPE_CHECKING:
    from stepline.ports.engine import ContainerEngine
    from stepline.ports.images import Images


class LogLine(NamedTuple):
    """One captured line of a task's output.

    Attributes:
        at: Seconds since the epoch.
        stream: ``out`` or ``err``.
        text: The line without its end.
        ended: False for a part of a line that goes on in the next entry.
    """

    at: float
    stream: str
    text: str
    ended: bool = True


@frozen
class ScriptVersion:
    """One version of a task script, as an executor needs it.

    Attributes:
        name: ``namespace/slug:version``.
        digest: SHA-256 of the folder's content, ``sha256:<hex>``.
        folder: A folder with just that content; executors do not write to it.
        script: Its validated config.json.
        runtime: Python to run it on, ``3.N``.
    """

    name: str
    digest: str
    folder: str
    script: TaskScript
    runtime: str


def _say_nothing(text: str) -> None:
    """Nobody wants to know."""


def _no_images() -> Images:
    raise PlatformError("there are no images here")


def _no_engine() -> ContainerEngine:
    raise PlatformError("there is no container engine here")


@frozen
class ExecutorOptions:
    """How an executor is to treat all tasks of a run.

    Attributes:
        task_env: Environment variables that tasks get; recorded, so never secrets.
        isolation: How tasks are kept apart.
        allow_before_install: Let ``init/before_install`` run on this machine.
        images: Returns the images of this machine, for executors that run tasks in them.
        engine: Returns the container engine, for executors that use one.
        scratch: Folder, of the executor alone and on the disk of the file store, for what
            tasks and the platform share; made when it is needed. Empty: a temporary one.
        tell: Told in a few words of what takes long.
    """

    task_env: Mapping[str, str] = field(default_factory=dict)
    isolation: Isolation = Isolation.FORK
    allow_before_install: bool = False
    images: Callable[[], Images] = _no_images
    engine: Callable[[], ContainerEngine] = _no_engine
    scratch: str = ""
    tell: Callable[[str], None] = _say_nothing


class TaskServices(Protocol):
    """The platform, as one attempt may use it; called from the executor's thread."""

    def call(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Do what the task's Context asked for.

        Returns:
            ``{"value": …}``, or ``{"error": {"type": …, "message": …}}``.
        """

    def log(self, lines: Sequence[LogLine]) -> None:
        """Take captured output, in order."""

    def started(self, at: float) -> None:
        """Learn that user code begins, at ``at`` seconds since the epoch."""


class Seat(Protocol):
    """A place for one attempt, which nobody else has until it is given back.

    Attributes:
        scratch: Folder that the task and the platform share, for bulk bytes, as the
            platform sees it. It is empty at first, and emptied when the seat is given back.
        shares_paths: Whether the task sees the files of this machine under the same paths.
    """

    scratch: str
    shares_paths: bool

    def run(self, request: TaskRequest, *, services: TaskServices) -> TaskOutcome:
        """Run one attempt, or only its import where it asks for no more, and wait for its end.

        Args:
            request: The attempt, with the limits that the seat was taken for.
            services: Who answers the task's calls and takes its output.

        Raises:
            PlatformError: The attempt could not be started.
        """


class Executor(Protocol):
    """Runs attempts on one kind of environment."""

    name: str

    def prepare(
        self,
        version: ScriptVersion,
        *,
        tell: Callable[[str], None] | None = None,
        renew: bool = False,
    ) -> str:
        """Make the environment of a version, or find it made.

        Args:
            version: The task script.
            tell: Told what is going on, in place of the options' one.
            renew: Whether another environment may take the place of one that was removed
                and cannot be made the same again. It has no effect where environments are
                known by what they are made of.

        Returns:
            What identifies the environment, for the attempt's record.

        Raises:
            UserError: The version's own files are at fault: a requirement that
                cannot be installed, a hook that fails; or its environment is gone, and
                made again it is another one.
            PlatformError: This machine cannot make the environment.
        """

    def warm_up(self, version: ScriptVersion) -> None:
        """Start what a first task would wait for, and return at once."""

    def seat(self, version: ScriptVersion, limits: Limits) -> AbstractContextManager[Seat]:
        """Take a place for one attempt, and give it back at the end.

        Args:
            version: The task script, prepared before.
            limits: Those of the attempt.

        Raises:
            SettingsError: This executor cannot hold one of the limits here.
            PlatformError: There is no place.
        """

    def faults(self, *, anew: bool = False) -> Sequence[str]:
        """Return why this executor can run no task at all now, a sentence each.

        Empty while it can. The answer comes soon.

        Args:
            anew: Whether an answer of a moment ago is too old.
        """

    def cancel(self, task_id: str) -> None:
        """End the running attempt of a task, or its next one as soon as it begins."""

    def remove_unused(
        self, versions: Sequence[ScriptVersion], *, before: float, dry_run: bool = False
    ) -> Freed:
        """Remove environments that nobody uses, nor did since a time; any can be made anew.

        Attempts may begin and run meanwhile. Other processes may use the same environments.

        Args:
            versions: Task scripts whose environments stay.
            before: Seconds since the epoch.
            dry_run: Whether to remove nothing, and only tell what would be.

        Raises:
            PlatformError: An environment cannot be removed; the rest stays.
        """

    def close(self) -> None:
        """End every process and remove every temporary folder of this executor."""
