"""``stepline validate`` of a protocol with 500 steps: never seen before, and unchanged.

Whole processes. Each cold run has an empty cache of its own. The protocol uses what costs time:
expressions in every step, config items, constants, and a task script beside it to link with.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from benchmarks.harness import Command, Recorder, Sample

STEPS = 500
RUNS = 15
COLD_S = 0.5
WARM_S = 0.1
MEMORY_BYTES = 60 * 1000 * 1000

HEAD = """\
protocolSchema: v3
name: Many steps
constants:
  limits: {memory: 512, names: [one, two]}
config:
  user: {label: User, type: string, required: true}
  again: {label: Again, type: boolean, default: false}
steps:
"""
STEP = """\
  - id: step{number}
    task: {{namespace: private-demo, slug: work, version: v1.0.0, function: work}}
    if: $( and({before}, not(config.again)) )
    input:
      file: $( workflow.inputFile )
      user: $( config.user )
      first: "$( constants.limits.names[0] )"
      before: $( coalesce({output}, config.user, null) )
    options: {{memoryInMB: $( constants.limits.memory )}}
    continueOnError: $( steps.step{number}.isFailed )
"""


def run(recorder: Recorder) -> None:
    """Measure ``stepline validate``."""
    with project() as folder:
        caches = count()
        cold = [validate(folder, f"cold{next(caches)}").run() for _ in range(RUNS + 1)][1:]
        warm = [validate(folder, "warm").run() for _ in range(RUNS + 1)][1:]
        seconds = [sample.seconds for sample in cold]
        recorder.record_limit("validate 500 steps cold / 0.5 s", seconds, limit=COLD_S, goal=0.25)
        seconds = [sample.seconds for sample in warm]
        recorder.record_limit(
            "validate 500 steps unchanged / 0.1 s", seconds, limit=WARM_S, goal=0.07
        )
        peaks = [float(sample.peak_bytes) for sample in cold]
        recorder.record_limit("validate 500 steps: peak memory / 60 MB", peaks, limit=MEMORY_BYTES)


@contextmanager
def project() -> Iterator[Path]:
    """A project with one protocol of many steps and the task script that they call."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        protocol = folder / "protocols" / "many" / "protocol.yml"
        protocol.parent.mkdir(parents=True)
        protocol.write_text(HEAD + "".join(step(number) for number in range(STEPS)))
        script = folder / "task-scripts" / "work"
        script.mkdir(parents=True)
        (script / "main.py").write_text("def work(input, context):\n    return input\n")
        (script / "requirements.txt").write_text("")
        functions = [{"slug": "work", "function": "main.work"}]
        config = {"language": "python", "runtime": "python3.11", "functions": functions}
        (script / "config.json").write_text(json.dumps(config))
        yield folder


def step(number: int) -> str:
    """Return one step, which reads the one before."""
    state = f"steps.step{number - 1}" if number else ""
    before = f"{state}.isSuccess" if number else "true"
    output = f"{state}.output.x" if number else "null"
    return STEP.format(number=number, before=before, output=output)


def validate(folder: Path, cache: str) -> Command:
    """Return the command that validates the project with a cache of this name."""
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
    }
    environment["STEPLINE_CACHE_DIR"] = str(folder / "caches" / cache)
    words = [
        str(Path(sys.executable).with_name("stepline")),
        "validate",
        "protocols",
        "task-scripts",
    ]
    return Command(words, all_valid, env=environment, cwd=folder)


def all_valid(sample: Sample) -> None:
    """Check that everything was seen and nothing was wrong."""
    if sample.stdout != b"2 files checked: no problems\n":
        raise RuntimeError(f"unexpected output: {sample.stdout!r}")
