"""``stepline run`` of one step against a bare interpreter, and of three steps against one.

Warm cache, whole processes. ``PYTHONDONTWRITEBYTECODE`` is taken out of the environment:
an installed Stepline has its bytecode.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import Command, Recorder, Sample, compare

RUNS = 40
MEMORY_BYTES = 60 * 1000 * 1000

MAIN = """
def hello(input, context):
    text = context.read_file(input["file"])["body"].decode()
    return {"greeting": "Hello, " + text, "after": input.get("after")}
"""


def run(recorder: Recorder) -> None:
    """Measure ``stepline run``."""
    with project() as folder:
        bare = Command([sys.executable, "-c", "import json"], nothing, env=environment(folder))
        one, three = (stepline_run(folder, steps) for steps in (1, 3))
        peaks = []

        def seconds(command: Command) -> float:
            sample = command.run()
            if command is one:
                peaks.append(sample.peak_bytes)
            return sample.seconds

        to_bare = compare(lambda: seconds(one), lambda: seconds(bare), runs=RUNS, warmups=3)
        recorder.record("run hello / bare python -c 'import json'", to_bare, bar=6.0, goal=4.5)
        recorder.record_limit("run hello: peak memory / 60 MB", peaks, limit=MEMORY_BYTES)
        to_one = compare(lambda: seconds(three), lambda: seconds(one), runs=RUNS, warmups=3)
        recorder.record("run three-step chain / run one step", to_one, bar=1.5)


@contextmanager
def project() -> Iterator[Path]:
    """A project with a protocol of one step and one of three, each reading the one before."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        script = folder / "task-scripts" / "hello"
        script.mkdir(parents=True)
        (script / "main.py").write_text(MAIN)
        (script / "requirements.txt").write_text("")
        config = {
            "language": "python",
            "runtime": f"python3.{sys.version_info.minor}",
            "functions": [{"slug": "hello", "function": "main.hello"}],
        }
        (script / "config.json").write_text(json.dumps(config))
        identity = {"namespace": "private-demo", "slug": "hello", "version": "v1.0.0"}
        (script / "manifest.json").write_text(json.dumps({"type": "task-script", **identity}))
        (folder / "name.txt").write_text("World")
        for count in (1, 3):
            protocol = folder / "protocols" / str(count) / "protocol.yml"
            protocol.parent.mkdir(parents=True)
            protocol.write_text(json.dumps(document(count, identity), indent=2))
        yield folder


def document(count: int, identity: dict[str, str]) -> dict[str, object]:
    """Return a protocol of a number of steps."""
    steps = [
        {
            "id": f"step{number}",
            "task": {**identity, "function": "hello"},
            "input": {
                "file": "$( workflow.inputFile )",
                "after": f"$( steps.step{number - 1}.output.greeting )" if number else None,
            },
        }
        for number in range(count)
    ]
    return {"protocolSchema": "v3", "steps": steps}


def stepline_run(folder: Path, count: int) -> Command:
    """Return the command line for a protocol, verified by the greeting it prints."""
    expected = json.dumps(
        {"greeting": "Hello, World", "after": "Hello, World" if count > 1 else None}
    ).encode()

    def verify(sample: Sample) -> None:
        if b"output: " + expected not in sample.stdout:
            raise RuntimeError(f"not the expected output: {sample.stdout!r}")

    command = [str(Path(sys.executable).with_name("stepline")), "run", f"protocols/{count}"]
    return Command(
        [*command, "--input", "name.txt", "--out", f"results-{count}"],
        verify,
        env=environment(folder),
        cwd=folder,
    )


def environment(folder: Path) -> dict[str, str]:
    """Return this environment with a cache of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COV_"))}
    return {**kept, "STEPLINE_CACHE_DIR": str(folder / "cache")}


def nothing(sample: Sample) -> None:
    """A bare interpreter prints nothing."""
    if sample.stdout:
        raise RuntimeError(f"unexpected output: {sample.stdout!r}")
