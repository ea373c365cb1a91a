"""What a watcher of a folder keeps in memory: files that wait, and files that were taken."""

import pytest

from stepline.plugins.watch_folder.delivered import Delivered
from stepline.plugins.watch_folder.looks import is_left_alone
from stepline.plugins.watch_folder.pending import Entry, Pending
from stepline.ports.watcher import FoundFile


def file(number, **changes):
    """Describe a file."""
    fields = {"inode": number, "mtime_ns": 1, "size": 2, **changes}
    return FoundFile(f"/drop/{number}", f"{number}", **fields)


def taken(pending, now, limit=256):
    """Return the names in the next group."""
    return [entry.relative for entry in pending.take(now, limit=limit)]


def test_pending_gives_what_is_due_in_the_order_of_time():
    pending = Pending(10)
    for name, due in [("c", 3.0), ("a", 1.0), ("b", 2.0)]:
        assert pending.put(Entry(name, due))
    assert pending.next_due() == 1.0
    assert taken(pending, 2.5) == ["a", "b"]
    assert taken(pending, 2.5) == []
    assert pending.next_due() == 3.0


def test_pending_event_comes_before_what_waits_for_the_same_file():
    pending = Pending(10)
    pending.put(Entry("a", 9.0, refusals=2))
    pending.put(Entry("a", 1.0, published=True))
    pending.put(Entry("a", 5.0))
    [entry] = pending.take(2.0, limit=256)
    assert (entry.due, entry.published, entry.refusals) == (1.0, True, 2)
    assert pending.next_due() is None


def test_pending_takes_no_more_files_than_its_limit():
    pending = Pending(2)
    assert [pending.put(Entry(name, 1.0)) for name in "abca"] == [True, True, False, True]
    assert len(pending) == 2


def test_pending_gives_refused_files_in_ever_smaller_groups():
    pending = Pending(1000)
    sizes = []
    for refusals in range(4):
        for number in range(300):
            pending.put(Entry(f"{refusals}/{number}", float(refusals), refusals=refusals))
        sizes.append(len(taken(pending, 9.0)))
        while taken(pending, 9.0):
            pass
    assert sizes == [256, 16, 1, 1]
    assert pending.refused == 0


def test_delivered_tells_each_state_of_a_file():
    delivered = Delivered()
    delivered.add(file(1))
    assert file(1) in delivered
    others = [file(1, inode=9), file(1, mtime_ns=9), file(1, size=9), file(2, inode=1)]
    assert [other in delivered for other in others] == [False] * 4
    assert len({each.key for each in [file(1), *others]}) == 5


def test_delivered_remembers_the_last_and_what_is_asked_for():
    delivered = Delivered(generation=10)
    for number in range(100):
        delivered.add(file(number))
        assert file(0) in delivered
    kept = [number for number in range(100) if file(number) in delivered]
    assert 10 <= len(kept) <= 20
    assert kept[-1] == 99


@pytest.mark.parametrize("name", [".a", "a~", "a.tmp", "A.Part", "a.partial", "a.crdownload"])
def test_is_left_alone_of_partial_name_is_true(name):
    assert is_left_alone(name)


@pytest.mark.parametrize("name", ["a", "a.b", "tmp", "a.tmp.csv", "~a", "a.parts"])
def test_is_left_alone_of_whole_name_is_false(name):
    assert not is_left_alone(name)
