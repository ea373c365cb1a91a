"""Run the benchmarks: ``python -m benchmarks [NAME ...]``, where NAME is a part of a module's name.

Prints a table. A run of all benchmarks also writes ``benchmarks/out/results.json``. Exits with 1
if a figure is over its bar.
"""

import importlib
import json
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path

import benchmarks
from benchmarks.harness import Recorder

RESULTS = Path(__file__).parent / "out" / "results.json"


def main(names: Sequence[str]) -> int:
    """Run the benchmarks whose module's name has one of the names in it, or all of them."""
    recorder = Recorder()
    for module in sorted(info.name for info in pkgutil.iter_modules(benchmarks.__path__)):
        if module.startswith("bench_") and (not names or any(name in module for name in names)):
            print(f"{module} ...", file=sys.stderr, flush=True)
            importlib.import_module(f"benchmarks.{module}").run(recorder)
    print(recorder.table())
    if not names:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(recorder.rows(), indent=2) + "\n")
    return 0 if all(result.kept for result in recorder.results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
