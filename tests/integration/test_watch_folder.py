"""A watched folder, with real events of the file system: nothing missed, nothing half-written."""

import os
import subprocess
import threading
import time
from collections import Counter

import pytest

from stepline.errors import PlatformError
from stepline.plugins.watch_folder.delivery import Timing
from stepline.plugins.watch_folder.watcher import FolderWatch

FAST = Timing(settle_s=0.2, created_s=0.1, retry_s=0.05, retry_max_s=0.2, absent_s=0.1)
LONG_S = 30


class Taker:
    """Takes files, and reads them at once, as whoever must not get half of one."""

    def __init__(self):
        self.files = []
        self.groups = []
        self.contents = {}
        self.faults = []
        self.pause_s = 0.0
        self.changed = threading.Condition()

    def __call__(self, files):
        time.sleep(self.pause_s)
        with self.changed:
            if self.faults:
                raise self.faults.pop()
            self.groups.append(len(files))
            self.files.extend(files)
            for file in files:
                with open(file.path, "rb") as opened:
                    self.contents[file.relative] = opened.read()
            self.changed.notify_all()

    def wait_for(self, condition, seconds=LONG_S):
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self), seconds), self.names()

    def wait_for_names(self, *names):
        self.wait_for(lambda taker: taker.names() >= set(names))

    def names(self):
        return {file.relative for file in self.files}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "drop"
    path.mkdir()
    return path


@pytest.fixture
def side(tmp_path):
    """Another folder of the same file system."""
    path = tmp_path / "side"
    path.mkdir()
    return path


@pytest.fixture
def taker():
    return Taker()


@pytest.fixture
def watch(folder, taker):
    """Make a watcher that is stopped at the end."""
    made = []

    def make(timing=FAST, start=True, **options):
        made.append(FolderWatch(folder, taker, timing=timing, **options))
        if start:
            made[-1].start()
        return made[-1]

    yield make
    for each in made:
        each.stop()


def until(condition, seconds=LONG_S):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not come about"
        time.sleep(0.01)


def test_watch_file_that_is_closed_is_offered_at_once(folder, taker, watch):
    watch()
    times = []
    for number in range(20):
        (folder / f"{number}.csv").write_bytes(b"x" * 100)
        closed = time.monotonic()
        taker.wait_for_names(f"{number}.csv")
        times.append(time.monotonic() - closed)
    status = (folder / "7.csv").stat()
    [file] = [each for each in taker.files if each.relative == "7.csv"]
    assert (file.path, file.size, file.inode) == (str(folder / "7.csv"), 100, status.st_ino)
    assert file.mtime_ns == status.st_mtime_ns
    assert len({each.key for each in taker.files}) == 20
    assert sorted(times)[10] < 0.02  # some 0.5 ms where nothing else runs


def test_watch_offers_what_was_there_before(folder, taker, watch):
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "old.csv").write_text("old")
    watch()
    taker.wait_for_names("deep/er/old.csv")


@pytest.mark.parametrize("way", [os.rename, os.link], ids=["renamed", "linked"])
def test_watch_file_that_comes_whole_is_offered(folder, side, taker, watch, way):
    watch()
    (side / "in.csv").write_text("whole")
    way(side / "in.csv", folder / "in.csv")
    taker.wait_for_names("in.csv")
    assert taker.contents == {"in.csv": b"whole"}


def test_watch_link_that_lost_its_first_name_is_offered(folder, taker, watch):
    watch()
    (folder / "in.tmp").write_text("whole")
    os.link(folder / "in.tmp", folder / "in.csv")
    os.unlink(folder / "in.tmp")
    taker.wait_for_names("in.csv")


def test_watch_slow_file_is_offered_once_and_whole(folder, taker, watch):
    watch(timing=Timing(interval_s=0.1, created_s=0.05))
    with open(folder / "slow.csv", "wb", buffering=0) as file:
        for _ in range(10):
            file.write(b"0123456789")
            time.sleep(0.1)
        assert taker.files == []
    taker.wait_for_names("slow.csv")
    time.sleep(0.3)
    assert [each.size for each in taker.files] == [100]
    assert taker.contents["slow.csv"] == b"0123456789" * 10


@pytest.mark.parametrize("name", ["open.csv", "other.csv"], ids=["its name", "another name"])
def test_watch_file_open_before_the_start_is_offered_when_closed(folder, taker, watch, name):
    with open(folder / "open.csv", "wb", buffering=0) as file:
        file.write(b"half")
        watcher = watch()
        watcher.rescan()
        os.rename(folder / "open.csv", folder / name)
        time.sleep(0.3)
        assert taker.files == []
        file.write(b" and half")
    taker.wait_for_names(name)
    assert taker.contents == {name: b"half and half"}


def test_watch_file_with_a_second_writer_waits_for_both(folder, taker, watch):
    watch()
    with open(folder / "a.csv", "wb", buffering=0) as first:
        with open(folder / "a.csv", "ab", buffering=0) as second:
            second.write(b"half")
        time.sleep(0.3)
        assert taker.files == []
        first.write(b"HALF and half")
    taker.wait_for_names("a.csv")
    assert taker.contents == {"a.csv": b"HALF and half"}


def test_watch_file_written_anew_is_offered_again(folder, taker, watch):
    watch()
    (folder / "a.csv").write_text("one")
    taker.wait_for_names("a.csv")
    (folder / "a.csv").write_text("three")
    taker.wait_for(lambda taker: taker.contents["a.csv"] == b"three")
    assert len({each.key for each in taker.files}) == 2


@pytest.mark.parametrize("way", ["closed", "renamed"])
def test_watch_burst_is_offered_in_groups_none_missed(folder, side, taker, watch, way):
    watch()
    names = [f"{number}.csv" for number in range(10_000)]
    for name in names:
        ((folder if way == "closed" else side) / name).write_text(name)
        if way == "renamed":
            os.rename(side / name, folder / name)
    taker.wait_for(lambda taker: len(taker.files) >= 10_000)
    assert Counter(each.relative for each in taker.files) == dict.fromkeys(names, 1)
    assert all(content == name.encode() for name, content in taker.contents.items())
    assert max(taker.groups) <= 256


def test_watch_overflowing_queue_misses_nothing(folder, taker, watch, monkeypatch):
    watcher = watch()
    watcher.rescan()
    gate, overflows = threading.Event(), []
    real = watcher._inotify.read

    def stalled():
        assert gate.wait(LONG_S)
        events = real()
        overflows.extend(event for event in events if event.watch == -1)
        return events

    monkeypatch.setattr(watcher._inotify, "read", stalled)
    with open("/proc/sys/fs/inotify/max_queued_events") as file:
        count = int(file.read()) // 2 + 500  # two events each
    for number in range(count):
        (folder / f"{number}.csv").touch()
    (folder / "sub").mkdir()
    gate.set()
    taker.wait_for(lambda taker: len(taker.names()) == count, 60)
    assert overflows
    until(lambda: "sub" in watcher._tree._watches)
    (folder / "sub" / "after.csv").touch()
    taker.wait_for_names("sub/after.csv")


def test_watch_more_files_than_may_wait_are_found_later(folder, taker, watch):
    watch(pending=10)
    taker.faults.extend(OSError("full") for _ in range(5))
    for number in range(200):
        (folder / f"{number}.csv").touch()
    taker.wait_for(lambda taker: len(taker.names()) == 200)


def test_watch_rescan_finds_what_no_event_told(folder, taker, watch, monkeypatch):
    watcher = watch()
    watcher.rescan()
    monkeypatch.setattr(watcher, "_handle", lambda events: None)
    (folder / "sub").mkdir()
    (folder / "sub" / "a.csv").touch()
    time.sleep(0.1)
    assert taker.files == []
    watcher.rescan()
    assert taker.names() == {"sub/a.csv"}
    watcher.rescan()
    assert len(taker.files) == 1


def test_watch_without_events_looks_at_intervals(folder, taker, watch, monkeypatch):
    def refuse(*_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("stepline.plugins.watch_folder.watcher.Inotify", refuse)
    watcher = watch(timing=Timing(interval_s=0.1))
    assert "gives no events" in watcher.faults[0]
    (folder / "sub").mkdir()
    (folder / "sub" / "a.csv").touch()
    taker.wait_for_names("sub/a.csv")


def test_watch_folder_moved_in_is_watched_with_all_in_it(folder, side, taker, watch):
    watch()
    (side / "a" / "b").mkdir(parents=True)
    (side / "a" / "b" / "first.csv").touch()
    os.rename(side / "a", folder / "a")
    taker.wait_for_names("a/b/first.csv")
    (folder / "a" / "b" / "later.csv").touch()
    taker.wait_for_names("a/b/later.csv")
    os.rename(folder / "a", folder / "c")
    taker.wait_for_names("c/b/first.csv", "c/b/later.csv")
    (folder / "c" / "b" / "last.csv").touch()
    taker.wait_for_names("c/b/last.csv")


def test_watch_folder_moved_out_is_watched_no_more(folder, side, taker, watch):
    (folder / "a" / "b").mkdir(parents=True)
    watcher = watch()
    os.rename(folder / "a", side / "a")
    until(lambda: list(watcher._tree._watches) == [""])
    (side / "a" / "b" / "not.csv").touch()
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "but.csv").touch()
    taker.wait_for_names("a/b/but.csv")
    watcher.rescan()
    assert taker.names() == {"a/b/but.csv"}


def test_watch_folders_made_while_files_come_are_not_missed(folder, taker, watch):
    watch()
    names = {f"{a}/{b}/{c}.csv" for a in range(30) for b in range(3) for c in range(3)}
    for name in sorted(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    taker.wait_for_names(*names)


@pytest.mark.parametrize(
    "name", [".hidden", "a~", "a.part", "a.partial", "a.TMP", "a.crdownload", ".git/a", "b.tmp/a"]
)
def test_watch_partial_name_is_left_alone_until_renamed(folder, taker, watch, name):
    watcher = watch()
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("1")
    watcher.rescan()
    time.sleep(0.2)
    assert taker.files == []
    top = folder / name.split("/")[0]
    os.rename(top, folder / "whole")
    taker.wait_for_names("whole/a" if "/" in name else "whole")


def test_watch_other_kinds_are_told_and_not_taken(folder, side, taker, watch):
    (side / "secret").write_text("x")
    watcher = watch()
    (folder / "link").symlink_to(side / "secret")
    (folder / "links").symlink_to(side)
    os.mkfifo(folder / "pipe")
    os.close(os.open(bytes(folder) + b"/\xff", os.O_CREAT | os.O_WRONLY))
    until(lambda: len(watcher.faults) == 4)
    watcher.rescan()
    assert taker.files == []
    assert watcher.faults[0] == f"{folder}/link: is a symbolic link, which is not followed"
    assert watcher.faults[2] == f"{folder}/pipe: is not a plain file"
    assert watcher.faults[3] == f"{folder}/\\xff: its name is not in UTF-8"
    for each in folder.iterdir():
        each.unlink()
    watcher.rescan()
    assert watcher.faults == ()


def test_watch_refused_files_are_offered_again(folder, taker, watch):
    (folder / "a.csv").touch()
    taker.faults += [ValueError("no"), OSError("disk is full")]
    watcher = watch(timing=Timing(retry_s=0.5))
    until(lambda: "disk is full" in str(watcher.faults))
    assert watcher.faults == (f"{folder}: files that are not taken: 1 (OSError: disk is full)",)
    taker.wait_for_names("a.csv")
    until(lambda: not watcher.faults)
    assert len(taker.files) == 1


def test_watch_one_refused_file_does_not_hold_up_the_others(folder):
    taken = []

    def take(files):
        if any(file.relative == "100.csv" for file in files):
            raise ValueError("not this one")
        taken.extend(file.relative for file in files)

    for number in range(200):
        (folder / f"{number}.csv").touch()
    watcher = FolderWatch(folder, take, timing=FAST)
    watcher.start()
    try:
        until(lambda: len(taken) == 199 and watcher.faults)
        until(lambda: "not taken: 1 (ValueError: not this one)" in watcher.faults[0])
    finally:
        watcher.stop()


def test_watch_removed_folder_is_watched_when_it_is_back(folder, side, taker, watch):
    watcher = watch()
    for number, leave in enumerate([os.rmdir, lambda path: os.rename(path, side / "away")]):
        leave(folder)
        until(lambda: watcher.faults)
        assert watcher.faults == (f"{folder} cannot be watched: No such file or directory",)
        folder.mkdir()
        (folder / f"early{number}.csv").touch()
        taker.wait_for_names(f"early{number}.csv")
        assert watcher.faults == ()
        (folder / f"late{number}.csv").touch()
        taker.wait_for_names(f"late{number}.csv")
        for each in folder.iterdir():
            each.unlink()


@pytest.fixture
def mounted(folder):
    """A function that mounts memory over the folder, or skips; unmounted at the end."""

    def mount():
        done = subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=False)
        if done.returncode:
            pytest.skip("file systems cannot be mounted here")

    yield mount
    while os.path.ismount(folder):
        subprocess.run(["umount", folder], check=True)


def test_watch_unmounted_folder_is_a_fault_until_it_is_mounted(folder, taker, mounted, watch):
    mounted()
    watcher = watch()
    (folder / "a.csv").touch()
    taker.wait_for_names("a.csv")
    watcher.rescan()
    subprocess.run(["umount", folder], check=True)
    until(lambda: watcher.faults)
    assert watcher.faults == (f"{folder} is no longer mounted: the folder beneath it is watched",)
    mounted()
    (folder / "b.csv").touch()
    taker.wait_for_names("b.csv")
    until(lambda: not watcher.faults)


def test_watch_folder_mounted_over_is_found_by_the_next_look(folder, taker, mounted, watch):
    watcher = watch(timing=Timing(interval_s=0.1))
    watcher.rescan()
    mounted()
    (folder / "a.csv").touch()
    taker.wait_for_names("a.csv")
    (folder / "sub").mkdir()
    (folder / "sub" / "b.csv").touch()
    taker.wait_for_names("sub/b.csv")


def test_watch_folder_that_is_not_there_yet_is_a_fault(folder, taker, watch):
    folder.rmdir()
    folder.write_text("a file")
    watcher = watch()
    assert watcher.faults == (f"{folder} cannot be watched: Not a directory",)
    folder.unlink()
    folder.mkdir()
    (folder / "a.csv").touch()
    taker.wait_for_names("a.csv")


def test_watch_untold_writers_let_a_file_settle(folder, taker, watch):
    (folder / "a.csv").write_text("half")
    watcher = watch(lease_file_systems=(), timing=Timing(settle_s=1.0))
    watcher.rescan()
    time.sleep(0.3)
    os.truncate(folder / "a.csv", 2)  # closes nothing
    changed = time.monotonic()
    taker.wait_for_names("a.csv")
    assert time.monotonic() - changed > 0.9
    assert taker.contents == {"a.csv": b"ha"}
    (folder / "b.csv").touch()
    closed = time.monotonic()
    taker.wait_for_names("b.csv")
    assert time.monotonic() - closed < 0.9


def test_watch_stop_in_a_burst_ends_soon_and_offers_no_more(folder, taker, watch):
    for number in range(3_000):
        (folder / f"{number}.csv").touch()
    taker.pause_s = 0.2
    watcher = watch()
    taker.wait_for(lambda taker: taker.files)
    begun = time.monotonic()
    watcher.stop()
    watcher.stop()
    assert time.monotonic() - begun < 5
    count = len(taker.files)
    (folder / "after.csv").touch()
    watcher.rescan()
    assert len(taker.files) == count < 3_000
    assert not [each for each in threading.enumerate() if each.name.startswith("watch-")]


def test_watch_can_be_stopped_and_asked_by_who_takes_files(folder):
    told = threading.Event()

    def take(files):
        watcher.rescan()
        watcher.stop()
        told.set()

    watcher = FolderWatch(folder, take, timing=FAST)
    watcher.start()
    (folder / "a.csv").touch()
    assert told.wait(LONG_S)
    watcher.stop()
    with pytest.raises(PlatformError, match="was started before"):
        watcher.start()


def test_watch_idle_uses_next_to_no_processor_time(folder, watch):
    watcher = watch(timing=Timing())
    watcher.rescan()
    before = time.process_time()
    time.sleep(1)
    assert time.process_time() - before < 0.02
