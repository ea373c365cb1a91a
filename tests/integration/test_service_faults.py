"""A service whose machine fails it: clear words, and nothing lost once that is mended."""

import os
import shutil
import signal
import subprocess
import time
import zipfile

import pytest

from tests.support.projects import Project
from tests.support.served import ENDED, Served, wait_for

WRITE = """
def work(input, context):
    data = context.read_file(context.input_file)["body"]
    return context.write_file(data, "copy.bin", "PROCESSED")["fileId"]
"""
WAITING = """
import pathlib, time
def work(input, context):
    print("begun", flush=True)
    gate = pathlib.Path({gate!r})
    for _ in range(1200):
        if gate.exists():
            return "done"
        time.sleep(0.05)
"""
FAIL = """
import pathlib
def work(input, context):
    print("begun", flush=True)
    if not pathlib.Path({gate!r}).exists():
        raise ValueError("no good")
"""
LARGE = """
def work(input, context):
    size = int(open({size!r}).read())
    context.write_file(b"x" * size, "large.bin", "PROCESSED")
"""


@pytest.fixture
def project(tmp_path, stepline_cache):
    """A folder for a home."""
    return Project(tmp_path, stepline_cache)


@pytest.fixture
def serve(project):
    """Start services over one home; those that run at the end are ended."""
    started = []

    def start(*words):
        started.append(Served(project, *words))
        return started[-1]

    yield start
    for service in started:
        service.stop()


def refused(project, *words):
    """Start a service that must refuse to; return what it says."""
    result = project.stepline("serve", "--port", 0, *words)
    assert result.returncode in (2, 3), result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    assert "serves" not in result.stdout
    return result.stderr


# The home.


def test_second_service_on_a_home_is_refused_and_names_the_first(serve, project):
    served = serve()
    before = (served.home / "auth.json").read_bytes()
    said = refused(project)
    assert f"in use by process {served.process.pid}" in said
    assert (served.home / "auth.json").read_bytes() == before
    assert served.health["status"] == "ok"
    assert served.upload("a.txt", "x")["size"] == 1


@pytest.mark.parametrize("content", [b"this is no database" * 1000, None], ids=["other", "torn"])
def test_damaged_database_is_refused_and_not_overwritten(serve, project, content):
    served = serve()
    served.upload("a.txt", "x")
    assert served.stop() == 0
    path = served.home / "state.db"
    if content is None:
        whole = path.read_bytes()
        content = os.urandom(100) + whole[100:4096] + os.urandom(len(whole) - 4096)
    path.write_bytes(content)
    said = refused(project)
    assert "state.db" in said
    assert "damaged" in said
    assert "put back a copy of it from before" in said
    assert path.read_bytes() == content


def test_database_that_was_cut_short_is_told_at_once(serve, project):
    served = serve()
    served.upload("a.txt", "x")
    assert served.stop() == 0
    path = served.home / "state.db"
    content = path.read_bytes()[: 8 * 4096]
    path.write_bytes(content)
    assert "damaged" in refused(project)
    assert path.read_bytes() == content


@pytest.fixture
def read_only(project):
    """A folder that nobody may write: by its mode, or for root by its mount."""
    shelf = project.folder / "shelf"
    shelf.mkdir(mode=0o555)
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "none", str(shelf)]
    mounted = not subprocess.run(mount, capture_output=True, check=False).returncode
    if os.access(shelf, os.W_OK):
        pytest.skip("this machine lets root write everywhere")
    yield shelf
    if mounted:
        subprocess.run(["umount", str(shelf)], check=True, timeout=60)


@pytest.mark.parametrize("inner", [".", "new"], ids=["there", "to be made"])
def test_read_only_home_is_refused_with_its_name(project, read_only, inner):
    said = refused(project, "--home", read_only / inner)
    assert "shelf" in said
    assert "hint: " in said
    assert os.listdir(read_only) == []


# Ends.


def test_sigterm_in_the_middle_of_work_ends_soon_and_work_goes_on(serve, project):
    served = serve("--workers", 2)
    gate = project.folder / "gate"
    served.simple("waiting", WAITING.format(gate=str(gate)))
    for number in range(5):
        served.upload(f"{number}.txt", "x")
    wait_for(lambda: begun(served) == 2)
    began = time.monotonic()
    assert served.stop() == 0
    assert time.monotonic() - began < 10.0
    gate.touch()
    again = serve("--workers", 2)
    runs = again.ended(5)
    assert [each["output"]["result"] for each in runs] == ["done"] * 5
    # The attempts that were ended are the same ones, made again: no retry was used up.
    assert [len(each["tasks"][0]["attempts"]) for each in runs] == [1] * 5


def begun(served):
    found = [each for each in served.workflows() if each["status"] == "in-progress"]
    return sum(served.log(each["id"]) == ["begun"] for each in found)


def test_sigterm_twice_and_sigint_end_orderly(serve):
    served = serve()
    served.process.send_signal(signal.SIGTERM)
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(20) == 0
    again = serve()
    again.process.send_signal(signal.SIGINT)
    assert again.process.wait(20) == 0
    assert "Traceback" not in served.said + again.said


# The disk.


@pytest.fixture
def small_disk(project):
    """Mount a disk of 24 MB at the home; give the file that fills it."""
    home = project.folder / ".stepline"
    home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "none", str(home)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount")
    yield home / "ballast"
    subprocess.run(["umount", str(home)], check=True, timeout=60)


@pytest.fixture
def on_small_disk(small_disk, project):
    """A service on the small disk."""
    service = Served(project)
    yield service
    service.stop()


def fill(ballast, *, leave=0):
    """Fill the disk to its last byte, or but for some."""
    with ballast.open("ab", buffering=0) as file:
        if leave:
            room = os.statvfs(ballast.parent)
            file.write(bytes(room.f_bavail * room.f_frsize - leave))
            return
        try:
            while True:
                file.write(bytes(65536))
        except OSError:
            pass
        try:
            while True:
                file.write(b"x")
        except OSError:
            pass


def test_full_disk_refuses_uploads_clearly_and_loses_nothing(on_small_disk, small_disk):
    served = on_small_disk
    served.simple("copy", WRITE)
    kept = served.upload("kept.bin", b"k" * 1000)
    served.ended(1)
    fill(small_disk)
    message = served.refused("POST", "/files?path=lost.bin", 503, content=b"l" * 100_000)
    assert "No space left on device" in message
    assert served.http.get(f"/files/{kept['fileId']}/content").content == b"k" * 1000
    assert served.health["status"] == "degraded"
    (fault,) = served.health["faults"]
    assert "is full: 0 bytes are free" in fault
    small_disk.unlink()
    served.upload("later.bin", b"l" * 100_000)
    runs = served.ended(2)
    assert [each["status"] for each in runs] == ["completed"] * 2
    wait_for(lambda: served.health["status"] == "ok")


def test_disk_that_fills_in_the_middle_of_work_loses_no_workflow(
    on_small_disk, small_disk, project
):
    served = on_small_disk
    gate = project.folder / "gate"
    served.simple("waiting", WAITING.format(gate=str(gate)))
    files = [served.upload(f"{number}.txt", "x") for number in range(4)]
    wait_for(lambda: begun(served) > 0)
    fill(small_disk)
    gate.touch()
    time.sleep(3.0)
    assert served.process.poll() is None
    assert served.http.get("/workflow/search").status_code == 200
    small_disk.unlink()
    runs = served.ended(4, within_s=90.0)
    assert [each["status"] for each in runs] == ["completed"] * 4
    assert {each["inputFileId"] for each in runs} == {each["fileId"] for each in files}
    assert all(each["status"] in ENDED for each in served.workflows())


def test_nearly_full_disk_keeps_what_comes_and_attempts_it_when_there_is_room(
    on_small_disk, small_disk
):
    served = on_small_disk
    served.simple("copy", WRITE)
    fill(small_disk, leave=5_000_000)
    record = served.upload("small.bin", b"s" * 1000)
    time.sleep(1.0)
    (workflow,) = served.workflows()
    assert served.get(f"/workflow/{workflow['id']}")["tasks"][0]["attempts"] == []
    assert served.health["status"] == "degraded"
    small_disk.unlink()
    (workflow,) = served.ended(1)
    assert (workflow["status"], workflow["inputFileId"]) == ("completed", record["fileId"])


def test_task_that_fills_the_disk_fails_clearly_and_can_be_retried(on_small_disk, project):
    served = on_small_disk
    size = project.folder / "size"
    served.simple("large", LARGE.format(size=str(size)))
    size.write_text("100000000")
    served.upload("a.txt", "x")
    (failed,) = served.ended(1)
    assert failed["status"] == "failed"
    assert "No space left" in failed["output"]["error"]
    assert served.health["status"] == "ok"
    assert failed["files"] == []
    size.write_text("1000")
    served.run("workflow", "retry", failed["id"])
    wait_for(lambda: served.get(f"/workflow/{failed['id']}")["status"] == "completed")
    assert len(served.get(f"/workflow/{failed['id']}")["files"]) == 1


# What was published.


def damage_protocol(served):
    """Overwrite the archive of the protocol ``work``, and remove what was unpacked of it."""
    wanted = [path for path in (served.home / "files").rglob("*") if holds_protocol(path)]
    assert wanted
    for path in wanted:
        path.chmod(0o600)
        path.write_bytes(b"damaged")
    code = served.project.cache
    subprocess.run(["chmod", "-R", "u+w", str(code)], check=True, timeout=60)
    shutil.rmtree(code)


def holds_protocol(path):
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        return "protocol.yml" in names and b'"slug": "work"' in archive.read("protocol.yml")


RETRIED = {"behavior": "constant", "base_delay_s": 4, "max_retries": 2}


@pytest.mark.parametrize("main", [WAITING, FAIL], ids=["queued", "to be retried"])
def test_damaged_archive_fails_its_workflows_alone_and_they_can_be_retried(
    serve, project, tmp_path, main
):
    project.cache = tmp_path / "own-cache"
    project.environ["STEPLINE_CACHE_DIR"] = str(project.cache)
    served = serve("--workers", 1)
    gate = project.folder / "gate"
    served.simple("work", main.replace("{gate!r}", repr(str(gate))), retry=RETRIED)
    served.simple("quick", "def work(i, c): return 1\n", trigger="sourceType is quick")
    served.upload("a.txt", "x")
    wait_for(lambda: served.log(served.workflows()[0]["id"])[:1] == ["begun"])
    assert served.stop() == 0
    damage_protocol(served)
    again = serve("--workers", 1)
    again.upload("b.txt", "x", sourceType="quick")
    runs = {each["pipelineName"]: each for each in again.ended(2)}
    assert runs["quick"]["status"] == "completed"
    assert runs["work"]["status"] == "failed"
    assert "is damaged" in runs["work"]["output"]["error"]
    gate.touch()
    again.run("put", "protocol", "private-demo", "work", "v1.0.0", "protocols/work", "-f")
    again.run("workflow", "retry", runs["work"]["id"])
    wait_for(lambda: again.get(f"/workflow/{runs['work']['id']}")["status"] == "completed")
