"""Small projects for tests: a task script, a protocol and input files, written at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RUN_SECONDS = 120


class Project:
    """A project's folder, and the command line in it.

    Args:
        folder: An empty folder.
        cache: Value of STEPLINE_CACHE_DIR.
    """

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self.cache = cache
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "STEPLINE_CACHE_DIR": str(cache),
            **{k: v for k, v in os.environ.items() if k.startswith(_PASSED_ON)},
        }
        (folder / "home").mkdir(parents=True)

    def write(self, path: str, content: str | bytes) -> Path:
        """Write a file of the project."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return target

    def task_script(
        self,
        slug: str,
        main: str,
        functions: Sequence[str],
        *,
        requirements: str = "",
        **extra: Any,
    ) -> Path:
        """Write a task script whose functions, in main.py, have their slugs as names."""
        config = {
            "language": "python",
            "runtime": f"python3.{sys.version_info.minor}",
            "functions": [
                {"slug": name.replace("_", "-"), "function": f"main.{name}"} for name in functions
            ],
            **extra,
        }
        base = f"task-scripts/{slug}"
        self.write(f"{base}/main.py", main)
        self.write(f"{base}/config.json", json.dumps(config))
        self.write(f"{base}/requirements.txt", requirements)
        manifest = {
            "type": "task-script",
            "namespace": "private-demo",
            "slug": slug,
            "version": "v1.0.0",
        }
        self.write(f"{base}/manifest.json", json.dumps(manifest))
        return self.folder / base

    def protocol(self, slug: str, steps: Sequence[Mapping[str, Any]], **fields: Any) -> Path:
        """Write a protocol; a step's ``function`` is ``SCRIPT/FUNCTION``."""
        document = {
            "protocolSchema": "v3",
            **fields,
            "steps": [self._step(dict(step)) for step in steps],
        }
        return self.write(f"protocols/{slug}/protocol.yml", json.dumps(document, indent=2)).parent

    def stepline(self, *words: object, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the command line in the project's folder, to its end."""
        return subprocess.run(
            self.command(*words),
            cwd=self.folder,
            env={**self.environ, **variables},
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )

    def start(self, *words: object, **variables: str) -> subprocess.Popen[str]:
        """Start the command line in a session of its own, and return at once."""
        return subprocess.Popen(
            self.command(*words),
            cwd=self.folder,
            env={**self.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def command(self, *words: object) -> list[str]:
        """Return the command line as words of a process."""
        return [sys.executable, "-m", "stepline", *(str(word) for word in words)]

    def record(self, out: str = "results") -> dict[str, Any]:
        """Return the record of a workflow."""
        return json.loads((self.folder / out / "workflow.json").read_text())

    def files(self, out: str = "results") -> dict[str, dict[str, Any]]:
        """Return what files.json says, by file name."""
        entries = json.loads((self.folder / out / "files.json").read_text())
        return {Path(e["file"]["fileKey"]).name: e for e in entries}

    @staticmethod
    def _step(step: dict[str, Any]) -> dict[str, Any]:
        script, _, function = step.pop("function").partition("/")
        task = {"namespace": "private-demo", "slug": script, "version": "v1.0.0"}
        return {**step, "task": {**task, "function": function}}


_PASSED_ON = ("COVERAGE_", "COV_", "PIP_", "UV_", "SSL_", "REQUESTS_CA", "HTTP", "http", "PYTHON")
