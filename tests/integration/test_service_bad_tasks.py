"""Task scripts that never end, or never stop printing: told clearly, and nobody else suffers."""

import time

import pytest

from tests.support.projects import Project
from tests.support.served import Served, is_alive, wait_for

ENDLESS = """
import os, signal, subprocess, sys, time
def work(input, context):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print("pids", os.getpid(), child.pid, flush=True)
    while True:
        time.sleep(1)
"""
FLOOD = """
import sys
def work(input, context):
    line = "x" * 1023 + "\\n"
    print("first")
    for _ in range(100 * 1024):
        sys.stdout.write(line)
    print("last")
    return "done"
"""
ONE_LINE = """
import sys
def work(input, context):
    for _ in range(100):
        sys.stdout.write("y" * 1024 * 1024)
    return "done"
"""
QUICK = "def work(input, context):\n    return 'quick'\n"
FILE = {"file": "$( workflow.inputFile )"}


@pytest.fixture
def served(tmp_path, stepline_cache):
    """A service with nothing in it."""
    service = Served(Project(tmp_path, stepline_cache), "--workers", 2)
    yield service
    service.stop()


def limited(served, slug, main, **options):
    """Publish a protocol of one step with limits, and its pipeline."""
    served.put_script(slug, main, ["work"])
    step = {"id": "work", "function": f"{slug}/work", "input": FILE, "options": options}
    served.put_protocol(slug, [step])
    served.pipeline(slug, trigger=f"sourceType is {slug}")


def test_task_that_never_ends_is_ended_and_says_so(served):
    limited(served, "endless", ENDLESS, timeoutInSec=2)
    limited(served, "quick", QUICK)
    for number in range(3):
        served.upload(f"{number}.txt", "x", sourceType="endless")
    served.upload("quick.txt", "x", sourceType="quick")
    runs = served.ended(4)
    stuck, (quick,) = runs[:3], runs[3:]
    assert quick["output"]["result"] == "quick"
    for workflow in stuck:
        (attempt,) = workflow["tasks"][0]["attempts"]
        assert (workflow["status"], attempt["kind"]) == ("failed", "timed-out")
        assert "2 s" in workflow["output"]["error"]
        (line,) = served.log(workflow["id"])
        pids = [int(each) for each in line.split()[1:]]
        wait_for(lambda pids=pids: not any(is_alive(pid) for pid in pids))


@pytest.mark.parametrize("main", [FLOOD, ONE_LINE], ids=["lines", "one line"])
def test_log_of_100_mb_is_capped_and_memory_stays_bounded(served, main):
    limited(served, "flood", main)
    before = served.memory_kib()
    served.upload("a.txt", "x", sourceType="flood")
    (workflow,) = served.ended(1)
    assert (workflow["status"], workflow["output"]["result"]) == ("completed", "done")
    assert served.memory_kib() - before < 64 * 1024
    logs = list((served.home / "logs").rglob("*.jsonl"))
    assert sum(path.stat().st_size for path in logs) < 25 * 1024 * 1024
    lines, complete = whole_log(served, workflow["id"])
    assert complete
    assert sum(map(len, lines)) <= 11 * 1024 * 1024
    assert "dropped" in lines[-1]


def whole_log(served, workflow_id):
    """Read a log page by page, as a follower does."""
    lines, after = [], 0
    for _ in range(1000):
        page = served.get(f"/workflow/{workflow_id}/log", step=0, after=after)
        lines += [each["text"] for each in page["lines"]]
        after = page["after"]
        if page["complete"] or not page["lines"]:
            break
    return lines, page["complete"]


def test_flood_does_not_hold_up_others(served):
    limited(served, "flood", FLOOD)
    limited(served, "quick", QUICK)
    served.upload("a.txt", "x", sourceType="flood")
    began = time.monotonic()
    served.upload("b.txt", "x", sourceType="quick")

    def is_done():
        return [w["status"] for w in served.workflows(pipelineId="quick")] == ["completed"]

    wait_for(is_done, within_s=10.0)
    assert time.monotonic() - began < 10.0
    served.ended(2)
