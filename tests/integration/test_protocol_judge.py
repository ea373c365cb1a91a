"""The verdicts that are kept are still those of the public protocol compiler itself.

It is installed into an environment of its own, once. With STEPLINE_RECORD_JUDGE=1 its verdicts are
written down anew.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import uv

from tests.conformance import judge
from tests.conformance.protocol_cases import protocol_cases

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements/judge.txt"

pytestmark = [pytest.mark.judge, pytest.mark.slow]


@pytest.fixture
def python(pytestconfig):
    """The interpreter of an environment that has the compiler."""
    if shutil.which("npm") is None:
        pytest.skip("npm is missing, which the compiler's JavaScript engine is installed with")
    folder = Path(pytestconfig.cache.mkdir("judge"))
    ready, wanted = folder / "ready", sys.version + REQUIREMENTS.read_text()
    if not ready.exists() or ready.read_text() != wanted:
        run_uv("venv", "--quiet", "--clear", "--python", sys.executable, folder / "venv")
        target = folder / "venv/bin/python"
        run_uv("pip", "install", "--quiet", "--python", target, "-r", REQUIREMENTS)
        ready.write_text(wanted)
    return folder / "venv/bin/python"


def run_uv(*arguments):
    done = subprocess.run(
        [uv.find_uv_bin(), *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"uv {arguments[0]} failed: {done.stderr.strip()}")


def ask(python, cases):
    done = subprocess.run(
        [python, ROOT / "tests/conformance/judge_process.py"],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_judge_asked_now_gives_the_kept_verdicts(python):
    cases = protocol_cases()
    verdicts = ask(python, cases)
    if os.environ.get("STEPLINE_RECORD_JUDGE") == "1":
        judge.record(cases, verdicts)
    assert verdicts == judge.recorded(cases)
