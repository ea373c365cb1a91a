"""Files that come in watched folders: very many at once, and ones that are still being written."""

import json
import os
import time
from collections import Counter

import pytest

from tests.support.projects import Project
from tests.support.served import Served, wait_for

# STEPLINE_DROPPED=10000 drops as many as an instrument does that was cut off for a day.
DROPPED = int(os.environ.get("STEPLINE_DROPPED", "2000"))
WITHIN_S = 60.0 + DROPPED / 10
COUNT = """
def work(input, context):
    return len(context.read_file(context.input_file)["body"])
"""


@pytest.fixture
def watching(tmp_path, stepline_cache):
    """Start services over one home that watch the folder ``inbox``."""
    project = Project(tmp_path, stepline_cache)
    (tmp_path / "inbox").mkdir()
    started = []

    def start(*words):
        started.append(Served(project, "--watch", tmp_path / "inbox", *words))
        return started[-1]

    yield start
    for service in started:
        service.stop()


def raw(served):
    """All RAW files by path below their folder."""
    found, after = [], 0
    while True:
        page = served.get("/files", limit=1000, after=after)
        found += [each for each in page["items"] if each["category"] == "RAW"]
        after = page["after"]
        if not after:
            return found


def test_file_that_is_still_written_is_taken_when_it_is_closed(watching, tmp_path):
    served = watching()
    served.simple("count", COUNT)
    with (tmp_path / "inbox" / "slow.bin").open("wb") as file:
        for _ in range(8):
            file.write(b"x" * 1000)
            file.flush()
            time.sleep(0.25)
            assert raw(served) == []
    (workflow,) = served.ended(1)
    assert workflow["output"]["result"] == 8000
    (record,) = raw(served)
    assert record["size"] == 8000
    assert len(served.get(f"/files/{record['fileId']}/versions")["items"]) == 1


def test_file_that_is_written_over_a_restart_is_taken_once_and_whole(watching, tmp_path):
    first = watching()
    first.simple("count", COUNT)
    with (tmp_path / "inbox" / "slow.bin").open("wb") as file:
        file.write(b"x" * 1000)
        file.flush()
        first.kill()
        second = watching()
        time.sleep(1.0)
        assert raw(second) == []
        file.write(b"y" * 1000)
    (workflow,) = second.ended(1)
    assert workflow["output"]["result"] == 2000
    assert second.stop() == 0
    third = watching()
    time.sleep(0.5)
    assert len(third.workflows()) == len(raw(third)) == 1


@pytest.mark.slow
def test_files_dropped_at_once_are_all_taken_and_each_once(watching, tmp_path):
    served = watching("--isolation", "reuse")
    served.simple("count", COUNT)
    names = drop(tmp_path / "inbox", count=DROPPED)
    wait_for(lambda: completed(served) == DROPPED, within_s=WITHIN_S, every_s=0.3)
    check_all(served, names)
    assert (served.health["status"], served.health["faults"]) == ("ok", [])
    assert served.memory_kib() < 250 * 1024
    assert served.stop() == 0


@pytest.mark.slow
def test_files_dropped_while_the_service_is_killed_are_all_taken_and_each_once(watching, tmp_path):
    served = watching("--isolation", "reuse")
    served.simple("count", COUNT)
    count = DROPPED // 4
    names = drop(tmp_path / "inbox", count=count)
    for _ in range(3):
        wait_for_more(served)
        served.kill()
        served = watching("--isolation", "reuse")
    wait_for(lambda: completed(served) == count, within_s=WITHIN_S, every_s=0.3)
    check_all(served, names)


def drop(folder, *, count):
    """Write very many small files; return their sizes by name."""
    names = {f"{number:05}.txt": number % 100 + 1 for number in range(count)}
    for name, size in names.items():
        (folder / name).write_bytes(b"x" * size)
    return names


def completed(served):
    return served.get("/workflow/search", filter="completed", size=1)["totalCount"]


def wait_for_more(served):
    before = completed(served)
    wait_for(lambda: completed(served) > before)


def check_all(served, names):
    """Check that each file was taken once, and each made one workflow that read all of it."""
    records = raw(served)
    taken = Counter(each["filePath"].rpartition("/")[2] for each in records)
    assert taken == Counter(names.keys())
    assert {each["size"] for each in records} == set(names.values())
    assert completed(served) == served.get("/workflow/search", size=1)["totalCount"] == len(names)
    for record in records[:: len(names) // 50]:
        fired = [each["decision"] for each in served.decisions(record["fileId"])]
        assert fired == ["fired"], json.dumps(record)
        versions = served.get(f"/files/{record['fileId']}/versions")["items"]
        assert len(versions) == 1
