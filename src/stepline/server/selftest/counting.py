"""Counts what a service has, after all is done, against what was sent to it."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from hashlib import sha256
from math import inf
from pathlib import Path

from stepline.bootstrap import Plugins
from stepline.errors import PlatformError
from stepline.model.artifact import ArtifactKind
from stepline.model.file import FileCategory, FileRecord
from stepline.model.ledger import EventKind
from stepline.model.pipeline import Pipeline
from stepline.model.task import OutcomeKind
from stepline.model.workflow import WorkflowStatus
from stepline.ports.durable_files import DurableFileStore
from stepline.ports.logs import LogStore
from stepline.ports.state import StateView, StoredAttempt, StoredWorkflow
from stepline.server.composition import open_state
from stepline.server.selftest.findings import Findings, Kind
from stepline.server.selftest.places import Places
from stepline.server.selftest.sending import RETRIES, Sent

_PAGE = 1000
_STEPS = {"selftest-first": 3, "selftest-second": 2}
_WRITE = 1
_RETURNED, _RAISED = OutcomeKind.RETURNED.value, OutcomeKind.RAISED.value


def count(places: Places, sent: Sequence[Sent], *, plugins: Plugins, findings: Findings) -> None:
    """Count all that was lost and doubled.

    Args:
        places: Where everything is; no service runs.
        sent: The files that were sent.
        plugins: Where adapters come from.
        findings: Takes what is found.
    """
    if not count_database(places.home / "state.db", findings):
        return  # what a damaged one says of the rest is nothing to count
    count_scratch(places, findings)
    store, logs = plugins.file_store(places.home / "files"), plugins.log_store(places.home / "logs")
    try:
        state = open_state(plugins, places.home)
    except PlatformError as error:
        findings.add(Kind.DATABASE, str(error))
        return
    try:
        with state.read() as view:
            counting = _Count(view, findings, logs, may_lose=places.settings.executor != "process")
            counting.all(sent, store)
    finally:
        state.close()


def count_database(path: Path, findings: Findings) -> bool:
    """Have the database check itself; return whether it is well."""
    with closing(sqlite3.connect(path)) as database:
        lines = [line for (line,) in database.execute("PRAGMA integrity_check") if line != "ok"]
        lines += map(str, database.execute("PRAGMA foreign_key_check"))
    findings.add(Kind.DATABASE, *lines)
    return not lines


def count_scratch(places: Places, findings: Findings) -> None:
    """Look for what attempts, staging areas and workers have left."""
    staging = places.home / "files" / "staging"
    # The service that ended last holds a folder with nothing but its lock.
    staged = [path for path in staging.rglob("*") if path.is_file() and path.name != ".lock"]
    folders = [path for path in staging.iterdir() if path.is_dir()][1:] if staging.exists() else []
    scratch = places.home / "scratch"
    left = [*scratch.iterdir()] if scratch.exists() else []
    for path in [*staged, *folders, *left, *places.temporary.iterdir()]:
        findings.add(Kind.SCRATCH, str(path.relative_to(places.base)))


class _Count:
    """Counts in one consistent state.

    Args:
        view: The state.
        findings: Takes what is found.
        logs: Where logs are.
        may_lose: Whether attempts may be lost with what ran them, and be made again.
    """

    def __init__(
        self, view: StateView, findings: Findings, logs: LogStore, *, may_lose: bool
    ) -> None:
        self._may_lose = may_lose
        self._view = view
        self._findings = findings
        self._logs = logs
        self._pipelines = {each.spec.name: each for each in view.pipelines.all()}
        self._made: dict[tuple[str, str], list[StoredWorkflow]] = defaultdict(list)
        for workflow in _workflows(view):
            self._made[workflow.pipeline_id, workflow.input_file_id].append(workflow)
        self._left = {record.pointer.file_id: record for record in _files(view)}
        self._reported: Counter[str] = Counter()

    def all(self, sent: Sequence[Sent], store: DurableFileStore) -> None:
        files = list(self._left.values())
        for each in sent:
            self._chain(each)
        for record in self._left.values():
            self._findings.add(Kind.FILES_DOUBLED, f"{record.pointer.key}: nothing should be here")
        for workflows in self._made.values():
            for workflow in workflows:
                self._findings.add(Kind.EVENTS_DOUBLED, f"workflow {workflow.id}: nothing asked")
        self._written(files)
        for record in files:
            self._ledger(record)
        for head in self._view.queue.heads(inf):
            self._findings.add(Kind.LEASES, f"{head.task} is still queued")
        self._bytes(files, store)

    def _chain(self, sent: Sent) -> None:
        """Follow a file through both pipelines."""
        found = self._view.files.versions(sent.key)
        if not self._findings.expect(
            Kind.EVENTS_LOST, bool(found), line=f"{sent.key} is not there"
        ):
            return
        record = self._one(found, text=sent.text)
        labels = [("told", "yes")] if not sent.fails else []
        labels += [("sent", "yes")] if sent.file_id else []
        self._labels(record, labels)
        if sent.file_id:
            well = record.pointer.file_id == sent.file_id
            self._findings.expect(
                Kind.EVENTS_LOST, well, line=f"{sent.key} is {record.pointer.file_id}"
            )
        result = self._workflow("selftest-first", record, "result.txt", sent)
        if result is None:
            return
        self._labels(result, [("kind", sent.text.split()[0]), ("text", sent.text)])
        self._workflow("selftest-second", result, "again.txt", sent)

    def _workflow(
        self, name: str, record: FileRecord, wanted: str, sent: Sent
    ) -> FileRecord | None:
        """Check the one workflow of a pipeline and a file; return the file that it wrote."""
        key = record.pointer.key
        found = self._made.pop((self._pipelines[name].id, record.pointer.file_id), [])
        if not self._findings.expect(
            Kind.EVENTS_LOST, bool(found), line=f"{key} did not start {name}"
        ):
            return None
        for each in found[1:]:
            self._findings.add(Kind.EVENTS_DOUBLED, f"{key} started {name} again: {each.id}")
        workflow = found[0]
        fails = sent.fails and name == "selftest-first"
        status = WorkflowStatus.FAILED if fails else WorkflowStatus.COMPLETED
        well = workflow.status is status
        self._findings.expect(
            Kind.RESULTS_LOST,
            well,
            line=f"workflow {workflow.id} of {key}: {workflow.status.value}",
        )
        self._attempts(workflow, name, sent, fails=fails)
        for task in self._view.queue.of_workflow(workflow.id):
            self._findings.add(Kind.LEASES, f"{task} is still queued")
        return None if fails else self._output(workflow, f"{key}/{wanted}", sent.text.upper())

    def _output(self, workflow: StoredWorkflow, name: str, text: str) -> FileRecord | None:
        key = name.replace("/RAW/", "/PROCESSED/")
        written = self._view.files.written_by(workflow.id)
        own = [record for record in written if record.pointer.key == key]
        if not self._findings.expect(Kind.RESULTS_LOST, bool(own), line=f"{key} is not there"):
            return None
        return self._one(self._view.files.versions(key), text=text)

    def _one(self, versions: Sequence[FileRecord], *, text: str) -> FileRecord:
        """Return the one version of a file that should be there."""
        record, key = versions[0], versions[0].pointer.key
        for each in versions:
            self._left.pop(each.pointer.file_id, None)
        for each in versions[1:]:
            self._findings.add(Kind.FILES_DOUBLED, f"{key}: version {each.pointer.version}")
        well = record.sha256 == sha256(text.encode()).hexdigest()
        self._findings.expect(Kind.RESULTS_LOST, well, line=f"{key} has other content")
        return record

    def _labels(self, record: FileRecord, wanted: list[tuple[str, str]]) -> None:
        found = sorted((label.name, label.value) for label in record.labels)
        well = found == sorted(wanted)
        self._findings.expect(Kind.RESULTS_LOST, well, line=f"{record.pointer.key}: labels {found}")

    def _attempts(self, workflow: StoredWorkflow, name: str, sent: Sent, *, fails: bool) -> None:
        attempts = self._view.workflows.attempts(workflow.id)
        if self._may_lose:
            attempts = [each for each in attempts if each.kind != OutcomeKind.LOST.value]
        for each in attempts:
            self._reported.update(map(str, _written_ids(each)))
            self._log(each, sent)
        found = Counter((each.step, each.kind) for each in attempts)
        steps = _WRITE if fails else _STEPS[name]
        wanted = Counter({(step, _RETURNED): 1 for step in range(steps)})
        if fails:
            wanted[_WRITE, _RAISED] = RETRIES + 1
        elif sent.text.startswith("flaky") and name == "selftest-first":
            # It fails once, unless the service died between its failing and its being stored.
            wanted[_WRITE, _RAISED] = min(1, found[_WRITE, _RAISED])
        well = found == wanted
        self._findings.expect(Kind.ATTEMPTS, well, line=f"workflow {workflow.id}: {dict(found)}")

    def _log(self, attempt: StoredAttempt, sent: Sent) -> None:
        page = self._logs.read(attempt.workflow_id, step=attempt.step, attempt=attempt.attempt)
        lines = [line.text for line in page.lines if line.stream == "out"]
        own = [line for line in lines if sent.text.lower() in line.lower() or line == "told"]
        name = f"workflow {attempt.workflow_id}, step {attempt.step}, attempt {attempt.attempt}"
        self._findings.expect(Kind.LOGS, len(lines) == len(own) == 1, line=f"{name}: {lines}")

    def _written(self, files: Sequence[FileRecord]) -> None:
        """Compare what attempts say that they wrote with what is there."""
        there = Counter(
            record.pointer.file_id for record in files if record.category is not FileCategory.RAW
        )
        for file_id in there - self._reported:
            self._findings.add(Kind.FILES_DOUBLED, f"no attempt says that it wrote {file_id}")
        for file_id in self._reported - there:
            self._findings.add(Kind.RESULTS_LOST, f"{file_id} was written, and is not there")

    def _ledger(self, record: FileRecord) -> None:
        """Look for one decision about each event of a file for each pipeline."""
        entries = self._view.ledger.of_file(record.pointer.file_id)
        found = Counter((entry.event, entry.pipeline_id) for entry in entries)
        told = any(label.name == "told" for label in record.labels)
        events = [EventKind.FILE, EventKind.LABELS] if told else [EventKind.FILE]
        wanted = Counter((event, each.id) for event in events for each in self._all_pipelines())
        well = found == wanted
        self._findings.expect(Kind.LEDGER, well, line=f"{record.pointer.key}: {dict(found)}")

    def _all_pipelines(self) -> Sequence[Pipeline]:
        return list(self._pipelines.values())

    def _bytes(self, files: Sequence[FileRecord], store: DurableFileStore) -> None:
        """Read all that is referred to."""
        archives = {
            artifact.archive
            for kind in ArtifactKind
            for artifact in self._view.artifacts.list(kind)
        }
        for name in {record.blob for record in files} | archives:
            try:
                well = store.verify(name)
            except PlatformError as error:
                self._findings.add(Kind.BLOBS, f"{name}: {error}")
            else:
                self._findings.expect(Kind.BLOBS, well, line=f"{name} is gone or has other content")


def _written_ids(attempt: StoredAttempt) -> Sequence[object]:
    written = attempt.record["written"]
    return written if isinstance(written, list) else []


def _workflows(view: StateView) -> Iterator[StoredWorkflow]:
    before = 0
    while True:
        page = view.workflows.page(before=before, limit=_PAGE)
        yield from page.items
        before = page.after
        if not before:
            return


def _files(view: StateView) -> Iterator[FileRecord]:
    """Yield all versions of all files."""
    after = 0
    while True:
        page = view.files.page(after=after, limit=_PAGE)
        for newest in page.items:
            yield from view.files.versions(newest.pointer.key)
        after = page.after
        if not after:
            return
