"""Time whole processes side by side, and collect the figures.

A benchmark is a module ``benchmarks/bench_*.py`` with a function ``run(recorder)``. It compares a
subject with a floor, run in turn on the same machine, so that a figure is a ratio and means the
same on a slow machine and on a fast one. An absolute limit is written as value/limit, bar 1.
"""

import os
import resource
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO

TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Sample:
    """One finished process.

    Attributes:
        seconds: Wall-clock time from start to end.
        peak_bytes: Largest resident size among the process and the descendants it waited for.
            Never below this interpreter's own size, which a new process starts from.
        stdout: All it printed.
    """

    seconds: float
    peak_bytes: int
    stdout: bytes


@dataclass(frozen=True)
class Command:
    """A process to time, and how to tell that it did its work.

    Attributes:
        verify: Gets each run's sample; raises if the output is wrong.
    """

    argv: Sequence[str]
    verify: Callable[[Sample], None]
    env: Mapping[str, str] | None = None
    cwd: Path | None = None

    def run(self) -> Sample:
        """Run to the end, verified.

        Raises:
            RuntimeError: It ended with another code than 0, or took over two minutes.
        """
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            start = time.perf_counter()
            process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=self.env,
                cwd=self.cwd,
            )
            usage = wait(process)
            seconds = time.perf_counter() - start
            sample = Sample(seconds, usage.ru_maxrss * 1024, read_all(out))
            if process.returncode != 0:
                raise RuntimeError(
                    f"{self.argv} ended with {process.returncode}: {read_all(err)!r}"
                )
        self.verify(sample)
        return sample


def wait(process: subprocess.Popen[bytes]) -> resource.struct_rusage:
    """Wait for a process, end it at the time limit, and return what it used."""
    killer = threading.Timer(TIMEOUT_S, process.kill)
    killer.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        killer.cancel()
    return usage


def read_all(file: BinaryIO) -> bytes:
    """Return everything in a file that a process wrote."""
    file.seek(0)
    return file.read()


@dataclass(frozen=True)
class Comparison:
    """What a subject costs in terms of a floor, from runs in turn.

    Attributes:
        subject: The subject's values, one per run; any unit.
        floor: The floor's values, in the same unit and order.
    """

    subject: Sequence[float]
    floor: Sequence[float]

    @property
    def ratio(self) -> float:
        """The medians' ratio."""
        return statistics.median(self.subject) / statistics.median(self.floor)

    @property
    def spread(self) -> tuple[float, float]:
        """The 10th and the 90th percentile of the ratios of neighbouring runs."""
        return percentiles([a / b for a, b in zip(self.subject, self.floor, strict=True)])


def percentiles(values: Sequence[float]) -> tuple[float, float]:
    """Return the 10th and the 90th percentile; the ends of fewer than ten values."""
    if len(values) < 10:
        return min(values), max(values)
    tenths = statistics.quantiles(values, n=10, method="inclusive")
    return tenths[0], tenths[-1]


def compare(
    subject: Callable[[], float], floor: Callable[[], float], *, runs: int, warmups: int = 1
) -> Comparison:
    """Measure subject and floor in turn, after warm-ups that do not count.

    Args:
        subject: Does the work once, and returns its cost.
        floor: Does what the subject is compared to, and returns its cost in the same unit.
        runs: Measured pairs, at least 1.
        warmups: Pairs run before.
    """
    pairs = [(subject(), floor()) for _ in range(warmups + runs)][warmups:]
    return Comparison([pair[0] for pair in pairs], [pair[1] for pair in pairs])


@dataclass(frozen=True)
class Result:
    """One figure.

    Attributes:
        ratio: The measured ratio; smaller is better.
        bar: What the ratio may be at most.
        goal: What we want it to be, if that is less than the bar.
        runs: How often it was measured.
        spread: Low and high end of the measured ratios.
    """

    name: str
    ratio: float
    bar: float
    goal: float | None
    runs: int
    spread: tuple[float, float]

    @property
    def kept(self) -> bool:
        """Whether the ratio is within its bar."""
        return self.ratio <= self.bar


@dataclass
class Recorder:
    """Collects results; each name once."""

    results: list[Result] = field(default_factory=list)

    def record(
        self, name: str, comparison: Comparison, *, bar: float, goal: float | None = None
    ) -> None:
        """Add a comparison under a name, with its bar and goal."""
        self.add(
            Result(name, comparison.ratio, bar, goal, len(comparison.subject), comparison.spread)
        )

    def record_limit(
        self, name: str, values: Sequence[float], *, limit: float, goal: float | None = None
    ) -> None:
        """Add values that have an absolute limit, as value/limit with bar 1.

        Args:
            name: What was measured.
            values: One per run, in the limit's unit.
            limit: What the median may be at most.
            goal: What we want the median to be, in the limit's unit.
        """
        ratios = [value / limit for value in values]
        share = None if goal is None else goal / limit
        self.add(
            Result(name, statistics.median(ratios), 1.0, share, len(ratios), percentiles(ratios))
        )

    def add(self, result: Result) -> None:
        """Add a result.

        Raises:
            ValueError: There is one of that name.
        """
        if any(known.name == result.name for known in self.results):
            raise ValueError(f"two results are named {result.name!r}")
        self.results.append(result)

    def rows(self) -> list[dict[str, object]]:
        """Return the results as plain mappings, to be written as JSON."""
        return [asdict(result) for result in self.results]

    def table(self) -> str:
        """Return the results as a table of text."""
        width = max((len(result.name) for result in self.results), default=4)
        lines = [f"{'name':{width}}  ratio    bar   goal  runs  spread"]
        for each in self.results:
            goal = "-" if each.goal is None else f"{each.goal:.2f}"
            low, high = each.spread
            verdict = "" if each.kept else "  OVER"
            lines.append(
                f"{each.name:{width}}  {each.ratio:5.2f}  {each.bar:5.2f}  {goal:>5}"
                f"  {each.runs:4}  {low:.2f} to {high:.2f}{verdict}"
            )
        return "\n".join(lines)
