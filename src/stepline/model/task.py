"""What an executor is asked to run, and what came of it.

Both are plain, serialisable values, so that an executor may be in another
process, in a container or on another machine.

Source:
    Outcome shapes and exit codes that published task scripts can see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from enum import Enum
from typing import Any

from stepline.frozen import frozen
from stepline.model.values import Json

EXIT_FATAL = 126
EXIT_KILLED = 137
DEFAULT_MEMORY_MB = 512
DEFAULT_TIMEOUT_S = 3600.0


class Isolation(str, Enum):
    """How tasks of one worker are kept apart.

    FORK: a fresh child per task, forked from the worker that loaded the script.
    PROCESS: a new interpreter per task, for scripts that cannot be forked.
    REUSE: many tasks in one warm child; module state survives between them.
    """

    FORK = "fork"
    PROCESS = "process"
    REUSE = "reuse"


class Network(str, Enum):
    """What a task may reach."""

    NONE = "none"
    HOST = "host"
    BRIDGE = "bridge"


@frozen
class Limits:
    """Bounds of one attempt; None means unbounded.

    Attributes:
        memory_mb: Memory of the task's whole process tree, MiB.
        timeout_s: Wall-clock seconds.
        log_bytes: Captured output kept, bytes; the rest is counted and dropped.
        output_bytes: Largest sum of written files, bytes.
        pids: Processes and threads.
        cpus: Processors, as a share of time.
        tmp_bytes: Scratch space, bytes.
        network: What the task may reach.
        fresh: Whether nothing else may have run, or run later, where it runs.
    """

    memory_mb: int | None = DEFAULT_MEMORY_MB
    timeout_s: float | None = DEFAULT_TIMEOUT_S
    log_bytes: int | None = 10 * 1024 * 1024
    output_bytes: int | None = None
    pids: int | None = None
    cpus: float | None = None
    tmp_bytes: int | None = None
    network: Network = Network.HOST
    fresh: bool = False


@frozen
class Confinement:
    """What a pipeline, or a person, says about the surroundings of all tasks of a workflow.

    Attributes:
        network: What they may reach.
        fresh: Whether each runs where nothing else ran, or will.
        pids: Processes and threads, or None for any number.
        cpus: Processors, as a share of time, or None.
        tmp_mb: Temporary space, MiB, or None.
    """

    network: Network = Network.HOST
    fresh: bool = False
    pids: int | None = None
    cpus: float | None = None
    tmp_mb: int | None = None

    def apply(self, limits: Limits) -> Limits:
        """Return limits with these in place of their own."""
        return replace(
            limits,
            network=self.network,
            fresh=self.fresh,
            pids=self.pids,
            cpus=self.cpus,
            tmp_bytes=None if self.tmp_mb is None else self.tmp_mb * 1024 * 1024,
        )

    def to_plain(self) -> dict[str, Any]:
        """Return what is set, as plain JSON."""
        plain = {**vars(self), "network": self.network.value}
        return {name: value for name, value in plain.items() if value is not None}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Confinement:
        """Rebuild it from what `to_plain` returned."""
        return cls(**{**plain, "network": Network(plain.get("network", Network.HOST))})


@frozen
class TaskRequest:
    """One attempt at one step.

    Attributes:
        task_id: What the executor knows the attempt by, to end it; no other attempt has it.
        attempt: From 1.
        function: Slug of the function.
        input: JSON for the function's first argument.
        context: The task's context values, keys as task scripts' context has them.
        limits: Bounds of this attempt.
        import_only: Import the function as for a task, and do not call it; the outcome is
            that of a function which returns None.
    """

    task_id: str
    attempt: int
    function: str
    input: Json
    context: Mapping[str, Json] = field(default_factory=dict)
    limits: Limits = Limits()
    import_only: bool = False


class OutcomeKind(str, Enum):
    """How an attempt ended.

    RETURNED: the function returned a JSON value.
    RAISED: it raised, or returned what is not JSON.
    IMPORT_FAILED: its module could not be imported, or lacks the function.
    FATAL: it called ``raise_fatal_error``; never retried.
    EXITED: its process ended by itself without a result.
    KILLED: a signal ended its process.
    OUT_OF_MEMORY: it went over its memory limit.
    TIMED_OUT: it went over its wall-clock limit.
    CANCELLED: somebody asked for its end.
    LOST: its worker went away; nothing is known about the function.
    """

    RETURNED = "returned"
    RAISED = "raised"
    IMPORT_FAILED = "import-failed"
    FATAL = "fatal"
    EXITED = "exited"
    KILLED = "killed"
    OUT_OF_MEMORY = "out-of-memory"
    TIMED_OUT = "timed-out"
    CANCELLED = "cancelled"
    LOST = "lost"


@frozen
class TaskOutcome:
    """What came of one attempt.

    Attributes:
        kind: How it ended.
        value: The returned value; ``{}`` where the function returned None.
        message: Why it failed, in the words that a workflow shows.
        traceback: Python traceback that starts in the user's code, or empty.
        exit_code: Exit status of the process where it ended by itself.
        signal: Number of the signal that ended it, or None.
        duration_s: Wall-clock seconds from start to end.
        peak_memory_bytes: Largest resident size seen, bytes, or None.
        final: Whether another attempt would come to the same, whatever the pipeline asks for.
    """

    kind: OutcomeKind
    value: Json = None
    message: str = ""
    traceback: str = ""
    exit_code: int | None = None
    signal: int | None = None
    duration_s: float = 0.0
    peak_memory_bytes: int | None = None
    final: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether the function returned a value."""
        return self.kind is OutcomeKind.RETURNED

    @property
    def error(self) -> Json:
        """The value that expressions read as ``steps.<id>.error``."""
        if self.succeeded:
            return None
        if self.kind in (OutcomeKind.OUT_OF_MEMORY, OutcomeKind.CANCELLED):
            text = f"Invalid exit code {EXIT_KILLED}"
            oom = self.kind is OutcomeKind.OUT_OF_MEMORY
            return {"message": {"text": text, "oomError": oom}}
        if self.kind is OutcomeKind.FATAL:
            return f"Invalid exit code {EXIT_FATAL}"
        return self.message
