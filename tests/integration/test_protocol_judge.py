"""The verdicts that are kept are still those of the public protocol compiler itself.

It is installed into an environment of its own, once. With STEPLINE_RECORD_JUDGE=1 its verdicts are
written down anew.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conformance import judge
from tests.conformance.protocol_cases import protocol_cases
from tests.support.client_environments import locked_environment

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.judge, pytest.mark.slow]


@pytest.fixture
def python(pytestconfig):
    """The interpreter of an environment that has the compiler."""
    if shutil.which("npm") is None:
        pytest.skip("npm is missing, which the compiler's JavaScript engine is installed with")
    return locked_environment(pytestconfig, "judge")


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
