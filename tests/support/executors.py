"""An executor with a task script on it, for tests."""

from __future__ import annotations

import copy
import hashlib
import itertools
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stepline.model.task import Isolation, Limits, TaskOutcome, TaskRequest
from stepline.model.task_script import Function, TaskScript
from stepline.plugins.executor_process.executor import ProcessExecutor
from stepline.plugins.executor_process.pythons import own_version
from stepline.ports.executor import Executor, ExecutorOptions, LogLine, ScriptVersion, TaskServices

OUTCOMES = Path(__file__).parents[1] / "fixtures" / "task-scripts" / "outcomes"
LIMITS = Limits(timeout_s=60.0)

_numbers = itertools.count(1)


class Services:
    """What the platform does for one attempt, kept for the test to see.

    Args:
        answer: Answers the calls of the task's Context.
    """

    def __init__(self, answer: Callable[[str, Mapping[str, Any]], Any] | None = None) -> None:
        self._answer = answer or (lambda method, params: None)
        self.lines: list[LogLine] = []
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.started_at: float | None = None
        self.scratch = ""
        self.has_line = threading.Event()

    def call(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        self.calls.append((method, params))
        return {"value": self._answer(method, params)}

    def log(self, lines: Sequence[LogLine]) -> None:
        self.lines += lines
        self.has_line.set()

    def started(self, at: float) -> None:
        self.started_at = at

    def texts(self, stream: str = "out") -> list[str]:
        """Return the texts of one stream."""
        return [line.text for line in self.lines if line.stream == stream]


def attempt(
    executor: Executor, version: ScriptVersion, request: TaskRequest, services: TaskServices
) -> TaskOutcome:
    """Run one attempt."""
    with executor.seat(version, request.limits) as seat:
        if isinstance(services, Services):
            services.scratch = seat.scratch
        return seat.run(request, services=services)


class Bench:
    """An executor and a task script.

    Args:
        executor: The executor; the bench does not close it.
        folder: An empty folder, with the executor's temporary files in ``tmp``.
        code: Folder of the task script.
        runtime: Python that the script asks for.
        isolation: How the executor keeps tasks apart.
        limits: Bounds of a run that does not name others.

    Attributes:
        image_variables: Names of environment variables that tasks get from elsewhere.
    """

    image_variables: frozenset[str] = frozenset()

    def __init__(
        self,
        executor: Executor,
        folder: Path,
        *,
        code: Path = OUTCOMES,
        runtime: str | None = None,
        isolation: Isolation = Isolation.FORK,
        limits: Limits = LIMITS,
    ) -> None:
        self.executor = executor
        self.code = code
        self.isolation = isolation
        self.limits = limits
        self._folder = folder
        self._runtime = runtime or own_version()

    @property
    def keeps_children(self) -> bool:
        """Whether what a task starts may live on with the process that runs tasks."""
        return self.isolation is Isolation.REUSE

    @property
    def code_inside(self) -> str:
        """Folder of the task script, as tasks see it."""
        return os.path.realpath(self.code)

    def of(self, code: Path) -> Bench:
        """Return a bench with the same executor and another task script."""
        other = copy.copy(self)
        other.code = code
        return other

    def shared(self) -> Path:
        """Return a new folder that tasks see under the same path and may write to."""
        folder = self._folder / "shared" / str(next(_numbers))
        folder.mkdir(parents=True)
        folder.chmod(0o777)
        return folder

    def remains(self) -> list[str]:
        """Return what is left in the executor's temporary folder."""
        return sorted(os.listdir(self._folder / "tmp"))

    def version(self, *targets: str) -> ScriptVersion:
        """Return a version whose functions are these, called by their full names."""
        digest = f"sha256:{self._digest(targets)}"
        script = TaskScript(tuple(Function(target, target) for target in targets))
        name = f"private-test/{self.code.name}:v1.0.0"
        return ScriptVersion(name, digest, str(self.code), script, self._runtime)

    def _digest(self, targets: Sequence[str]) -> str:
        """Return what another content of the folder, or another choice of functions, changes."""
        content = hashlib.sha256("\0".join(sorted(targets)).encode())
        for path in sorted(path for path in self.code.rglob("*") if path.is_file()):
            if "__pycache__" not in path.parts:
                content.update(f"\0{path.relative_to(self.code)}\0".encode() + path.read_bytes())
        return content.hexdigest()

    def run(
        self,
        function: str,
        value: Any = None,
        *,
        services: Services | None = None,
        limits: Limits | None = None,
        task_id: str = "",
        **changes: Any,
    ) -> TaskOutcome:
        """Run a function of the script: ``name`` of main.py, or ``module.name``.

        Args:
            function: The function.
            value: Its input.
            services: The platform's end.
            limits: Bounds; ``changes`` are changes of them.
            task_id: Id of the task, where the test needs to know it.
        """
        target = function if "." in function else f"main.{function}"
        limits = replace(limits or self.limits, **changes)
        request = self.request(target, value, task_id=task_id, limits=limits)
        return attempt(self.executor, self.version(target), request, services or Services())

    def request(
        self, target: str, value: Any = None, *, task_id: str = "", limits: Limits | None = None
    ) -> TaskRequest:
        """Return a request for one attempt."""
        return TaskRequest(
            task_id=task_id or f"task-{next(_numbers)}",
            attempt=1,
            function=target,
            input=value,
            context={"pipelineConfig": {}},
            limits=limits or self.limits,
        )


def make_process_executor(
    cache_dir: Path,
    temporary: Path,
    *,
    isolation: Isolation = Isolation.FORK,
    task_env: Mapping[str, str] | None = None,
    memory: str | None = None,
) -> ProcessExecutor:
    """Return an executor ``process`` whose temporary folders are below ``temporary``."""
    environ = {**os.environ, "TMPDIR": str(temporary)}
    # Beside them, so that what remains of workers can be told from what a platform has open.
    scratch = str(temporary.parent / "scratch")
    options = ExecutorOptions(isolation=isolation, task_env=task_env or {}, scratch=scratch)
    return ProcessExecutor(options, cache_dir=cache_dir, environ=environ, memory=memory)


def process_is_there(pid: int) -> bool:
    """Tell whether a process runs; one that ended and was not waited for does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def writer_of(path: Path) -> int | None:
    """Return the process that wrote its id to a file; None where it has ended.

    Beside the file is one of the same name and ``.namespace``, which says of which
    namespace of processes the id is.
    """
    inner, namespace = path.read_text().strip(), Path(f"{path}.namespace").read_text()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(folder / "ns" / "pid") != namespace:
                continue
            ids = (folder / "status").read_text().partition("NSpid:")[2].split("\n")[0].split()
        except OSError:
            continue  # it has ended meanwhile, or is nobody of ours
        if ids[-1] == inner and process_is_there(int(folder.name)):
            return int(folder.name)
    return None


def wait_until(condition: Callable[[], bool], *, seconds: float = 10.0) -> bool:
    """Wait for a condition; tell whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def workers() -> list[int]:
    """Return the process ids of all workers that this process has started."""
    tasks = Path("/proc/self/task").iterdir()
    children = [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
    return [pid for pid in children if b"worker/start.py" in _command_of(pid)]


def peak_bytes(pid: int | str) -> int:
    """Return the largest resident size that a process has had since `reset_peak`."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def reset_peak(pid: int | str) -> None:
    """Have the largest resident size of a process measured from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
