"""Cleaning a service while it works: what nobody needs goes, and nothing else."""

import io
import os
import threading
import time
from pathlib import Path

import pytest

from stepline.errors import ArtifactNotFound, UserError
from stepline.model.artifact import ArtifactKind, ArtifactName
from stepline.model.pipeline import PipelineStatus
from stepline.model.workflow import WorkflowStatus
from stepline.ports.freed import Freed
from tests.support.services import RunningService, wait_for

DAY_S = 24 * 3600.0
KINDS = {"uploads", "logs", "environments", "code", "blobs"}
SAY = "def work(input, context):\n    print('said')\n    return 1\n"
WAIT = """
import os, time

def work(input, context):
    end = time.monotonic() + 60
    while not os.path.exists({path!r}) and time.monotonic() < end:
        time.sleep(0.02)
    import json.tool
    return json.tool.__name__
"""


@pytest.fixture
def running(tmp_path):
    """A service with a cache of its own."""
    made = RunningService(tmp_path / "home", cache=tmp_path / "cache")
    yield made
    made.stop()


def clean(running, *, days=0.0, **options):
    """Clean; return what each kind freed."""
    before = time.time() - days * DAY_S
    found = dict(running.service.cleaning.clean(before=before, **options))
    assert set(found) == KINDS
    assert all(isinstance(each, Freed) for each in found.values()), found
    return found


def age(*paths, days=7.0):
    for path in paths:
        os.utime(path, (time.time() - days * DAY_S,) * 2)


def blob_paths(running):
    return {path for path in (running.home / "files" / "blobs").glob("*/*") if path.is_file()}


def age_cache(running):
    age(*running.home.parent.glob("cache/*/*.used"))


def folders(running, kind):
    return [each for each in (running.home.parent / "cache" / kind).iterdir() if each.is_dir()]


def stray(running, content=b"nobody's"):
    """Publish bytes that nothing refers to; return where they are."""
    before = blob_paths(running)
    source = running.home.parent / "stray"
    source.write_bytes(content)
    staging = running.service.store.staging()
    staging.add(str(source), move=True)
    staging.publish()
    (path,) = blob_paths(running) - before
    return path


def test_clean_removes_old_blobs_that_nothing_refers_to(running):
    deleted = running.upload("a.txt", b"deleted")
    running.upload("b.txt", b"replaced")
    running.upload("b.txt", b"new")
    running.service.files.delete(deleted.pointer.file_id)
    kept, old, young = blob_paths(running), stray(running), stray(running, b"young")
    age(*kept, old)
    assert clean(running, dry_run=True)["blobs"] == Freed(1, len(b"nobody's"))
    assert blob_paths(running) == {*kept, old, young}
    assert clean(running)["blobs"] == Freed(1, len(b"nobody's"))
    assert blob_paths(running) == {*kept, young}
    assert running.content(deleted) == b"deleted"


def test_clean_keeps_archives_of_moved_and_deleted_versions(running):
    pipeline = running.simple("say", SAY)
    archives = blob_paths(running)
    name = ArtifactName(ArtifactKind.TASK_SCRIPT, "private-demo", "say", "v1.0.0")
    running.service.delete_artifact(name, force=True)
    age(*archives)
    age_cache(running)
    found = clean(running)
    assert (found["blobs"], blob_paths(running)) == (Freed(), archives)
    assert pipeline is not None


def test_clean_removes_logs_of_workflows_that_ended_long_ago(running):
    running.simple("say", SAY)
    for path in ("a.txt", "b.txt"):
        running.upload(path, path.encode())
    first, second = running.ended(2)
    age(*(running.home / "logs").glob(f"*/{first.id}/*"))
    assert clean(running, days=1)["logs"] == Freed()  # the workflows ended just now
    size = sum(path.stat().st_size for path in (running.home / "logs").glob("*/*/*"))
    found = clean(running, days=0)["logs"]
    assert found == Freed(2, size)
    for stored in (first, second):
        assert running.service.workflows.log(stored.id, step=0, attempt=1).lines == ()
        assert running.service.workflows.get(stored.id).status is WorkflowStatus.COMPLETED
        assert len(running.service.workflows.details(stored.id).attempts) == 1


def test_clean_keeps_what_a_running_workflow_needs(running, tmp_path):
    go_on = tmp_path / "go-on"
    pipeline = running.simple("wait", WAIT.format(path=str(go_on)))
    running.upload()
    wait_for(lambda: running.workflows(statuses=(WorkflowStatus.IN_PROGRESS,)))
    # Nothing is published any more, and all of it looks old.
    name = ArtifactName(ArtifactKind.TASK_SCRIPT, "private-demo", "wait", "v1.0.0")
    running.service.delete_artifact(name, force=True)
    age_cache(running)
    before = folders(running, "environments")
    assert clean(running)["environments"] == Freed()
    assert folders(running, "environments") == before
    go_on.touch()
    (ended,) = running.ended(1)
    assert (ended.status, ended.state["output"]) == (WorkflowStatus.COMPLETED, "json.tool")
    assert running.service.pipelines.get(pipeline.id).id == pipeline.id


def test_clean_keeps_what_a_waiting_workflow_needs_after_a_restart(tmp_path):
    first = RunningService(tmp_path / "home", cache=tmp_path / "cache")
    pipeline = first.simple("say", SAY)
    first.service.pipelines.set_status(pipeline.id, PipelineStatus.PAUSED)
    first.upload()
    name = ArtifactName(ArtifactKind.TASK_SCRIPT, "private-demo", "say", "v1.0.0")
    first.service.delete_artifact(name, force=True)
    first.stop()
    second = RunningService(tmp_path / "home", cache=tmp_path / "cache")
    try:
        age_cache(second)
        found = clean(second)
        assert (found["environments"], found["code"]) == (Freed(), Freed())
        assert (len(folders(second, "environments")), len(folders(second, "code"))) == (1, 2)
    finally:
        second.stop()


def test_clean_removes_copies_and_environments_that_are_published_no_more(running):
    running.simple("say", SAY)
    running.upload("a.txt")
    running.ended(1)
    age_cache(running)
    found = clean(running)
    assert (found["environments"], found["code"]) == (Freed(), Freed())
    for kind, version in ((ArtifactKind.PROTOCOL, "v1.0.0"), (ArtifactKind.TASK_SCRIPT, "v1.0.0")):
        name = ArtifactName(kind, "private-demo", "say", version)
        running.service.delete_artifact(name, force=True)
    age_cache(running)
    found = clean(running)
    assert found["environments"].count == 1
    assert found["environments"].bytes > 0
    assert found["code"].count == 2
    assert (folders(running, "environments"), folders(running, "code")) == ([], [])


def test_clean_keeps_the_environment_that_another_service_on_the_cache_has_in_use(
    running, tmp_path
):
    running.simple("say", SAY)
    running.upload("a.txt")
    running.ended(1)
    other = RunningService(tmp_path / "other", cache=tmp_path / "cache")
    try:
        age_cache(running)
        found = clean(other)
        # The copy of the protocol goes, which is in memory and can be made anew.
        assert (found["environments"], found["code"].count) == (Freed(), 1)
    finally:
        other.stop()
    running.upload("b.txt", b"two")
    assert {each.status for each in running.ended(2)} == {WorkflowStatus.COMPLETED}


def test_workflow_is_retried_after_its_copies_and_environment_were_removed(running, tmp_path):
    works = tmp_path / "works"
    main = f"import os\ndef work(input, context):\n    return open({str(works)!r}).read()\n"
    running.simple("read", main)
    running.upload("a.txt")
    (failed,) = running.ended(1)
    assert failed.status is WorkflowStatus.FAILED
    name = ArtifactName(ArtifactKind.TASK_SCRIPT, "private-demo", "read", "v1.0.0")
    running.service.delete_artifact(name, force=True)
    age_cache(running)
    found = clean(running)
    assert (found["environments"].count, found["code"].count) == (1, 1)
    works.write_text("yes")
    running.service.workflows.retry(failed.id)
    (ended,) = running.ended(1)
    assert (ended.status, ended.state["output"]) == (WorkflowStatus.COMPLETED, "yes")


def test_file_that_arrives_during_cleaning_is_never_lost(running):
    """Bytes that are there already, unreferenced and old, come again while they are removed."""
    stop, faults = threading.Event(), []

    def keep_cleaning():
        while not stop.is_set():
            faults.extend(
                each
                for _, each in running.service.cleaning.clean(before=0.0)
                if isinstance(each, str)
            )

    cleaner = threading.Thread(target=keep_cleaning)
    cleaner.start()
    records = []
    for number in range(60):
        age(stray(running, b"%d" % number))
        records.append(running.upload(f"{number}.txt", b"%d" % number))
    stop.set()
    cleaner.join(30)
    assert faults == []
    assert [running.content(each) for each in records] == [b"%d" % n for n in range(60)]


def test_upload_in_parts_that_is_finished_but_no_file_yet_keeps_its_bytes(running):
    uploads = running.service.store.uploads
    upload_id = uploads.begin(None, {"path": "a.txt"})
    uploads.append(upload_id, 0, source=io.BytesIO(b"bytes"))
    uploads.finish(upload_id)
    age(*blob_paths(running))
    assert clean(running)["blobs"] == Freed()
    folder = running.home / "files" / "uploads" / upload_id
    age(*folder.iterdir(), folder, days=8)
    found = clean(running)
    assert (found["uploads"].count, found["blobs"].count) == (1, 1)


def test_second_cleaning_at_once_is_refused_and_the_next_is_not(running):
    first = running.service.cleaning.clean(before=0.0)
    next(first)
    with pytest.raises(UserError, match="another cleaning is under way"):
        next(running.service.cleaning.clean(before=0.0))
    first.close()
    clean(running)


def test_verify_names_damaged_and_missing_blobs_with_their_files(running):
    running.simple("say", SAY)
    records = [running.upload(f"{n}.txt", b"content %d" % n) for n in range(3)]
    paths = [running.service.store.local_path(each.blob) for each in records]
    twin = running.upload("twin.txt", b"content 0")
    assert {each.problem for each in running.service.cleaning.verify()} == {""}
    Path(paths[0]).write_bytes(b"CONTENT 0")
    os.unlink(paths[1])
    found = {each.blob: each for each in running.service.cleaning.verify() if each.problem}
    assert {blob: each.problem for blob, each in found.items()} == {
        records[0].blob: "damaged",
        records[1].blob: "missing",
    }
    users = found[records[0].blob].users
    assert [each.pointer for each in users.files] == [records[0].pointer, twin.pointer]
    assert users.total == 2


def test_verify_of_chosen_files_reads_only_those(running):
    good, bad = running.upload("a.txt", b"good"), running.upload("b.txt", b"bad")
    os.unlink(running.service.store.local_path(bad.blob))
    verify = running.service.cleaning.verify
    assert [each.problem for each in verify([good.pointer.file_id])] == [""]
    assert [each.problem for each in verify([bad.pointer.file_id])] == ["missing"]
    with pytest.raises(ArtifactNotFound, match="no file with the id 'none'"):
        verify(["none"])


def test_verify_names_the_version_whose_archive_is_damaged(running):
    running.simple("say", SAY)
    (archive,) = [path for path in blob_paths(running) if b"main.py" in path.read_bytes()]
    archive.write_bytes(b"x" * archive.stat().st_size)
    (found,) = [each for each in running.service.cleaning.verify() if each.problem]
    assert (found.problem, list(found.users.files)) == ("damaged", [])
    assert [str(name) for name in found.users.artifacts] == ["private-demo/say:v1.0.0"]
