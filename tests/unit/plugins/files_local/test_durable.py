"""The durable store of a folder: what is synced when, and what upkeep leaves alone."""

import errno
import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from stepline.errors import PlatformError
from stepline.plugins.files_local.store import FolderStore
from stepline.ports.freed import Freed

CONTENT = b"abc" * 70
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NAME = f"sha256:{DIGEST}"
LONG_AGO = 1_000_000_000
HOUR_S = 3600.0


@pytest.fixture
def store(tmp_path):
    """A store that has the folders for all blobs already."""
    made = FolderStore(str(tmp_path / "store"), durable=True)
    for number in range(256):
        (tmp_path / "store" / "blobs" / f"{number:02x}").mkdir(parents=True)
    publish(made, tmp_path, b"first")
    return made


@pytest.fixture
def calls(monkeypatch):
    """What is asked of the disk, in order."""
    seen = []

    def watch(name, describe):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args: (seen.append(describe(args)), real(*args))[1])

    watch("fsync", lambda args: ("sync", os.readlink(f"/proc/self/fd/{args[0]}")))
    watch("rename", lambda args: ("rename", args[1]))
    return seen


def staged(store, tmp_path, *contents):
    area = store.staging()
    for number, content in enumerate(contents):
        path = tmp_path / f"content-{number}"
        path.write_bytes(content)
        os.utime(path, (LONG_AGO, LONG_AGO))
        area.add(str(path), move=True)
    return area


def publish(store, tmp_path, *contents):
    area = staged(store, tmp_path, *contents)
    area.publish()
    area.discard()


def blobs(store):
    return sorted(p.name for p in Path(store.path_of(DIGEST)).parents[1].rglob("*") if p.is_file())


def age(store):
    os.utime(store.path_of(DIGEST), (LONG_AGO, LONG_AGO))


def nothing_in_use(names):
    return frozenset()


def test_publish_syncs_the_file_before_and_the_folder_after_it_is_named(store, tmp_path, calls):
    area = staged(store, tmp_path, CONTENT)
    calls.clear()
    where = area.local_path(NAME)
    area.publish()
    target = store.path_of(DIGEST)
    assert calls == [("sync", where), ("rename", target), ("sync", os.path.dirname(target))]


def test_publish_of_nothing_asks_nothing_of_the_disk(store, calls):
    store.staging().publish()
    assert calls == []


def test_publish_of_many_syncs_each_folder_once_after_all_files(store, tmp_path, calls):
    area = staged(store, tmp_path, *(b"%d" % number for number in range(40)))
    calls.clear()
    area.publish()
    kinds = [kind for kind, _ in calls]
    folders = {os.path.dirname(path) for _, path in calls[40:80]}
    assert kinds == ["sync"] * 40 + ["rename"] * 40 + ["sync"] * len(folders)
    assert (sorted(path for _, path in calls[80:]), len(folders) < 40) == (sorted(folders), True)


def test_publish_of_bytes_that_are_there_writes_nothing_and_touches_them(store, tmp_path, calls):
    publish(store, tmp_path, CONTENT)
    age(store)
    inode = os.stat(store.path_of(DIGEST)).st_ino
    area = staged(store, tmp_path, CONTENT)
    calls.clear()
    area.publish()
    assert calls == [("sync", os.path.dirname(store.path_of(DIGEST)))]
    status = os.stat(store.path_of(DIGEST))
    assert (status.st_ino, status.st_mtime > LONG_AGO) == (inode, True)


def test_first_publish_syncs_every_folder_that_it_made(tmp_path, calls):
    publish(FolderStore(str(tmp_path / "home" / "store"), durable=True), tmp_path, CONTENT)
    synced = {path for kind, path in calls if kind == "sync"}
    made = ["", "home", "home/store", "home/store/blobs", f"home/store/blobs/{DIGEST[:2]}"]
    assert {os.path.normpath(tmp_path / folder) for folder in made} <= synced


def test_publish_syncs_a_new_folder_before_it_puts_bytes_there(tmp_path, calls):
    store = FolderStore(str(tmp_path / "store"), durable=True)
    publish(store, tmp_path, b"in another folder")
    area = staged(store, tmp_path, CONTENT)
    calls.clear()
    area.publish()
    blobs = str(tmp_path / "store" / "blobs")
    assert calls[0] == ("sync", blobs)
    assert [path for _, path in calls].count(blobs) == 1


@pytest.mark.parametrize("size", [0, len(CONTENT) - 1, len(CONTENT) + 1])
def test_publish_mends_a_blob_of_another_size(store, tmp_path, size):
    publish(store, tmp_path, CONTENT)
    os.truncate(store.path_of(DIGEST), size)
    assert not store.verify(NAME)
    publish(store, tmp_path, CONTENT)
    assert store.verify(NAME)


def test_verify_finds_changed_and_missing_bytes(store, tmp_path):
    publish(store, tmp_path, CONTENT)
    assert store.verify(NAME)
    Path(store.path_of(DIGEST)).write_bytes(CONTENT[::-1])
    assert not store.verify(NAME)
    os.unlink(store.path_of(DIGEST))
    assert not store.verify(NAME)


@pytest.mark.parametrize("failing", [1, 2], ids=["file", "folder"])
def test_publish_that_could_not_sync_is_retryable_but_not_by_the_same_area(
    store, tmp_path, monkeypatch, failing
):
    area, calls = staged(store, tmp_path, CONTENT), []

    def fail(descriptor):
        calls.append(descriptor)
        if len(calls) == failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(PlatformError, match="cannot be kept") as caught:
            area.publish()
    assert (caught.value.retryable, "make room" in caught.value.hint) == (True, True)
    # Of a sync that failed once, a second one may say that all is well.
    with pytest.raises(PlatformError, match="earlier try"):
        area.publish()
    area.discard()
    assert store.verify(NAME) == (failing == 2)
    publish(store, tmp_path, CONTENT)
    assert store.verify(NAME)


def test_delete_unreferenced_removes_what_is_old_and_not_in_use(store, tmp_path):
    others = [b"used", b"young", CONTENT, b"more"]
    publish(store, tmp_path, *others)
    used, young, *gone = (hashlib.sha256(content).hexdigest() for content in others)
    first = hashlib.sha256(b"first").hexdigest()
    for digest in (used, *gone, first):
        os.utime(store.path_of(digest), (LONG_AGO, LONG_AGO))
    asked = []

    def in_use(names):
        asked.extend(names)
        return frozenset({f"sha256:{used}"})

    freed = store.delete_unreferenced(in_use, older_than_s=HOUR_S)
    assert freed == Freed(3, len(CONTENT) + len(b"more") + len(b"first"))
    assert blobs(store) == sorted([used, young])
    assert f"sha256:{young}" not in asked


def test_delete_unreferenced_of_a_dry_run_removes_nothing(store, tmp_path):
    publish(store, tmp_path, CONTENT, b"more")
    age(store)
    would = store.delete_unreferenced(nothing_in_use, older_than_s=HOUR_S, dry_run=True)
    assert store.verify(NAME)
    assert store.delete_unreferenced(nothing_in_use, older_than_s=HOUR_S) == would
    assert not store.verify(NAME)


def test_delete_unreferenced_of_many_asks_in_batches(store, tmp_path):
    publish(store, tmp_path, *(b"%d" % number for number in range(450)))
    for digest in blobs(store):
        os.utime(store.path_of(digest), (LONG_AGO, LONG_AGO))
    sizes = []
    freed = store.delete_unreferenced(
        lambda names: sizes.append(len(names)) or frozenset(), older_than_s=HOUR_S
    )
    assert (freed.count, sum(sizes), max(sizes) <= 200) == (451, 451, True)
    assert blobs(store) == []


def test_delete_unreferenced_leaves_what_was_published_again_since_it_asked(store, tmp_path):
    publish(store, tmp_path, CONTENT)
    age(store)

    def in_use(names):
        assert NAME in names
        publish(store, tmp_path, CONTENT)
        return frozenset()

    assert store.delete_unreferenced(in_use, older_than_s=HOUR_S) == Freed()
    assert store.verify(NAME)


def test_delete_unreferenced_beside_publishers_never_removes_what_they_published(store, tmp_path):
    # Two stores on one folder, as two processes have.
    other = FolderStore(str(tmp_path / "store"), durable=True)
    removed = 0
    for _ in range(150):
        publish(store, tmp_path, CONTENT)
        age(store)
        area = staged(store, tmp_path, CONTENT)
        publisher = threading.Thread(target=area.publish)
        publisher.start()
        removed += other.delete_unreferenced(nothing_in_use, older_than_s=HOUR_S).count
        publisher.join()
        assert store.verify(NAME)
    assert 0 <= removed <= 150


def test_delete_unreferenced_of_a_run_is_refused(tmp_path):
    with pytest.raises(PlatformError, match="store of a run"):
        FolderStore(str(tmp_path)).delete_unreferenced(nothing_in_use, older_than_s=0)


def test_clean_removes_staged_files_of_dead_processes_only(store, tmp_path):
    living = staged(store, tmp_path, CONTENT)
    (tmp_path / "store" / "staging" / ".staging.work-never-held").mkdir()
    script = (
        "import sys; from stepline.plugins.files_local.store import FolderStore\n"
        "area = FolderStore(sys.argv[1], durable=True).staging()\n"
        "area.add(sys.argv[2]); print('ready', flush=True); input()\n"
    )
    (tmp_path / "other").write_text("other")
    command = [sys.executable, "-c", script, str(tmp_path / "store"), str(tmp_path / "other")]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        store.clean()
        assert len(list((tmp_path / "store" / "staging").iterdir())) == 2
        process.kill()
        process.wait(10)
    store.clean()
    assert len(list((tmp_path / "store" / "staging").iterdir())) == 1
    living.publish()
    assert store.verify(NAME)
