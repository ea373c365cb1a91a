"""The service: files dropped into a watched folder, each through three steps, against bare loops.

Durability is full on both sides: every step is synced to the disk before the next. The floors
do per file and step only that: a fork (or nothing) for the work, and one commit of SQLite.
"""

import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.harness import Recorder, compare
from benchmarks.service import Served, served

FILES = 1000
RUNS = 3
LATENCY_FILES = 100
MEMORY_BYTES = 150 * 1000 * 1000


def run(recorder: Recorder) -> None:
    """Measure the service."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        throughput(recorder, root, isolation="fork", floor=forking_loop, bar=2.0)
        throughput(recorder, root, isolation="reuse", floor=plain_loop, bar=1.5)
        latency(recorder, root)


def throughput(
    recorder: Recorder,
    root: Path,
    *,
    isolation: str,
    floor: Callable[[Path], float],
    bar: float,
) -> None:
    """Measure how long many files take that arrive at once."""
    folder = root / f"service-{isolation}"
    with served(folder, "--isolation", isolation) as service:
        service.deploy()
        drop(service, "warm", 20)
        service.wait_completed(20)
        rounds = iter(range(RUNS + 1))
        found = compare(
            lambda: whole_round(service, next(rounds)), lambda: floor(root), runs=RUNS, warmups=1
        )
    name = f"{FILES:,} files, three steps each, {isolation} / bare loop"
    recorder.record(name, found, bar=bar, goal=1.0)


def whole_round(service: Served, number: int) -> float:
    """Drop all files, wait for their workflows, verify them; return the seconds."""
    before = service.completed()
    begin = time.perf_counter()
    drop(service, f"round-{number}", FILES)
    service.wait_completed(before + FILES)
    seconds = time.perf_counter() - begin
    texts = sorted(each["output"]["result"]["text"] for each in service.outputs(50))
    if not all(text.startswith(f"round-{number}-") for text in texts):
        raise AssertionError(f"workflows have other outputs: {texts[:3]}")
    return seconds


def drop(service: Served, name: str, count: int) -> None:
    """Write files into the watched folder."""
    for number in range(count):
        (service.inbox / f"{name}-{number}.txt").write_text(f"{name}-{number}")


def forking_loop(root: Path) -> float:
    """Run a fork and a commit per step; return the seconds."""

    def work(path: Path) -> str:
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            os.write(writing, path.read_bytes())
            os._exit(0)
        os.close(writing)
        text = os.read(reading, 4096).decode()
        os.close(reading)
        os.waitpid(pid, 0)
        return text

    return bare_loop(root, work)


def plain_loop(root: Path) -> float:
    """Do the work in this process and commit per step; return the seconds."""
    return bare_loop(root, Path.read_text)


def bare_loop(root: Path, work: Callable[[Path], str]) -> float:
    """Do the work of three steps per file, with a synced commit after each."""
    with tempfile.TemporaryDirectory(dir=root) as scratch:
        folder = Path(scratch)
        paths = [folder / f"{number}.txt" for number in range(FILES)]
        for path in paths:
            path.write_text(path.name)
        database = sqlite3.connect(folder / "floor.db", isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE steps (file TEXT, step INTEGER, output TEXT)")
        begin = time.perf_counter()
        for path in paths:
            for step in range(3):
                row = (path.name, step, work(path))
                database.execute("INSERT INTO steps VALUES (?, ?, ?)", row)
        seconds = time.perf_counter() - begin
        (count,) = database.execute("SELECT count(*) FROM steps").fetchone()
        database.close()
    if count != 3 * FILES:
        raise AssertionError(f"the floor made {count} steps")
    return seconds


def latency(recorder: Recorder, root: Path) -> None:
    """Measure the time from a file's close to the first line of user code, and what idles."""
    with served(root / "service-latency") as service:
        recorder.record_limit("serve: start to ready / 1.5 s", [service.started_s], limit=1.5)
        service.deploy()
        drop(service, "warm", 20)
        service.wait_completed(20)
        waits = sorted(one_file(service, number) for number in range(LATENCY_FILES))
        median = statistics.median(waits)
        recorder.record_limit("close of a file to user code, p50 / 30 ms", [median], limit=0.030)
        worst = waits[int(len(waits) * 0.99)]
        recorder.record_limit("close of a file to user code, p99 / 150 ms", [worst], limit=0.150)
        idle = service.resident_bytes
        recorder.record_limit("idle service: memory / 150 MB", [idle], limit=MEMORY_BYTES)
        again = [nothing_to_do(service) for _ in range(5)]
        recorder.record_limit("re-run over files that are done / 150 ms", again, limit=0.150)


def one_file(service: Served, number: int) -> float:
    """Drop one file into the idle service; return the seconds until its function ran."""
    before = service.completed()
    path = service.inbox / f"one-{number}.txt"
    with open(path, "w") as file:
        file.write(path.stem)
    closed = time.time()
    service.wait_completed(before + 1)
    (newest,) = service.outputs(1)
    log = service.http.get(f"workflow/{newest['id']}/log", params={"step": 0}).json()
    return float(log["lines"][0]["text"].split()[1]) - closed


def nothing_to_do(service: Served) -> float:
    """Ask for what is unprocessed or failed where all is done; return the seconds."""
    if service.completed() < FILES:
        done = service.completed()
        drop(service, "many", FILES - done)
        service.wait_completed(FILES)
    begin = time.perf_counter()
    body = {"kinds": ["unprocessed", "failed"]}
    answer = service.http.post("pipelines/three/reprocess", json=body).raise_for_status()
    seconds = time.perf_counter() - begin
    if answer.json()["total"]:
        raise AssertionError(f"there was something to do: {answer.text}")
    return seconds
