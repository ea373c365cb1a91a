"""A Context, its function and the platform in one process, as the test kit runs them."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from stepline.app.call_errors import CallRefused
from stepline.app.task_context import TaskContextService
from stepline.errors import PlatformError
from stepline.model.task import Limits, OutcomeKind, TaskOutcome, TaskRequest
from stepline.model.task_script import Function
from stepline.ports.executor import ScriptVersion, Seat, TaskServices
from stepline.ports.freed import Freed
from stepline.testing.kit.output import captured
from stepline.testing.kit.script_import import importable
from stepline_sdk.context import Context
from stepline_sdk.errors import CallError
from stepline_sdk.worker import endings, failures, modules
from stepline_sdk.worker.folders import TaskFolders


class InProcessChannel:
    """Hands a Context's calls straight to the platform.

    Parameters and answers pass through JSON, so that neither end can change what the
    other holds, and what could not travel fails here too.

    Args:
        service: The platform's end.
    """

    def __init__(self, service: TaskContextService) -> None:
        self._service = service

    def call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Do one call and return its answer.

        Raises:
            CallError: The platform refused it.
        """
        try:
            answer = self._service.handle(method, _plain(params))
        except CallRefused as refusal:
            raise CallError(refusal.kind, refusal.message) from refusal
        return _plain(answer)


class ServicesChannel:
    """Hands a Context's calls to the services of one attempt.

    Args:
        answer: Answers a call with ``{"value": …}`` or ``{"error": …}``.
    """

    def __init__(self, answer: Callable[[str, Mapping[str, Any]], dict[str, Any]]) -> None:
        self._answer = answer

    def call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Do one call and return its answer.

        Raises:
            CallError: The platform refused it.
        """
        answer = self._answer(method, _plain(params))
        if "error" in answer:
            raise CallError(answer["error"]["type"], answer["error"]["message"])
        return _plain(answer.get("value"))


class InProcessExecutor:
    """Runs functions in the calling thread, where a debugger and coverage see them.

    Each gets a fresh empty work folder with ``func`` in it, and a TMPDIR; the current
    folder, the environment variables and the imported modules are put back afterwards.
    What only a process of its own can give is missing: requirements and Python are the
    caller's, time and memory have no limits, and a running function cannot be cancelled.

    Args:
        root: Folder for the folders of tasks.
        task_env: Variables that tasks get besides the caller's own.

    Attributes:
        raised: The exception with which the newest attempt ended, or None.
    """

    name = "in-process"

    def __init__(self, root: Path, *, task_env: Mapping[str, str] | None = None) -> None:
        self._root = root
        self._task_env = dict(task_env or {})
        self._count = 0
        self.raised: BaseException | None = None

    def prepare(
        self,
        version: ScriptVersion,
        *,
        tell: Callable[[str], None] | None = None,
        renew: bool = False,
    ) -> str:
        """Return what the environment is: this process's own."""
        del version, tell, renew
        return f"{self.name} python{sys.version_info.major}.{sys.version_info.minor}"

    def warm_up(self, version: ScriptVersion) -> None:
        """Nothing has to be started."""

    @contextmanager
    def seat(self, version: ScriptVersion, limits: Limits) -> Iterator[Seat]:
        """Take a place for one attempt; limits are not held."""
        del limits
        self._root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._root, prefix="scratch-") as scratch:
            yield _InProcessSeat(self, version, scratch)

    def attempt(
        self, version: ScriptVersion, request: TaskRequest, *, services: TaskServices, scratch: str
    ) -> TaskOutcome:
        """Run one attempt to its end, for a seat."""
        function = version.script.find(request.function)
        if function is None:
            raise PlatformError(f"{version.name} does not expose '{request.function}'")
        self.raised = None
        started = time.perf_counter()
        with (
            self._surroundings(version.folder),
            captured(services.log),
            importable(Path(version.folder)),
        ):
            ending = self._ending(function, request, services, scratch)
        return TaskOutcome(
            kind=OutcomeKind(ending["kind"]),
            value=ending.get("value"),
            message=ending.get("message", ""),
            traceback=ending.get("traceback", ""),
            exit_code=ending.get("exit_code"),
            duration_s=time.perf_counter() - started,
        )

    def remove_unused(
        self, versions: Sequence[ScriptVersion], *, before: float, dry_run: bool = False
    ) -> Freed:
        """Return that nothing was removed: there are no environments."""
        del versions, before, dry_run
        return Freed()

    def faults(self, *, anew: bool = False) -> Sequence[str]:
        """There is nothing that could keep all functions from being called."""
        del anew
        return ()

    def cancel(self, task_id: str) -> None:
        """Nothing can be done about a function that runs in this process."""

    def close(self) -> None:
        """Nothing is left to end."""

    @contextmanager
    def _surroundings(self, code: str) -> Iterator[None]:
        folder, environ, tempdir = os.getcwd(), dict(os.environ), tempfile.tempdir
        self._count += 1
        self._root.mkdir(parents=True, exist_ok=True)
        folders = TaskFolders(str(self._root), self._count, os.path.realpath(code))
        try:
            folders.enter()
            os.environ.update(self._task_env)
            tempfile.tempdir = None
            yield
        finally:
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(environ)
            tempfile.tempdir = tempdir
            folders.remove()

    def _ending(
        self, function: Function, request: TaskRequest, services: TaskServices, scratch: str
    ) -> dict[str, Any]:
        # What no task script raises goes through: Ctrl-C, and a test that ends itself.
        try:
            target = modules.load(function.function)
        except SystemExit as request_to_exit:
            return self._exited(request_to_exit)
        except Exception as error:  # noqa: BLE001  (a module may raise anything)
            return self._failed("import-failed", error)
        if request.import_only:
            return _returned({})
        context = _context(function, request, services, scratch)
        services.started(time.time())
        try:
            value = target(_plain(request.input) or {}, context)
        except SystemExit as request_to_exit:
            return self._exited(request_to_exit)
        except Exception as error:  # noqa: BLE001  (so may a function)
            return self._failed("raised", error)
        return _returned({} if value is None else value)

    def _exited(self, request_to_exit: SystemExit) -> dict[str, Any]:
        self.raised = request_to_exit.with_traceback(_users_part(request_to_exit.__traceback__))
        code = request_to_exit.code
        if code is not None and not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
        return endings.by_status(((code or 0) & 0xFF) << 8)

    def _failed(self, kind: str, error: Exception) -> dict[str, Any]:
        self.raised = error.with_traceback(_users_part(error.__traceback__))
        return failures.failure(kind, error)


class _InProcessSeat:
    """A place for one attempt in the calling thread."""

    shares_paths = True

    def __init__(self, executor: InProcessExecutor, version: ScriptVersion, scratch: str) -> None:
        self.scratch = scratch
        self._executor = executor
        self._version = version

    def run(self, request: TaskRequest, *, services: TaskServices) -> TaskOutcome:
        """Run one attempt to its end."""
        return self._executor.attempt(
            self._version, request, services=services, scratch=self.scratch
        )


def _context(
    function: Function, request: TaskRequest, services: TaskServices, scratch: str
) -> Context:
    entry: dict[str, Any] = {"slug": function.slug, "function": function.function}
    if function.allowed_ids is not None:
        entry["allowedIds"] = [vars(ids) for ids in function.allowed_ids]
    return Context(
        _plain(dict(request.context)),
        channel=ServicesChannel(services.call),
        scratch_dir=scratch,
        tmp_dir=os.environ["TMPDIR"],
        function=entry,
    )


def _returned(value: Any) -> dict[str, Any]:
    try:
        return {"kind": "returned", "value": _plain(value)}
    except Exception as error:  # noqa: BLE001  (the value's own code may raise anything)
        return failures.not_json(value, error)


def _users_part(traceback: TracebackType | None) -> TracebackType | None:
    """Leave out the frames of this module and of the import machinery, all at the top."""
    machinery = (__file__, modules.__file__)
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if file not in machinery and "importlib" not in file:
            return traceback
        traceback = traceback.tb_next
    return None


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, allow_nan=False))
