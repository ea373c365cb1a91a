"""Attempts that the platform cannot have done."""

from contextlib import contextmanager

import pytest

from stepline.app.attempts import AttemptPlan, Platform, Secrecy, run_attempt
from stepline.app.masking import Masker
from stepline.errors import PlatformError
from stepline.model.task import Limits, OutcomeKind
from stepline.model.task_script import Function, TaskScript
from stepline.plugins.files_local.store import FolderStore
from stepline.ports.executor import ScriptVersion


class NoPlace:
    """An executor that has no place for any attempt."""

    def __init__(self, error):
        self._error = error

    def prepare(self, version):
        return "environment"

    @contextmanager
    def seat(self, version, limits):
        raise self._error
        yield


@pytest.mark.parametrize("retryable", [True, False])
def test_attempt_without_a_place_is_lost_for_good_unless_that_may_pass(tmp_path, retryable):
    error = PlatformError("there is none", hint="make one", retryable=retryable)
    version = ScriptVersion("a/b:v1.0.0", "sha256:0", "", TaskScript((Function("f", "f"),)), "3.11")
    plan = AttemptPlan(
        version=version,
        function="f",
        task_id="t",
        attempt=1,
        input=None,
        context={},
        limits=Limits(),
    )
    platform = Platform(
        executor=NoPlace(error),
        catalog=None,
        store=FolderStore(str(tmp_path)),
        schemas=None,
        now=str,
        new_id=str,
    )
    kept = []
    secrecy = Secrecy(None, Masker())
    run_attempt(plan, platform, secrecy=secrecy, log=print, keep=lambda *each: kept.append(each[0]))
    (outcome,) = [record.outcome for record in kept]
    assert (outcome.kind, outcome.final) == (OutcomeKind.LOST, not retryable)
    assert outcome.message == "there is none. Hint: make one"
