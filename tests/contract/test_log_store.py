"""What every log store promises; an adapter joins by one line in `STORES`."""

import time

import pytest

from stepline.errors import PlatformError
from stepline.plugins.files_local.logs import FolderLogs
from stepline.ports.executor import LogLine
from stepline.ports.freed import Freed

STORES = {"folder": lambda path: FolderLogs(str(path / "logs"))}
PLACE = {"step": 1, "attempt": 2}
WORKFLOW = "6ba7b811-9dad"
LINES = [
    LogLine(1.5, "out", "hello"),
    LogLine(2.25, "err", 'ünï "quoted" \\ \x00 \ud800 \u2028'),
    LogLine(3.0, "out", "begin of a long line", ended=False),
    LogLine(3.0, "out", "its end\r"),
    LogLine(4.0, "out", ""),
]


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    """An empty store."""
    return STORES[request.param](tmp_path)


def texts(page):
    return [line.text for line in page.lines]


def numbered(*numbers):
    return [LogLine(1.0, "out", f"line {number}") for number in numbers]


def test_added_lines_are_read_at_once_and_as_they_were(store):
    writer = store.writer(WORKFLOW, **PLACE)
    writer.add(LINES[:2])
    assert list(store.read(WORKFLOW, **PLACE).lines) == LINES[:2]
    writer.add(LINES[2:])
    page = store.read(WORKFLOW, **PLACE)
    assert (list(page.lines), page.complete) == (LINES, False)
    writer.close()


def test_closed_log_is_complete_at_its_last_page_only(store):
    writer = store.writer(WORKFLOW, **PLACE)
    writer.add(LINES)
    writer.close()
    first = store.read(WORKFLOW, **PLACE, limit=3)
    last = store.read(WORKFLOW, **PLACE, after=first.after, limit=3)
    assert [*first.lines, *last.lines] == LINES
    assert (first.complete, last.complete) == (False, True)
    again = store.read(WORKFLOW, **PLACE, after=last.after)
    assert (again.lines, again.after, again.complete) == ((), last.after, True)


def test_follower_gets_each_line_once(store):
    writer = store.writer(WORKFLOW, **PLACE)
    seen, after = [], 0
    for number in range(20):
        writer.add(numbered(number))
        page = store.read(WORKFLOW, **PLACE, after=after)
        seen, after = [*seen, *texts(page)], page.after
    writer.close()
    assert seen == [f"line {number}" for number in range(20)]
    assert store.read(WORKFLOW, **PLACE, after=after).complete


def test_pages_of_long_lines_are_bounded_and_lose_nothing(store):
    writer = store.writer(WORKFLOW, **PLACE)
    long = [LogLine(1.0, "out", str(number) * 700_000) for number in range(5)]
    writer.add(long)
    writer.close()
    seen, page = [], store.read(WORKFLOW, **PLACE)
    for _ in range(10):
        assert sum(map(len, texts(page))) < 2_000_000
        seen += page.lines
        if page.complete:
            break
        page = store.read(WORKFLOW, **PLACE, after=page.after)
    assert seen == long


def test_attempt_without_output_has_no_log(store):
    store.writer(WORKFLOW, **PLACE).close()
    page = store.read(WORKFLOW, **PLACE, after=7)
    assert (page.lines, page.after, page.complete) == ((), 7, False)
    assert list(store.attempts(WORKFLOW)) == []


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("output", [True, False])
def test_writer_of_an_attempt_that_has_a_log_begins_it_anew(store, complete, output):
    before = store.writer(WORKFLOW, **PLACE)
    before.add(numbered(1, 2, 3))
    if complete:
        before.close()
    after = store.read(WORKFLOW, **PLACE).after
    anew = store.writer(WORKFLOW, **PLACE)
    if output:
        anew.add(numbered(4))
    assert texts(store.read(WORKFLOW, **PLACE)) == ["line 4"] * output
    assert texts(store.read(WORKFLOW, **PLACE, after=after)) == ["line 4"] * output
    for writer in (before, anew):
        writer.close()


@pytest.mark.parametrize("said", [True, False], ids=["has said something", "has been silent"])
def test_writer_that_lost_its_attempt_is_not_heard(store, said):
    lost = store.writer(WORKFLOW, **PLACE)
    if said:
        lost.add(numbered(1))
    writer = store.writer(WORKFLOW, **PLACE)
    writer.add(numbered(2))
    lost.add(numbered(3))
    lost.close()
    page = store.read(WORKFLOW, **PLACE)
    assert (texts(page), page.complete) == (["line 2"], False)
    writer.close()


def test_closed_writer_refuses_lines_and_closes_again(store):
    writer = store.writer(WORKFLOW, **PLACE)
    writer.add(numbered(1))
    writer.close()
    writer.close()
    with pytest.raises(PlatformError, match="has ended"):
        writer.add(numbered(2))
    assert texts(store.read(WORKFLOW, **PLACE)) == ["line 1"]


def test_attempts_are_listed_in_order_and_deleted_with_their_workflow(store):
    for workflow in (WORKFLOW, "other"):
        for step, attempt in ((10, 1), (2, 11), (2, 2)):
            writer = store.writer(workflow, step=step, attempt=attempt)
            writer.add(numbered(step))
            writer.close()
    assert list(store.attempts(WORKFLOW)) == [(2, 2), (2, 11), (10, 1)]
    store.delete(WORKFLOW)
    store.delete(WORKFLOW)
    assert list(store.attempts(WORKFLOW)) == []
    assert texts(store.read("other", step=10, attempt=1)) == ["line 10"]


def test_delete_tells_what_it_freed_and_a_dry_run_removes_nothing(store):
    writer = store.writer(WORKFLOW, **PLACE)
    writer.add(numbered(*range(100)))
    writer.close()
    would = store.delete(WORKFLOW, dry_run=True)
    assert texts(store.read(WORKFLOW, **PLACE)) == [f"line {number}" for number in range(100)]
    assert (would.count, would.bytes > 1000) == (1, True)
    assert store.delete(WORKFLOW) == would
    assert store.delete(WORKFLOW) == Freed()


def test_delete_before_a_time_keeps_logs_that_were_written_to_since(store):
    for attempt in (1, 2):
        writer = store.writer(WORKFLOW, step=0, attempt=attempt)
        writer.add(numbered(attempt))
        writer.close()
        between = time.time()
        time.sleep(0.05)
    before = between - 0.03
    assert store.delete(WORKFLOW, before=before).count == 1
    assert list(store.attempts(WORKFLOW)) == [(0, 2)]


def test_workflows_are_those_that_have_logs(store):
    assert list(store.workflows()) == []
    ids = [f"{WORKFLOW}-{number}" for number in range(20)]
    for workflow_id in ids:
        store.writer(workflow_id, **PLACE).add(numbered(1))
    store.delete(ids[3])
    assert sorted(store.workflows()) == sorted(set(ids) - {ids[3]})


def test_writer_goes_on_after_its_logs_were_deleted(store):
    writer = store.writer(WORKFLOW, **PLACE)
    writer.add(numbered(1))
    store.delete(WORKFLOW)
    writer.add(numbered(2))
    writer.close()
    assert list(store.attempts(WORKFLOW)) == []


@pytest.mark.parametrize("odd", ["", ".", "..", "../../etc", "a/b", "a..", "a\0b", "ä", "a" * 300])
def test_odd_workflow_id_has_no_log(store, odd, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    assert store.read(odd, **PLACE).lines == ()
    assert list(store.attempts(odd)) == []
    store.delete(odd)
    with pytest.raises(PlatformError, match="cannot be the id"):
        store.writer(odd, **PLACE)
    assert sorted(tmp_path.rglob("*")) == before
