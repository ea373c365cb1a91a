"""What the service's state costs with a hundred times as much in it.

Lists, searches and the decision about a new file, with 100,000 files and 10,000 finished
workflows, against the same with 1,000 and 100.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

from benchmarks.harness import Recorder, compare
from stepline.app.service.flow import Flow
from stepline.app.service.plans import Plans
from stepline.bootstrap import Plugins
from stepline.model.file import FileCategory, FilePointer, FileRecord, Label
from stepline.model.ledger import EventKind
from stepline.model.pipeline import Clause, Condition, Group, Operator, Pipeline, PipelineSpec
from stepline.model.workflow import WorkflowStatus
from stepline.ports.files import Changes
from stepline.ports.state import State, StoredWorkflow

FILES = 100_000
SHARE = 100
RUNS = 15
TIMES = 20
NOW = "2026-01-01T00:00:00.000Z"


def run(recorder: Recorder) -> None:
    """Measure the state."""
    with tempfile.TemporaryDirectory() as scratch:
        plugins = Plugins(Path(scratch, "cache"), os.environ)
        many = plugins.state(f"sqlite:///{scratch}/many.db")
        few = plugins.state(f"sqlite:///{scratch}/few.db")
        try:
            fill(many, FILES)
            fill(few, FILES // SHARE)
            for name, act in actions().items():
                found = compare(timed(act, many), timed(act, few), runs=RUNS, warmups=2)
                recorder.record(f"{name}: {FILES:,} files / {FILES // SHARE:,}", found, bar=2.0)
        finally:
            many.close()
            few.close()


def fill(state: State, files: int) -> None:
    """Store files, a pipeline, and a finished workflow for each tenth file."""
    pipeline = Pipeline(id="p-1", revision=1, spec=spec(), created_at=NOW, updated_at=NOW)
    state.write(lambda tx: tx.pipelines.put(pipeline))
    for records in in_parts(record(number) for number in range(files)):
        store_files(state, records)
    for workflows in in_parts(workflow(number) for number in range(files // 10)):
        store_workflows(state, workflows)


def store_files(state: State, records: tuple[FileRecord, ...]) -> None:
    """Make files visible."""
    state.write(lambda tx: tx.files.commit(Changes(files=records)))


def store_workflows(state: State, workflows: tuple[StoredWorkflow, ...]) -> None:
    """Store workflows."""
    state.write(lambda tx: [tx.workflows.add(each) for each in workflows])


def in_parts(values: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    """Return values five hundred at a time."""
    part: list[Any] = []
    for value in values:
        part.append(value)
        if len(part) == 500:
            yield tuple(part)
            part = []
    if part:
        yield tuple(part)


def record(number: int) -> FileRecord:
    """Return a file: one of fifty plates, one of ten sources, its own size."""
    key = f"demo/reader-{number % 10}/RAW/day-{number // 1000}/run-{number}.json"
    return FileRecord(
        FilePointer("stepline", key, f"f-{number}", "1"),
        FileCategory.RAW if number % 2 else FileCategory.PROCESSED,
        size=number,
        sha256="0" * 64,
        created_at=f"2026-01-{number % 28 + 1:02}T00:00:00.000Z",
        source={"id": f"reader-{number % 10}", "type": "reader", "name": "Reader"},
        metadata={"batch": str(number)},
        labels=(Label("plate", str(number % 50), id=number + 1),),
        blob="sha256:" + "0" * 64,
    )


def workflow(number: int) -> StoredWorkflow:
    """Return a finished workflow."""
    return StoredWorkflow(
        id=f"w-{number}",
        pipeline_id="p-1",
        revision=1,
        status=WorkflowStatus.COMPLETED,
        waiting=False,
        priority=5,
        dedupe_key=f"k-{number}",
        input_file_id=f"f-{number}",
        protocol_digest="sha256:0",
        scripts=(),
        created_at=NOW,
        updated_at=NOW,
        state={"status": "completed"},
    )


def spec() -> PipelineSpec:
    """Return a pipeline that no file here fires."""
    clauses = (Clause("category", "is", "raw"), Clause("labels.plate", "is", "none"))
    condition = Condition(groups=(Group(Operator.AND, clauses),))
    return PipelineSpec(name="p", protocol="private-demo/p:v1.0.0", trigger=condition)


def actions() -> dict[str, Callable[[State], object]]:
    """Return what is measured, by name."""
    numbers = count(10**9)
    flow = Flow(
        Plans(Nothing(), lambda config: (config, ())),
        now=lambda: NOW,
        clock=time.time,
        new_id=lambda: str(next(numbers)),
    )

    def found(query: dict[str, Any]) -> Callable[[State], object]:
        def act(state: State) -> object:
            with state.read() as view:
                return view.files.search({"query": query, "size": 10})

        return act

    def listed(state: State) -> object:
        with state.read() as view:
            return view.files.page(limit=100), view.workflows.page(limit=10)

    def decided(state: State) -> object:
        new = record(1)
        return state.write(lambda tx: flow.file_event(tx, new, kind=EventKind.FILE))

    return {
        "listing": listed,
        "search by term": found({"term": {"metadata.batch": "77"}}),
        "search by terms": found({"terms": {"metadata.batch": ["7", "77", "777"]}}),
        "search by range": found({"range": {"size": {"gte": 100, "lt": 120}}}),
        "search by exists": found({"exists": {"field": "metadata.batch"}}),
        "search by a term that half have": found({"term": {"category": "RAW"}}),
        "trigger decision": decided,
    }


class Nothing:
    """A registry that nobody asks."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AssertionError(f"the registry was asked to {name}")


def timed(act: Callable[[State], object], state: State) -> Callable[[], float]:
    """Return a function that does something some times, and returns the seconds."""

    def seconds() -> float:
        begin = time.perf_counter()
        for _ in range(TIMES):
            act(state)
        return time.perf_counter() - begin

    return seconds
