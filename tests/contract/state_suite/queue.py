"""The queue: order, leases and fences."""

from dataclasses import replace

import pytest

from stepline.errors import PlatformError
from stepline.ports.state import QueueHead
from tests.contract.state_suite.values import read, task

NOW = 1000.0


def put(state, *tasks):
    state.write(lambda transaction: [transaction.queue.put(one) for one in tasks])


def lease(state, one, owner="me", until=NOW + 10):
    return state.write(lambda transaction: transaction.queue.lease(one, owner=owner, until=until))


def heads(state, now=NOW):
    return list(read(state, lambda view: view.queue.heads(now)))


def holds(state, one):
    return read(state, lambda view: view.queue.holds(one))


def test_state_queue_heads_are_the_first_due_of_each_pipeline(state):
    assert heads(state) == []
    put(
        state,
        task(1, due_at=NOW + 5),
        task(2),
        task(3, pipeline_id="p-2"),
        task(4, pipeline_id="p-0", due_at=NOW),
        task(5),
        task(6, pipeline_id="p-9", due_at=NOW + 1),
    )
    assert [head.task.workflow_id for head in heads(state)] == ["w-2", "w-3", "w-4"]
    later = [head.task.workflow_id for head in heads(state, NOW + 5)]
    assert later == ["w-1", "w-3", "w-4", "w-6"]


def test_state_queue_leased_tasks_are_counted_and_no_heads(state):
    put(state, task(1), task(2), task(3), task(4, pipeline_id="p-2"))
    for number in (1, 2):
        lease(state, task(number))
    lease(state, task(4, pipeline_id="p-2"))
    assert heads(state) == [QueueHead(task(3), 2)]


def test_state_queue_next_due_is_the_first_that_is_not_due_yet(state):
    put(state, task(1, due_at=NOW + 5), task(2, due_at=NOW + 3), task(3, due_at=NOW), task(4))
    with state.read() as view:
        assert view.queue.next_due(NOW) == NOW + 3
        assert view.queue.next_due(NOW + 3) == NOW + 5
        assert view.queue.next_due(NOW + 5) is None


def test_state_queue_put_again_changes_the_time_and_ends_the_lease(state):
    put(state, task(1))
    old = lease(state, task(1))
    assert holds(state, old)
    put(state, task(1, due_at=NOW + 5))
    assert not holds(state, old)
    assert heads(state) == []
    assert heads(state, NOW + 5) == [QueueHead(task(1, due_at=NOW + 5), 0)]
    assert list(read(state, lambda view: view.queue.of_workflow("w-1"))) == [
        task(1, due_at=NOW + 5)
    ]


def test_state_queue_fences_grow_with_each_lease_however_the_task_came_back(state, open_state):
    put(state, task(1))
    leases = [lease(state, task(1)), lease(state, task(1), owner="other")]
    state.write(lambda transaction: transaction.queue.release_owned(but="nobody"))
    leases.append(lease(state, task(1)))
    state.write(lambda transaction: transaction.queue.remove("w-1", step=0, attempt=1))
    put(state, task(1))
    state.close()
    state = open_state()
    leases.append(lease(state, task(1)))
    fences = [one.fence for one in leases]
    assert fences == sorted(set(fences))
    assert [holds(state, one) for one in leases] == [False, False, False, True]


def test_state_queue_lease_of_a_removed_task_does_not_hold(state):
    put(state, task(1))
    one = lease(state, task(1))
    state.write(lambda transaction: transaction.queue.remove("w-1", step=0, attempt=1))
    assert not holds(state, one)
    with pytest.raises(PlatformError, match="'w-1' is not queued"):
        lease(state, task(1))


def test_state_queue_expired_leases_are_released(state):
    put(state, task(1), task(2), task(3, due_at=5.0))
    lease(state, task(1), until=NOW)
    lease(state, task(2), until=NOW + 1)
    lease(state, task(3), until=NOW)
    assert state.write(lambda transaction: transaction.queue.release_expired(NOW)) == 2
    assert heads(state) == [QueueHead(task(1), 1)]
    assert state.write(lambda transaction: transaction.queue.release_expired(NOW)) == 0


def test_state_queue_extended_leases_last(state):
    put(state, task(1), task(2), task(3))
    for number, owner in ((1, "me"), (2, "me"), (3, "other")):
        lease(state, task(number), owner=owner, until=NOW)
    extended = state.write(lambda transaction: transaction.queue.extend("me", until=NOW + 9))
    assert extended == 2
    assert state.write(lambda transaction: transaction.queue.release_expired(NOW + 1)) == 1
    assert [head.task for head in heads(state)] == [task(3)]


def test_state_queue_tasks_of_other_owners_are_released(state):
    put(state, task(1), task(2))
    lease(state, task(1), owner="me")
    lease(state, task(2), owner="dead")
    assert state.write(lambda transaction: transaction.queue.release_owned(but="me")) == 1
    assert heads(state) == [QueueHead(task(2), 1)]


def test_state_queue_task_that_became_due_keeps_its_place(state):
    put(state, task(1, due_at=NOW), task(2))
    state.write(lambda transaction: transaction.queue.release_expired(NOW))
    assert heads(state) == [QueueHead(task(1, due_at=NOW), 0)]
    put(state, replace(task(1), due_at=NOW + 1))
    assert heads(state) == [QueueHead(task(2), 0)]


def test_state_queue_attempt_that_is_finished_is_gone(state):
    one = state.write(
        lambda transaction: transaction.queue.put_leased(task("w-1"), owner="a", until=10.0)
    )
    assert (one.task, one.owner, one.until) == (task("w-1"), "a", 10.0)
    assert holds(state, one)
    assert read(state, lambda view: view.queue.heads(1.0)) == []
    assert state.write(lambda transaction: transaction.queue.finish(one))
    assert not state.write(lambda transaction: transaction.queue.finish(one))
    assert read(state, lambda view: view.queue.of_workflow("w-1")) == []


def test_state_queue_attempt_of_a_lease_that_is_over_is_not_finished(state):
    old = state.write(
        lambda transaction: transaction.queue.put_leased(task("w-1"), owner="a", until=10.0)
    )
    state.write(lambda transaction: transaction.queue.put(task("w-1")))
    new = state.write(
        lambda transaction: transaction.queue.lease(task("w-1"), owner="b", until=20.0)
    )
    assert new.fence > old.fence
    assert not state.write(lambda transaction: transaction.queue.finish(old))
    assert state.write(lambda transaction: transaction.queue.finish(new))
