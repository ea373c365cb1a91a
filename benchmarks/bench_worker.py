"""1,000 tasks through one worker, a fresh child each, against a bare loop that forks.

Each task prints a line and returns a value, both of which are verified. The floor is the
least that keeps tasks apart: per turn a fork, two new folders, a session, a pipe for the
output, the wait for the end, and the removal of the folders.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import Command, Recorder, Sample, compare
from stepline.model.task import Limits, TaskRequest
from stepline.model.task_script import Function, TaskScript
from stepline.plugins.executor_process.executor import ProcessExecutor
from stepline.plugins.executor_process.pythons import own_version
from stepline.ports.executor import ExecutorOptions, LogLine, ScriptVersion

TASKS = 1000
RUNS = 9

MAIN = """
def count(input, context):
    print("task", input["number"])
    return {"number": input["number"]}
"""

FLOOR = """
import os
import sys
import time

count, root = int(sys.argv[1]), sys.argv[2]


def turn(number):
    work, tmp = os.path.join(root, "work"), os.path.join(root, "tmp")
    os.mkdir(work)
    os.mkdir(tmp)
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.setsid()
        os.dup2(writing, 1)
        os.chdir(work)
        os.write(1, b"task %d" % number)
        os._exit(0)
    os.close(writing)
    text = b""
    while chunk := os.read(reading, 65536):
        text += chunk
    os.close(reading)
    _, status = os.waitpid(pid, 0)
    os.rmdir(work)
    os.rmdir(tmp)
    assert (status, text) == (0, b"task %d" % number)


turn(0)
begin = time.perf_counter()
for number in range(count):
    turn(number)
print(time.perf_counter() - begin)
"""


class Services:
    """Takes the output of tasks."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def call(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Refuse: the tasks call nothing."""
        raise AssertionError(f"a task called {method} with {params}")

    def log(self, lines: Sequence[LogLine]) -> None:
        """Keep the texts."""
        self.lines += [line.text for line in lines]

    def started(self, at: float) -> None:
        """Do nothing."""


def run(recorder: Recorder) -> None:
    """Measure the worker."""
    with tempfile.TemporaryDirectory() as folder:
        executor = ProcessExecutor(
            ExecutorOptions(), cache_dir=Path(folder, "cache"), environ=os.environ
        )
        try:
            tasks = tasks_through(executor, Path(folder))
            tasks()
            found = compare(tasks, lambda: bare_loop(folder), runs=RUNS)
        finally:
            executor.close()
    recorder.record("1,000 tasks, a fresh child each / bare loop of fork", found, bar=1.5)


def tasks_through(executor: ProcessExecutor, folder: Path) -> Callable[[], float]:
    """Return a function that runs all tasks, verifies them, and returns the seconds."""
    code = folder / "code"
    code.mkdir()
    (code / "main.py").write_text(MAIN)
    script = TaskScript((Function("count", "main.count"),))
    version = ScriptVersion("private-demo/s:v1.0.0", "sha256:s", str(code), script, own_version())

    def tasks() -> float:
        services, values = Services(), []
        requests = [request(number) for number in range(TASKS)]
        begin = time.perf_counter()
        for each in requests:
            with executor.seat(version, each.limits) as seat:
                values.append(seat.run(each, services=services).value)
        seconds = time.perf_counter() - begin
        if values != [{"number": number} for number in range(TASKS)]:
            raise AssertionError("tasks returned something else")
        if services.lines != [f"task {number}" for number in range(TASKS)]:
            raise AssertionError("tasks printed something else")
        return seconds

    return tasks


def request(number: int) -> TaskRequest:
    """Return the request for one task."""
    return TaskRequest(
        task_id=f"task-{number}",
        attempt=1,
        function="count",
        input={"number": number},
        context={"pipelineConfig": {}},
        limits=Limits(),
    )


def bare_loop(folder: str) -> float:
    """Run the floor in a bare interpreter; return the seconds of its loop alone."""
    with tempfile.TemporaryDirectory(dir=folder) as root:
        command = Command([sys.executable, "-c", FLOOR, str(TASKS), root], finished)
        return float(json.loads(command.run().stdout))


def finished(sample: Sample) -> None:
    """Verify that the loop came to its end; it verifies each turn itself."""
    if float(sample.stdout) <= 0:
        raise AssertionError(f"the loop printed {sample.stdout!r}")
