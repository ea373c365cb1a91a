"""Marks of use, and the removal of folders that nobody uses."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from stepline.ports.freed import Freed
from stepline.ports.removal import remove_unused_folders
from stepline.ports.use_marks import hold, note_use

DAY_S = 24 * 3600.0
ANY = re.compile("[a-z]+")


@pytest.fixture
def root(tmp_path):
    """A cache with a read-only folder ``old`` that was used a week ago."""
    made = tmp_path / "cache" / "old"
    (made / "deep").mkdir(parents=True)
    (made / "deep" / "content").write_text("12345")
    (made / "deep").chmod(0o500)
    made.chmod(0o500)
    age(made)
    return made.parent


def age(folder, days=7):
    mark = folder.with_name(f"{folder.name}.used")
    mark.touch()
    os.utime(mark, (time.time() - days * DAY_S,) * 2)


def remove(root, keep=(), before=None, **options):
    at = time.time() - DAY_S if before is None else before
    given = {"keep": frozenset(keep), "before": at, "dry_run": False, **options}
    return remove_unused_folders(str(root), ANY, **given)


def names(root):
    return sorted(entry.name for entry in root.iterdir())


def test_removal_of_an_old_folder_tells_its_size_and_leaves_nothing(root):
    assert remove(root) == Freed(1, 5)
    assert names(root) == []
    assert remove(root) == Freed()


def test_removal_as_a_dry_run_tells_the_same_and_removes_nothing(root):
    assert remove(root, dry_run=True) == Freed(1, 5)
    assert names(root) == ["old", "old.used"]
    assert remove(root) == Freed(1, 5)


def test_removal_counts_no_bytes_that_have_names_elsewhere(root, tmp_path):
    (tmp_path / "link").hardlink_to(root / "old" / "deep" / "content")
    assert remove(root) == Freed(1, 0)


@pytest.mark.parametrize("keep", [("old",), ()], ids=["kept", "just used"])
def test_removal_leaves_what_is_kept_or_was_used_just_now(root, keep):
    if not keep:
        assert note_use(root / "old")
    assert remove(root, keep=keep) == Freed()
    assert "old" in names(root)


@pytest.mark.parametrize(("days", "removed"), [(7, 1), (0, 0)])
def test_removal_goes_by_the_folder_where_there_is_no_mark(root, days, removed):
    (root / "old.used").unlink()
    os.utime(root / "old", (time.time() - days * DAY_S,) * 2)
    # The second look is at a mark that the first one made.
    assert remove(root, dry_run=True).count == removed
    assert remove(root).count == removed


def test_removal_leaves_what_another_process_holds_until_that_is_killed(root):
    script = (
        "import sys; from stepline.ports.use_marks import hold\n"
        "hold(sys.argv[1]); print('held', flush=True); input()\n"
    )
    command = [sys.executable, "-c", script, str(root / "old")]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout.readline() == "held\n"
        age(root / "old")
        assert remove(root) == Freed()
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    age(root / "old")
    assert remove(root).count == 1


def test_hold_of_a_folder_without_a_mark_makes_one_only_if_told_to(tmp_path):
    assert hold(tmp_path / "a", make=False) is None
    assert names(tmp_path) == []
    descriptor = hold(tmp_path / "a")
    assert names(tmp_path) == ["a.used"]
    os.close(descriptor)
    assert not note_use(tmp_path / "a")


def test_hold_where_nothing_can_be_written_is_none(tmp_path):
    assert hold(tmp_path / "none" / "a") is None


def test_removal_finishes_what_a_killed_one_began(root):
    (root / "old").rename(root / ".removed-1234")
    assert remove(root, dry_run=True) == Freed()
    assert remove(root) == Freed()
    assert names(root) == ["old.used"]


def test_removal_beside_users_never_takes_what_they_hold(root):
    lost, held, stop = [], [], threading.Event()

    def use():
        while not stop.is_set():
            with suppress(FileExistsError):
                (root / "old").mkdir()
            descriptor = hold(root / "old")
            if (root / "old").is_dir():
                held.append(descriptor)
                time.sleep(0.0005)
                lost.extend(() if (root / "old").is_dir() else (descriptor,))
            os.close(descriptor)

    user = threading.Thread(target=use)
    user.start()
    removed, end = 0, time.monotonic() + 20
    while (removed < 50 or len(held) < 50) and time.monotonic() < end:
        age(root / "old")
        removed += remove(root).count
    stop.set()
    user.join(10)
    assert (lost, removed >= 50, len(held) >= 50) == ([], True, True)
