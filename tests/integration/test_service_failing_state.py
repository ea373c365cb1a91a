"""The service while its state cannot be written: nothing is lost and nothing is doubled."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

import pytest

from stepline.errors import PlatformError
from stepline.model.workflow import WorkflowStatus
from stepline.ports.state import State, StateView, Transaction
from tests.support.services import RunningService, wait_for

T = TypeVar("T")

WRITE = """
def work(input, context):
    return context.write_file("text", "out.txt", "PROCESSED")
"""


class FailingState:
    """A state whose writes fail while `failing` is set.

    Args:
        state: The real one.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self.failing: Callable[[], bool] = lambda: False
        self.failures = 0

    def write(self, act: Callable[[Transaction], T]) -> T:
        if self.failing():
            self.failures += 1
            raise PlatformError("the disk is full", retryable=True)
        return self._state.write(act)

    def read(self) -> AbstractContextManager[StateView]:
        return self._state.read()

    def close(self) -> None:
        self._state.close()


@pytest.fixture
def failing(tmp_path):
    made: list[FailingState] = []

    def wrap(state: State) -> State:
        made.append(FailingState(state))
        return made[0]

    service = RunningService(tmp_path / "home", cache=tmp_path / "cache", wrap=wrap)
    yield service, made[0]
    service.stop()


def test_result_that_cannot_be_stored_is_made_again(failing):
    running, state = failing
    running.simple("write", WRITE)
    results = running.service.store
    state.failing = lambda: bool(running_tasks(running))
    running.upload()
    wait_for(lambda: state.failures >= 3)
    state.failing = lambda: False
    (workflow,) = running.ended(1)
    assert workflow.status is WorkflowStatus.COMPLETED
    details = running.service.workflows.details(workflow.id)
    (written,) = details.written
    assert results.verify(written.blob)
    assert [each.kind for each in details.attempts] == ["returned"]
    assert any("the disk is full" in line for line in running.reports)


def running_tasks(running: RunningService) -> bool:
    """Return whether the one workflow has begun."""
    return any(each.status is WorkflowStatus.IN_PROGRESS for each in running.workflows())


def test_upload_while_nothing_can_be_stored_is_refused_and_leaves_nothing(failing):
    running, state = failing
    running.simple("write", WRITE)
    state.failing = lambda: True
    with pytest.raises(PlatformError, match="the disk is full"):
        running.upload()
    state.failing = lambda: False
    assert running.service.files.page(prefix="", after=0, limit=10).items == []
    assert running.workflows() == []
    running.upload()
    running.ended(1)
