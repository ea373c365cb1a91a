"""Transactions: isolation, order, sharing of commits, and what closing does."""

import threading

import pytest

from stepline.errors import PlatformError
from tests.contract.state_suite.values import commit, file, read, task, workflow


def set_value(name, value=1):
    return lambda transaction: transaction.values.set("test", name, value=value)


def stored(state):
    return read(state, lambda view: view.values.all("test"))


def in_threads(acts):
    """Call functions at once, each in a thread; return what they returned or raised."""
    found = [None] * len(acts)
    start = threading.Barrier(len(acts))

    def call(at):
        start.wait(10)
        try:
            found[at] = acts[at]()
        except Exception as error:  # noqa: BLE001  (the caller compares it)
            found[at] = error

    threads = [threading.Thread(target=call, args=(at,), daemon=True) for at in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return found


def test_state_write_returns_what_the_act_returned(state):
    assert state.write(lambda transaction: "result") == "result"


def test_state_writes_of_many_threads_are_all_kept(state):
    def add(thread):
        return [
            state.write(
                lambda t, n=number: (
                    t.values.get("test", "sum"),
                    t.values.set("test", f"{thread}-{n}", value=1),
                    t.values.set("test", "sum", value=(t.values.get("test", "sum") or 0) + 1),
                )[0]
            )
            for number in range(50)
        ]

    found = in_threads([lambda thread=thread: add(thread) for thread in range(20)])
    seen = [before or 0 for part in found for before in part]
    assert sorted(seen) == list(range(1000))
    assert len(stored(state)) == 1001


def test_state_act_that_raises_takes_no_other_with_it(state):
    def bad(transaction):
        transaction.values.set("test", "bad", value=1)
        raise LookupError("mine")

    blocked = threading.Event()
    first = threading.Thread(target=state.write, args=(lambda transaction: blocked.wait(10),))
    first.start()
    acts = [lambda n=n: state.write(bad if n % 3 == 0 else set_value(f"{n}")) for n in range(30)]
    threading.Timer(0.2, blocked.set).start()
    found = in_threads(acts)
    first.join(10)
    assert [isinstance(one, LookupError) for one in found] == [n % 3 == 0 for n in range(30)]
    assert set(stored(state)) == {f"{n}" for n in range(30) if n % 3}


def test_state_act_that_breaks_a_rule_of_the_database_takes_no_other_with_it(state):
    state.write(set_value("before"))

    def bad(transaction):
        transaction.values.set("test", "bad", value=1)
        transaction.workflows.add(workflow(1))
        transaction.workflows.add(workflow(1, dedupe_key="other"))

    with pytest.raises(PlatformError):
        state.write(bad)
    state.write(set_value("after"))
    assert set(stored(state)) == {"before", "after"}


def test_state_write_within_a_write_is_refused(state):
    with pytest.raises(PlatformError, match="another write"):
        state.write(lambda transaction: state.write(set_value("inner")))
    state.write(set_value("after"))
    assert set(stored(state)) == {"after"}


def test_state_act_sees_its_own_changes_and_readers_do_not(state):
    def act(transaction):
        transaction.values.set("test", "a", value=1)
        return transaction.values.get("test", "a"), stored(state)

    assert state.write(act) == (1, {})
    assert stored(state) == {"a": 1}


def test_state_read_stays_one_snapshot(state):
    state.write(set_value("a"))
    with state.read() as view:
        assert view.values.all("test") == {"a": 1}
        state.write(set_value("b"))
        assert view.values.all("test") == {"a": 1}
    assert stored(state) == {"a": 1, "b": 1}


def test_state_reads_of_many_threads_go_on_at_once(state):
    commit(state, *(file(number, f"key-{number}") for number in range(50)))
    start = threading.Barrier(20)

    def look():
        with state.read() as view:
            start.wait(10)
            return view.files.search({})["hits"]["total"]["value"]

    assert in_threads([look] * 20) == [50] * 20


def test_state_that_is_read_cannot_be_changed(state):
    with pytest.raises(PlatformError), state.read() as view:
        view.values.set("test", "a", value=1)
    assert stored(state) == {}


def test_state_reopened_has_everything(state, open_state):
    commit(state, file(1, tags=("t",)))
    state.write(lambda transaction: transaction.workflows.add(workflow(1)))
    state.write(lambda transaction: transaction.queue.put(task(1)))
    ids = state.write(lambda transaction: transaction.files.new_label_ids(3))
    state.write(set_value("a"))
    state.close()
    state = open_state()
    with state.read() as view:
        assert view.files.latest(file(1).pointer.key) == file(1, tags=("t",))
        assert view.files.search({"query": {"term": {"tags": "t"}}})["hits"]["total"]["value"] == 1
        assert view.workflows.get("w-1").state == workflow(1).state
        assert [head.task for head in view.queue.heads(1.0)] == [task(1)]
    assert stored(state) == {"a": 1}
    assert not set(ids) & set(state.write(lambda t: t.files.new_label_ids(3)))


def test_state_closed_one_refuses_and_finishes_what_was_begun(state, open_state):
    blocked = threading.Event()
    slow = threading.Thread(
        target=state.write, args=(lambda t: (blocked.wait(10), set_value("slow")(t)),)
    )
    slow.start()
    threading.Timer(0.1, blocked.set).start()
    state.close()
    slow.join(10)
    for use in (lambda: state.write(set_value("late")), lambda: stored(state)):
        with pytest.raises(PlatformError, match="closed"):
            use()
    state.close()
    assert stored(open_state()) == {"slow": 1}
