"""Import of every function of a task script, on the environment that it will run in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stepline.errors import Location, PlatformError, Problem
from stepline.model.task import DEFAULT_MEMORY_MB, Limits, OutcomeKind, TaskOutcome, TaskRequest
from stepline.model.task_script import Function
from stepline.ports.executor import Executor, LogLine, ScriptVersion

TIMEOUT_S = 120.0
_LOG_BYTES = 1024 * 1024
_FRAME = re.compile(r'File "func/([^"]+)", line (\d+)')
_NOTHING_KNOWN = (OutcomeKind.LOST, OutcomeKind.CANCELLED)


def check_imports(
    executor: Executor,
    version: ScriptVersion,
    *,
    task_id: str,
    tell: Callable[[str], None],
    explain: Callable[[str], None],
) -> list[Problem]:
    """Import each function as a task would, without a task's context.

    Args:
        executor: Has prepared the version.
        version: The task script.
        task_id: Prefix of the ids under which the executor knows the imports.
        tell: Told each line that an import prints.
        explain: Told the traceback of each import that fails.

    Returns:
        An error for each function that cannot be imported.

    Raises:
        PlatformError: It is not known whether a function can be imported.
    """
    problems = []
    for number, function in enumerate(version.script.functions):
        request = _request(f"{task_id}-{number}", function, version)
        with executor.seat(version, request.limits) as seat:
            outcome = seat.run(request, services=_Silent(tell))
        if outcome.kind in _NOTHING_KNOWN:
            raise PlatformError(f"the import was broken off: {outcome.message}", retryable=True)
        if not outcome.succeeded:
            problems.append(_problem(function, outcome))
            explain(outcome.traceback)
    return problems


class _Silent:
    """A platform that answers no call: there is no task yet."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def call(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Refuse a call."""
        del params
        message = f"'{method}' works only in a task, not while a module is imported"
        return {"error": {"type": "PlatformError", "message": message}}

    def log(self, lines: Sequence[LogLine]) -> None:
        """Pass on what the import prints."""
        for line in lines:
            self._tell(line.text)

    def started(self, at: float) -> None:
        """No function is called."""


def _request(task_id: str, function: Function, version: ScriptVersion) -> TaskRequest:
    memory = version.script.memory_mb or DEFAULT_MEMORY_MB
    return TaskRequest(
        task_id=task_id,
        attempt=1,
        function=function.slug,
        input=None,
        limits=Limits(memory_mb=memory, timeout_s=TIMEOUT_S, log_bytes=_LOG_BYTES),
        import_only=True,
    )


def _problem(function: Function, outcome: TaskOutcome) -> Problem:
    """Return a problem at the innermost line of the script's own that the traceback names."""
    frames = _FRAME.findall(outcome.traceback)
    path = f"{function.module.replace('.', '/')}.py"
    where = Location(frames[-1][0], int(frames[-1][1])) if frames else Location(path)
    what = f"the function '{function.slug}' ({function.function}) cannot be imported"
    return Problem(
        "import-failed",
        f"{what}: {outcome.message}",
        where,
        "a module must be importable without a task, with what requirements.txt brings",
    )
