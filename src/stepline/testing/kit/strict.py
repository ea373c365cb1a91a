"""What a task may not do in a test: read what the test did not provide."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from stepline.model.task import Limits, TaskOutcome, TaskRequest
from stepline.ports.executor import Executor, LogLine, ScriptVersion, Seat, TaskServices
from stepline.testing.kit.files import Files
from stepline.testing.kit.secrets import Secrets

Answer = Callable[[str, Mapping[str, Any]], dict[str, Any]]


class Strictness:
    """Finds calls of a Context that ask for what the test did not provide.

    Args:
        files: The files of the test.
        secrets: The secrets of the test.

    Attributes:
        problems: What was found, in words for the author of the test; each once.
    """

    def __init__(self, files: Files, secrets: Secrets) -> None:
        self._files = files
        self._secrets = secrets
        self.problems: list[str] = []

    def find(self, method: str, params: Mapping[str, Any], *, answer: Mapping[str, Any]) -> str:
        """Return what is wrong with a call, after keeping it; empty where nothing is.

        Args:
            method: The call's method.
            params: Its parameters.
            answer: What the platform answered.
        """
        problem = self._secret_problem(method, params, answer) or self._file_problem(
            method, params, answer
        )
        if problem and problem not in self.problems:
            self.problems.append(problem)
        return problem

    def _secret_problem(
        self, method: str, params: Mapping[str, Any], answer: Mapping[str, Any]
    ) -> str:
        path = params.get("ssm")
        if method != "resolve_secret" or not isinstance(path, str):
            return ""
        if answer.get("value", {}).get("value") is not None or self._secrets.declares_none(path):
            return ""
        name = path.rpartition("/")[2]
        if self._secrets.declares(path):
            return f"the secret '{name}' was resolved and the protocol's config does not have it"
        return (
            f"the secret '{name}' was resolved and the test does not declare it. Hint: "
            f"secrets[{name!r}] = '…', or None where the function is to find none"
        )

    def _file_problem(
        self, method: str, params: Mapping[str, Any], answer: Mapping[str, Any]
    ) -> str:
        error = answer.get("error")
        if not error or error["type"] != "FileNotFoundError" or self._is_meant(params):
            return ""
        return (
            f"{method}: {error['message']}. Hint: files.add(…) adds one; files.missing(…) gives "
            "a pointer for a function that copes with a missing file"
        )

    def _is_meant(self, params: Mapping[str, Any]) -> bool:
        pointer = params.get("file")
        named = {params.get("fileId")}
        if isinstance(pointer, dict):
            named |= {pointer.get("fileId"), pointer.get("fileKey")}
        return not named.isdisjoint(self._files.missing_keys)


class StrictServices:
    """Task services that fail a test for what a task asks for.

    Args:
        services: Who answers.
        strictness: Finds what is wrong.
        fail: Called with it; if it returns, the task gets an error.
    """

    def __init__(
        self, services: TaskServices, strictness: Strictness, *, fail: Callable[[str], None]
    ) -> None:
        self.log: Callable[[Sequence[LogLine]], None] = services.log
        self.started: Callable[[float], None] = services.started
        self._answer: Answer = services.call
        self._strictness = strictness
        self._fail = fail

    def call(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Do what the task's Context asked for."""
        return strict_answer(
            self._answer, self._strictness, method=method, params=params, fail=self._fail
        )


def strict_answer(
    answer: Answer,
    strictness: Strictness,
    *,
    method: str,
    params: Mapping[str, Any],
    fail: Callable[[str], None],
) -> dict[str, Any]:
    """Return the answer to a call, or an error for one that asks too much."""
    given = answer(method, params)
    problem = strictness.find(method, params, answer=given)
    if not problem:
        return given
    fail(problem)
    return {"error": {"type": "PlatformError", "message": problem}}


class StrictExecutor:
    """An executor whose tasks may ask only for what the test provides.

    Args:
        executor: Runs the tasks.
        strictness: Finds what is wrong.
        fail: Called with it, in the thread that answers the task.
    """

    def __init__(
        self, executor: Executor, strictness: Strictness, *, fail: Callable[[str], None]
    ) -> None:
        self.name = executor.name
        self.prepare = executor.prepare
        self.warm_up = executor.warm_up
        self.faults = executor.faults
        self.cancel = executor.cancel
        self.remove_unused = executor.remove_unused
        self.close = executor.close
        self._executor = executor
        self._strictness = strictness
        self._fail = fail

    @contextmanager
    def seat(self, version: ScriptVersion, limits: Limits) -> Iterator[Seat]:
        """Take a place for one attempt."""
        with self._executor.seat(version, limits) as seat:
            yield _StrictSeat(seat, self._strictness, self._fail)


class _StrictSeat:
    """A place for one attempt that may ask only for what the test provides."""

    def __init__(self, seat: Seat, strictness: Strictness, fail: Callable[[str], None]) -> None:
        self.scratch, self.shares_paths = seat.scratch, seat.shares_paths
        self._seat = seat
        self._strictness = strictness
        self._fail = fail

    def run(self, request: TaskRequest, *, services: TaskServices) -> TaskOutcome:
        """Run one attempt and wait for its end."""
        watched = StrictServices(services, self._strictness, fail=self._fail)
        return self._seat.run(request, services=watched)
