"""Ready-made task scripts that push, run by the real worker with their real client libraries."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stepline.app.attempts import AttemptPlan, AttemptRecord, Platform, Secrecy, run_attempt
from stepline.app.masking import Masker
from stepline.app.run_secrets import reference
from stepline.model.task import Limits
from stepline.model.task_script import Function, TaskScript
from stepline.plugins.executor_process.executor import ProcessExecutor
from stepline.plugins.executor_process.pythons import own_version
from stepline.plugins.files_local.catalog import MemoryCatalog
from stepline.plugins.files_local.lake import local_file
from stepline.plugins.files_local.store import FolderStore
from stepline.ports.executor import ScriptVersion
from stepline.ports.files import Changes
from tests.support.contexts import VALUES, Secrets
from tests.support.executors import process_is_there, wait_until, workers

TASK_SCRIPTS = Path(__file__).parents[2] / "task-scripts"
VERIFIED = "verified"
NOTHING = "nothing published"
UNVERIFIED = "published but unverified"

_ENDS = {"NotPublished": NOTHING, "Unverified": UNVERIFIED}
_numbers = itertools.count(1)


def tuned(slug: str, folder: Path, lines: str) -> ScriptVersion:
    """Return a copy of a ready-made task script that has less patience.

    Args:
        slug: Folder below ``task-scripts``.
        folder: Gets the copy.
        lines: Python that is added to the end of its main.py.
    """
    code = Path(shutil.copytree(TASK_SCRIPTS / slug, folder / slug))
    with (code / "main.py").open("a") as main:
        main.write(f"\n\n{lines}\n")
    config = json.loads((code / "config.json").read_text())
    functions = tuple(Function(each["slug"], each["function"]) for each in config["functions"])
    name = f"common/{slug}:v1.0.0"
    return ScriptVersion(name, f"sha256:{slug}", str(code), TaskScript(functions), own_version())


class End:
    """How an attempt at a push ended.

    Attributes:
        record: Of the attempt.
        log: Text of what it wrote.
    """

    def __init__(self, record: AttemptRecord, log: str) -> None:
        self.record = record
        self.log = log

    @property
    def outcome(self) -> str:
        """Return one of the three ends; else what happened instead."""
        outcome = self.record.outcome
        if outcome.succeeded:
            assert isinstance(outcome.value, dict)
            return outcome.value["end"]
        # The error itself is the last of a traceback, and its class begins a line.
        raised = re.findall(r"^(?:\w+\.)*(\w+): ", outcome.traceback, flags=re.MULTILINE)
        found = [_ENDS[name] for name in raised if name in _ENDS]
        return found[-1] if found else f"{outcome.kind}: {outcome.message}"

    @property
    def receipt(self) -> dict[str, Any]:
        """Return the receipt of a push that ended well."""
        assert self.record.outcome.succeeded, self.record.outcome
        assert isinstance(self.record.outcome.value, dict)
        return self.record.outcome.value

    @property
    def words(self) -> str:
        """Return why it did not end well."""
        return self.record.outcome.message


class Pusher:
    """Pushes files of a test by one function, in as many workflows as a test wants.

    Args:
        executor: Runs the attempts.
        version: The task script.
        function: Slug of its function.
        folder: An empty folder.
        input: The function's input, but for ``files``.
        secrets: Values by config key; the input has references to them.
    """

    def __init__(
        self,
        executor: ProcessExecutor,
        version: ScriptVersion,
        *,
        function: str,
        folder: Path,
        input: Mapping[str, Any],
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        self.input = dict(input)
        self._executor = executor
        self._version = version
        self._function = function
        self._folder = folder
        self._secrets = dict(secrets or {})
        self._store = FolderStore(str(folder / "store"))
        self._catalog = MemoryCatalog()

    def file(self, name: str, content: bytes) -> dict[str, Any]:
        """Return the pointer of a new file."""
        path = self._folder / str(next(_numbers)) / name
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        record = local_file(str(path), store=self._store)
        self._catalog.commit(Changes(files=(record,)))
        return record.pointer.to_plain()

    def push(
        self, files: Mapping[str, bytes], *, workflow: str = "workflow-1", **changes: Any
    ) -> End:
        """Push files, by name, to the end of one attempt.

        Args:
            files: Their content.
            workflow: Id of the workflow.
            changes: Of the input.
        """
        pointers = {name: self.file(Path(name).name, data) for name, data in files.items()}
        lines: list[str] = []
        masker = Masker(self._secrets.values())
        paths = {reference(key)["ssm"]: value for key, value in self._secrets.items()}
        record = run_attempt(
            self._plan({**self.input, "files": pointers, **changes}, workflow),
            self._platform(),
            secrecy=Secrecy(Secrets(paths), masker),
            log=lambda new: lines.extend(line.text for line in new),
            keep=lambda record, made: self._catalog.commit(made),
        )
        return End(record, "\n".join(lines))

    def receipt_file(self, end: End) -> dict[str, Any]:
        """Return the receipt as it was kept."""
        record = self._catalog.get(end.receipt["receipt_file"]["fileId"])
        assert record is not None
        with self._store.open(record.blob) as file:
            return json.load(file)

    @contextmanager
    def pushing(self, files: Mapping[str, bytes], **changes: Any) -> Iterator[list[End]]:
        """Push in a thread meanwhile; the list has the end afterwards."""
        ends: list[End] = []
        thread = threading.Thread(target=lambda: ends.append(self.push(files, **changes)))
        thread.start()
        try:
            yield ends
        finally:
            thread.join(90)
            assert not thread.is_alive()

    def _plan(self, value: dict[str, Any], workflow: str) -> AttemptPlan:
        config = {"pipelineName": "Plates", **{key: reference(key) for key in self._secrets}}
        return AttemptPlan(
            version=self._version,
            function=self._function,
            task_id=f"push-{next(_numbers)}",
            attempt=1,
            input=value,
            context={**VALUES, "workflowId": workflow, "pipelineConfig": config},
            limits=Limits(timeout_s=80.0),
        )

    def _platform(self) -> Platform:
        return Platform(
            executor=self._executor,
            catalog=self._catalog,
            store=self._store,
            schemas=None,
            now=lambda: "2030-01-02T03:04:05Z",
            new_id=lambda: f"id-{next(_numbers)}",
        )


def kill_tasks() -> None:
    """Kill all that the workers of this process have started: each task's process tree."""
    found = {pid for worker in workers() for pid in _below(worker)}
    _kill(found)
    assert wait_until(lambda: not any(map(process_is_there, found)))
    assert found


def kill_workers() -> None:
    """Kill the workers of this process, with all that they have started."""
    found = workers()
    found += [pid for worker in found for pid in _below(worker)]
    _kill(found)
    assert wait_until(lambda: not any(map(process_is_there, found)))
    assert found


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # ended with the one before
            os.kill(pid, signal.SIGKILL)


def _below(pid: int) -> Iterator[int]:
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = tasks.read_text().split()
        except OSError:
            continue  # it has just ended
        for child in map(int, children):
            yield child
            yield from _below(child)
