"""Making attempts: threads that lease tasks, run them, and store what came of them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from stepline.app.attempt_plans import Place, attempt_plan
from stepline.app.attempts import AttemptRecord, Platform, Secrecy, run_attempt
from stepline.app.masking import Masker
from stepline.app.service.codec import from_plain
from stepline.app.service.endings import Ending
from stepline.app.service.flow import Flow, LeaseLost, Moved, may_pass
from stepline.app.service.shares import Shares
from stepline.app.service.space import space_problem
from stepline.app.service_secrets import ServiceSecrets, WorkflowSecrets
from stepline.engine import outstanding
from stepline.engine.events import StartTask, WorkflowRefused
from stepline.errors import PlatformError, SteplineError, UserError
from stepline.frozen import frozen
from stepline.model.task import OutcomeKind, TaskOutcome
from stepline.model.workflow import RetryPolicy, Workflow, WorkflowStatus
from stepline.ports.files import Changes
from stepline.ports.logs import LogStore, LogWriter
from stepline.ports.state import Lease, QueuedTask, State, StoredWorkflow, Transaction

LEASE_S = 60.0
BEAT_S = 20.0
LONGEST_DELAY_S = RetryPolicy.max_delay_s
_LONGEST_WAIT_S = 5.0
_STOP_S = 20.0
_PAUSE_S = 1.0
_MANY = 1_000_000


@frozen(kw_only=True)
class DispatcherPorts:
    """What a dispatcher works with.

    Attributes:
        state: The service's state.
        flow: The rules.
        platform: The adapters of attempts.
        logs: Output of tasks.
        scratch: Folder of the executor's, on whose disk there must be room.
        secrets: Secrets of all workflows.
        place: Where a workflow runs, by its pipeline's id.
        clock: Returns seconds since the epoch.
        finished: Told of each workflow that came to its end, once nothing of it runs.
        report: Takes a line about what went wrong with the platform itself.
    """

    state: State
    flow: Flow
    platform: Platform
    logs: LogStore
    scratch: Path
    secrets: ServiceSecrets
    place: Callable[[str], Place]
    clock: Callable[[], float]
    finished: Callable[[StoredWorkflow], None]
    report: Callable[[str], None]


class _Claim(NamedTuple):
    """The right to make an attempt, and the workflow that it is of."""

    lease: Lease
    stored: StoredWorkflow


class _NotBegun(Exception):
    """An attempt came to nothing, and no other would come to more now."""


class Dispatcher:
    """Makes the attempts that are queued, some at a time.

    Args:
        ports: What it works with.
        owner: Name that no other dispatcher has or had.
        slots: Attempts at a time.
    """

    def __init__(self, ports: DispatcherPorts, *, owner: str, slots: int) -> None:
        self._ports = ports
        self._owner = owner
        self._shares = Shares()
        self._changed = threading.Condition()
        self._signals = 0
        self._stopping = threading.Event()
        self._secrecies: dict[str, Secrecy] = {}
        self._dropped: deque[Lease] = deque()
        self._threads = [
            threading.Thread(target=self._serve, name=f"slot-{number}") for number in range(slots)
        ]
        self._threads.append(threading.Thread(target=self._keep_leases, name="leases"))

    def start(self) -> None:
        """Begin; tasks that a service which was killed had leased are free again."""
        self._ports.state.write(self._take_over)
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Look at the queue again: something was added."""
        with self._changed:
            self._signals += 1
            self._changed.notify_all()

    def stop(self) -> None:
        """End running attempts without a result, and wait for all threads."""
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()
        self._ports.platform.executor.close()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(_STOP_S)

    def settle(self, moved: Moved) -> None:
        """End the attempts that a workflow which goes on does not want any more."""
        if not moved.finished:
            self._stop_tasks(moved.stopped)

    def ended(self, ending: Ending) -> None:
        """Do what follows from a workflow's end beyond the state: end attempts, tell of it."""
        self._stop_tasks(ending.stopped)
        self._secrecies.pop(ending.stored.id, None)
        self._ports.finished(ending.stored)

    def _stop_tasks(self, attempts: Sequence[str]) -> None:
        for attempt in attempts:
            self._ports.platform.executor.cancel(attempt)

    # One slot.

    def _serve(self) -> None:
        while not self._stopping.is_set():
            try:
                self._serve_next()
            except Exception as error:  # noqa: BLE001  (a slot that ended would run nothing more)
                self._ports.report(f"a slot goes on after {type(error).__name__}: {error}")
                self._stopping.wait(_PAUSE_S)

    def _serve_next(self) -> None:
        seen = self._signals
        if self._cannot_work():
            self._stopping.wait(_PAUSE_S)
            return
        claim = self._claimed()
        if claim is None:
            self._wait(seen)
        while claim is not None and not self._stopping.is_set():
            claim = self._make(claim)

    def _cannot_work(self) -> bool:
        """Tell whether attempts would only be lost; they wait, and /health says for what."""
        executor = self._ports.platform.executor
        return bool(space_problem(self._ports.scratch) or executor.faults())

    def _claimed(self) -> _Claim | None:
        try:
            self._put_back()
            return self._ports.state.write(self._claim)
        except Exception as error:  # noqa: BLE001  (a slot that ended would run nothing more)
            self._ports.report(f"the queue cannot be read: {error}")
            return None

    def _wait(self, seen: int) -> None:
        """Wait until something is queued, or due."""
        try:
            with self._ports.state.read() as view:
                due = view.queue.next_due(self._ports.clock())
        except PlatformError:
            due = None
        seconds = _LONGEST_WAIT_S
        if due is not None:
            seconds = min(seconds, max(0.0, due - self._ports.clock()))
        with self._changed:
            self._changed.wait_for(
                lambda: self._signals != seen or self._stopping.is_set(), seconds
            )

    def _claim(self, tx: Transaction) -> _Claim | None:
        while True:
            task = self._shares.next(tx.queue.heads(self._ports.clock()))
            if task is None:
                return None
            stored = self._begun(tx, task)
            if stored is not None:
                return _Claim(self._lease(tx, task), stored)

    def _begun(self, tx: Transaction, task: QueuedTask) -> StoredWorkflow | None:
        """Return the workflow of a task; one whose protocol cannot be read is ended."""
        try:
            return self._ports.flow.begin(tx, task)
        except SteplineError as error:
            stored = None if may_pass(error) else tx.workflows.get(task.workflow_id)
            if stored is None:
                raise
            self._ports.report(f"workflow {stored.id} cannot go on: {error}")
            self._ports.flow.abandon(tx, stored, why=str(error))
            return None

    def _lease(self, tx: Transaction, task: QueuedTask) -> Lease:
        return tx.queue.lease(task, owner=self._owner, until=self._ports.clock() + LEASE_S)

    def _take(self, tx: Transaction, task: QueuedTask) -> Lease:
        until = self._ports.clock() + LEASE_S
        return tx.queue.put_leased(task, owner=self._owner, until=until)

    def _make(self, claim: _Claim) -> _Claim | None:
        """Make an attempt; return the workflow's next one, if it follows at once."""
        try:
            return self._attempt(claim)
        except LeaseLost:
            return None
        except _NotBegun as error:
            self._put_off(claim, error)
        except UserError as error:
            self._refuse(claim.stored, str(error))
        except Exception as error:  # noqa: BLE001  (one workflow's trouble is not the others')
            self._lose(claim, error)
        return None

    def _attempt(self, claim: _Claim) -> _Claim | None:
        stored, task, ports = claim.stored, claim.lease.task, self._ports
        protocol = ports.flow.plans.protocol(stored.protocol_digest)
        workflow = from_plain(
            stored.state, protocol, workflow_id=stored.id, pipeline_id=stored.pipeline_id
        )
        command = next(c for c in outstanding(workflow) if isinstance(c, StartTask))
        plan = attempt_plan(
            workflow,
            command,
            version=ports.flow.plans.script(stored.scripts[task.step]),
            place=ports.place(stored.pipeline_id),
            now=ports.platform.now(),
            environment=self._environment(task) if task.attempt > 1 else "",
        )
        secrecy = self._secrecy(workflow)
        following: list[_Claim] = []
        log = ports.logs.writer(stored.id, step=task.step, attempt=task.attempt)
        try:
            run_attempt(
                plan,
                ports.platform,
                secrecy=secrecy,
                log=log.add,
                keep=lambda record, changes: following.extend(self._kept(claim, record, changes)),
            )
        except BaseException:
            # The result may be stored, and the next attempt leased, that nobody will make.
            self._dropped.extend(each.lease for each in following)
            raise
        finally:
            self._close(log)
        return following[0] if following else None

    def _environment(self, task: QueuedTask) -> str:
        """Return what the newest earlier attempt at a task ran in, if it got as far."""
        with self._ports.state.read() as view:
            attempts = view.workflows.attempts(task.workflow_id)
        found = [each.record.get("environment") for each in attempts if each.step == task.step]
        return next((str(each) for each in reversed(found) if each), "")

    def _close(self, log: LogWriter) -> None:
        try:
            log.close()
        except PlatformError as error:  # what the attempt came to is stored already
            self._ports.report(f"a log may be incomplete: {error}")

    def _kept(self, claim: _Claim, record: AttemptRecord, changes: Changes) -> list[_Claim]:
        """Store a result; lease the workflow's next attempt in the same go."""
        if self._stopping.is_set() and record.outcome.kind is OutcomeKind.LOST:
            raise LeaseLost("the service stops; the attempt will be made again")
        if record.outcome.kind is OutcomeKind.LOST and record.started_at is None:
            self._check_executor()

        def act(tx: Transaction) -> Moved:
            return self._ports.flow.finish_attempt(
                tx,
                claim.lease,
                stored=claim.stored,
                record=record,
                changes=changes,
                take=self._take,
            )

        moved = self._ports.state.write(act)
        if moved.lease is None or changes != Changes():
            self.wake()
        self.settle(moved)
        return [_Claim(moved.lease, moved.stored)] if moved.lease else []

    def _check_executor(self) -> None:
        """Let an attempt at which nothing was done not count where the executor is to blame.

        Raises:
            _NotBegun: The executor can run nothing now.
        """
        faults = self._ports.platform.executor.faults(anew=True)
        if faults:
            raise _NotBegun("; ".join(faults))

    def _secrecy(self, workflow: Workflow) -> Secrecy:
        """Return the workflow's secrets, with the values that they have now masked.

        Raises:
            SettingsError: Some are missing.
        """
        known = self._secrecies.get(workflow.id)
        if known is None:
            masker = Masker()
            secrets = self._ports.secrets.of_workflow(workflow.config, masker=masker)
            known = self._secrecies[workflow.id] = Secrecy(secrets, masker)
        if isinstance(known.secrets, WorkflowSecrets):
            known.secrets.check()
        return known

    # What goes wrong.

    def _refuse(self, stored: StoredWorkflow, why: str) -> None:
        """End a workflow that cannot go on, whatever its steps would do."""

        def act(tx: Transaction) -> Moved | None:
            newest = tx.workflows.get(stored.id)
            if newest is None:
                return None
            try:
                return self._ports.flow.move(tx, newest, event=WorkflowRefused(why))
            except SteplineError as error:
                if may_pass(error):
                    raise
                self._ports.flow.abandon(tx, newest, why=why)
                return None

        try:
            moved = self._ports.state.write(act)
        except SteplineError as error:
            self._ports.report(f"workflow {stored.id} cannot be refused: {error}")
            return
        if moved is not None:
            self.settle(moved)

    def _lose(self, claim: _Claim, error: Exception) -> None:
        """Store that an attempt was lost to a fault of the platform; else make it again."""
        self._ports.report(f"workflow {claim.stored.id}: {type(error).__name__}: {error}")
        outcome = TaskOutcome(OutcomeKind.LOST, message=f"the platform failed: {error}")
        record = AttemptRecord(
            outcome=outcome, reads=[], written=[], environment="", started_at=None
        )
        try:
            self._kept(claim, record, Changes())
        except LeaseLost:
            pass
        except _NotBegun as fault:
            self._put_off(claim, fault)
        except SteplineError as failure:
            if may_pass(failure):
                self._dropped.append(claim.lease)
            else:
                self._refuse(claim.stored, str(failure))

    def _put_off(self, claim: _Claim, fault: _NotBegun) -> None:
        """Have an attempt made when the executor works again, as if it had not been tried."""
        self._ports.report(f"workflow {claim.stored.id} waits: {fault}")
        self._dropped.append(claim.lease)

    # Leases.

    def _take_over(self, tx: Transaction) -> None:
        tx.queue.release_owned(but=self._owner)
        latest = self._ports.clock() + LONGEST_DELAY_S
        if tx.queue.next_due(latest) is None:
            return
        # The clock was set back while nobody looked: no retry waits so long.
        page = tx.workflows.page(statuses=(WorkflowStatus.IN_PROGRESS,), limit=_MANY)
        for stored in page.items:
            for task in tx.queue.of_workflow(stored.id):
                if task.due_at > latest:
                    tx.queue.put(replace(task, due_at=latest))

    def _keep_leases(self) -> None:
        while not self._stopping.wait(BEAT_S):
            try:
                freed = self._ports.state.write(self._beat)
            except Exception as error:  # noqa: BLE001  (leases must be extended for ever)
                self._ports.report(f"leases cannot be extended: {error}")
                continue
            if freed:
                self.wake()

    def _beat(self, tx: Transaction) -> int:
        now = self._ports.clock()
        tx.queue.extend(self._owner, until=now + LEASE_S)
        return tx.queue.release_expired(now)

    def _put_back(self) -> None:
        """Give up the leases of attempts whose results could not be stored.

        Raises:
            PlatformError: They cannot be given up now either.
        """
        while self._dropped:
            try:
                lease = self._dropped.popleft()
            except IndexError:
                return  # another slot was quicker
            try:
                self._ports.state.write(partial(_give_up, lease=lease))
            except PlatformError:
                self._dropped.append(lease)
                raise


def _give_up(tx: Transaction, *, lease: Lease) -> None:
    if tx.queue.finish(lease):
        tx.queue.put(lease.task)
