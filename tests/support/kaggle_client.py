"""The real Kaggle client, both lines, in environments that are made once."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import uv

KEY = "0123456789abcdef-key"
PINS = {"2.2": ["kaggle==2.2.4", "six==1.17.0"], "1.6": ["kaggle==1.6.17", "six==1.17.0"]}


@dataclass(frozen=True)
class Client:
    """The real command of one line, and a home folder of its own."""

    line: str
    command: Path
    home: Path

    def __call__(self, kaggle, *arguments, cwd=None):
        """Run a command such as ``datasets list`` against a stand-in; bounded to a minute."""
        env = kaggle.env if self.line == "2.2" else kaggle.env_legacy
        own = {"HOME": str(self.home), "TMPDIR": str(self.home), "PATH": os.defpath}
        credentials = {"KAGGLE_USERNAME": "me", "KAGGLE_KEY": KEY}
        return subprocess.run(
            [self.command, *arguments],
            cwd=cwd,
            env=own | credentials | env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def installed(line, cache):
    """Return the command of one line, from an environment made once."""
    folder = Path(cache.mkdir(f"kaggle-{line}"))
    ready = folder / "ready.json"
    if not ready.exists() or json.loads(ready.read_text()) != [sys.version, *PINS[line]]:
        run_uv("venv", "--quiet", "--clear", "--python", sys.executable, folder / "venv")
        python = folder / "venv/bin/python"
        run_uv("pip", "install", "--quiet", "--python", python, *PINS[line])
        ready.write_text(json.dumps([sys.version, *PINS[line]]))
    return folder / "venv/bin/kaggle"


def run_uv(*arguments):
    done = subprocess.run(
        [uv.find_uv_bin(), *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"uv {arguments[0]} failed: {done.stderr.strip()}")
