"""From events to workflows and from results to the next step, each in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from stepline.app.attempt_plans import task_id_of
from stepline.app.attempts import AttemptRecord, attempt_id, attempt_plain
from stepline.app.file_views import input_file_value
from stepline.app.service.codec import abandoned, from_plain, to_plain
from stepline.app.service.endings import Ending
from stepline.app.service.plans import Plan, Plans
from stepline.engine import advance, create_workflow
from stepline.engine.events import (
    AttemptFinished,
    CancelRequested,
    Command,
    Event,
    FinishWorkflow,
    RetryDue,
    ScheduleRetry,
    StartTask,
    StopTask,
    WorkflowRefused,
    WorkflowStarted,
)
from stepline.engine.triggers import decide, facts_of
from stepline.errors import PlatformError, SteplineError, UserError
from stepline.frozen import frozen
from stepline.model.file import FileRecord
from stepline.model.ledger import Decision, EventKind, LedgerEntry
from stepline.model.pipeline import Pipeline, PipelineStatus
from stepline.model.workflow import StepStatus, Workflow, WorkflowStatus
from stepline.ports.files import Changes
from stepline.ports.state import Lease, QueuedTask, StoredAttempt, StoredWorkflow, Transaction

_BATCH = 100
_RAN_BEFORE = "the pipeline ran on this file version before; stepline reprocess runs it again"


class LeaseLost(PlatformError):
    """Somebody else makes the attempt by now, or nobody wants it any more."""


class _MadeBefore(Exception):
    """An event has made a workflow already.

    Args:
        workflow_id: The workflow.
    """

    def __init__(self, workflow_id: str) -> None:
        super().__init__(workflow_id)
        self.workflow_id = workflow_id


Take = Callable[[Transaction, QueuedTask], Lease]


@frozen
class Moved:
    """A workflow after an event.

    Attributes:
        stored: As it is stored now.
        workflow: Its state.
        commands: What the engine asked for.
        lease: Of the attempt that is next, if it was taken at once.
    """

    stored: StoredWorkflow
    workflow: Workflow
    commands: tuple[Command, ...]
    lease: Lease | None = None

    @property
    def stopped(self) -> list[str]:
        """Ids of the attempts that are no longer wanted."""
        return _stopped(self.stored, self.commands)

    @property
    def finished(self) -> bool:
        """Whether this was the end of the workflow."""
        return any(isinstance(command, FinishWorkflow) for command in self.commands)


class Flow:
    """The rules by which events and results change the state.

    Args:
        plans: Plans of pipelines.
        now: Returns the time, ISO 8601 in UTC.
        clock: Returns seconds since the epoch.
        new_id: Returns an identifier that nothing else has.
        ended: Told of each workflow that comes to its end, within the transaction.
    """

    def __init__(
        self,
        plans: Plans,
        *,
        now: Callable[[], str],
        clock: Callable[[], float],
        new_id: Callable[[], str],
        ended: Callable[[Ending], None] = lambda ending: None,
    ) -> None:
        self.plans = plans
        self._now = now
        self._clock = clock
        self._new_id = new_id
        self._ended = ended
        self._starting: set[str] = set()

    def file_event(
        self,
        tx: Transaction,
        record: FileRecord,
        *,
        kind: EventKind,
        caused_by: Collection[str] = (),
    ) -> None:
        """Decide about an event of a file for each pipeline, and start those that fire.

        Args:
            tx: The transaction.
            record: The file.
            kind: What happened.
            caused_by: Ids of pipelines that brought it about other than by writing the file.
        """
        facts = facts_of(record)
        entries = []
        for pipeline in tx.pipelines.all():
            decided = decide(pipeline, kind, record=record, caused_by=caused_by, facts=facts)
            if decided is not None:
                what = EventKind.DELETED if kind is EventKind.DELETED else EventKind.FILE
                # A version that fired when it came does not fire again when its labels change.
                key = f"{pipeline.id}/{what.value}/{record.pointer.file_id}"
                entries.append(
                    self._settled(tx, pipeline, kind=kind, key=key, record=record, decided=decided)
                )
        if entries:
            tx.ledger.add(entries)

    def request(
        self,
        tx: Transaction,
        pipeline: Pipeline,
        *,
        kind: EventKind,
        key: str,
        record: FileRecord | None,
    ) -> LedgerEntry | None:
        """Start a workflow that a person or the time asks for, whatever the condition says.

        Args:
            tx: The transaction.
            pipeline: The pipeline.
            kind: What asks for it.
            key: The same for the same request; another one makes another workflow.
            record: The file to start it for, or None.

        Returns:
            What was decided; None if the pipeline is not for such events, or disabled.
        """
        decided = decide(pipeline, kind, record=record)
        if decided is None:
            return None
        key = f"{pipeline.id}/{kind.value}/{key}"
        entry = self._settled(tx, pipeline, kind=kind, key=key, record=record, decided=decided)
        tx.ledger.add([entry])
        return entry

    def move(
        self,
        tx: Transaction,
        stored: StoredWorkflow,
        *,
        event: Event,
        take: Take | None = None,
    ) -> Moved:
        """Give an event to a workflow, and do in the state what follows from it.

        Args:
            tx: The transaction.
            stored: The workflow as it is.
            event: What happened.
            take: Leases the attempt that is next; None leaves it to whoever is free.
        """
        protocol = self.plans.protocol(stored.protocol_digest)
        before = from_plain(
            stored.state, protocol, workflow_id=stored.id, pipeline_id=stored.pipeline_id
        )
        workflow, commands = advance(before, event)
        if workflow == before:
            return Moved(stored, workflow, commands)
        changed = replace(
            stored,
            status=workflow.status,
            waiting=False,
            updated_at=self._now(),
            state=to_plain(workflow),
        )
        tx.workflows.update(changed)
        lease = self._carry_out(tx, changed, commands, take=take)
        if isinstance(event, CancelRequested | WorkflowRefused):
            for task in tx.queue.of_workflow(stored.id):  # a retry that was to come
                tx.queue.remove(stored.id, step=task.step, attempt=task.attempt)
        return Moved(changed, workflow, commands, lease)

    def finish_attempt(
        self,
        tx: Transaction,
        lease: Lease,
        *,
        stored: StoredWorkflow,
        record: AttemptRecord,
        changes: Changes,
        take: Take,
    ) -> Moved:
        """Make an attempt's result and its files last, with all that follows from them.

        Args:
            tx: The transaction.
            lease: The right to the attempt.
            stored: The workflow as it was when it was leased. It is that still: whatever
                changes a workflow whose attempt runs takes the attempt away.
            record: What came of the attempt.
            changes: What it wrote.
            take: Leases the workflow's next attempt.

        Raises:
            LeaseLost: The attempt is no longer the caller's to finish; nothing was changed.
            FileConflict: A precondition does not hold; nothing was changed.
        """
        task = lease.task
        if not tx.queue.finish(lease):
            raise LeaseLost(f"the lease of {task.workflow_id}-{task.step} is over")
        if changes != Changes():
            tx.files.commit(changes)
        tx.workflows.add_attempt(
            StoredAttempt(
                workflow_id=task.workflow_id,
                step=task.step,
                attempt=task.attempt,
                kind=record.outcome.kind.value,
                record={**attempt_plain(record), "fence": lease.fence},
                finished_at=self._now(),
            )
        )
        event = AttemptFinished(task.step, task.attempt, record.outcome, at=self._clock())
        moved = self.move(tx, stored, event=event, take=take)
        self._announce(tx, changes, pipeline_id=stored.pipeline_id)
        return moved

    def begin(self, tx: Transaction, task: QueuedTask) -> StoredWorkflow | None:
        """Return the workflow of a task that is about to be attempted.

        None where the task is not wanted any more; it is removed then.
        """
        stored = tx.workflows.get(task.workflow_id)
        if stored is not None and not stored.waiting:
            if task.due_at:
                event = RetryDue(step=task.step, attempt=task.attempt)
                stored = self.move(tx, stored, event=event).stored
            step = stored.state["steps"][task.step]
            wanted = StepStatus(step["status"]) is StepStatus.RUNNING
            if wanted and step["attempt"] == task.attempt:
                return stored
        tx.queue.remove(task.workflow_id, step=task.step, attempt=task.attempt)
        return None

    def abandon(self, tx: Transaction, stored: StoredWorkflow, *, why: str) -> StoredWorkflow:
        """End a workflow as failed although its protocol cannot be read any more.

        Once that is mended it can be retried, from the step that it was at.
        """
        ended = replace(
            stored,
            status=WorkflowStatus.FAILED,
            waiting=False,
            updated_at=self._now(),
            state=abandoned(stored.state, why),
        )
        tx.workflows.update(ended)
        for task in tx.queue.of_workflow(stored.id):
            tx.queue.remove(task.workflow_id, step=task.step, attempt=task.attempt)
        self._after_end(tx, Ending(ended))
        return ended

    def start_waiting(self, tx: Transaction, pipeline: Pipeline) -> int:
        """Start waiting workflows, a hundred at most, as far as the pipeline lets them.

        Returns:
            How many wait no longer; where it is not 0, more may wait.
        """
        if pipeline.status is PipelineStatus.PAUSED or pipeline.id in self._starting:
            return 0
        # One that ends at once would begin this again within itself.
        self._starting.add(pipeline.id)
        try:
            count = 0
            while count < _BATCH:
                waiting = tx.workflows.next_waiting(pipeline.id, limit=self._room(tx, pipeline))
                for stored in waiting:
                    self._start(tx, stored)
                count += len(waiting)
                if not waiting:
                    break
            return count
        finally:
            self._starting.discard(pipeline.id)

    def _room(self, tx: Transaction, pipeline: Pipeline) -> int:
        limit = pipeline.spec.max_parallel
        if not limit:
            return _BATCH
        return min(_BATCH, max(0, limit - tx.workflows.in_progress(pipeline.id)))

    def _start(self, tx: Transaction, stored: StoredWorkflow) -> None:
        """Start a workflow that waited; one whose protocol cannot be read fails."""
        try:
            self.move(tx, stored, event=WorkflowStarted())
        except SteplineError as error:
            if may_pass(error):
                raise
            self.abandon(tx, stored, why=str(error))

    def _announce(self, tx: Transaction, changes: Changes, *, pipeline_id: str) -> None:
        for record in changes.files:
            self.file_event(tx, record, kind=EventKind.FILE)
        for edit in changes.labels:
            edited = None if edit.silent else tx.files.get(edit.file_id)
            if edited is not None:
                self.file_event(tx, edited, kind=EventKind.LABELS, caused_by=(pipeline_id,))

    def _settled(
        self,
        tx: Transaction,
        pipeline: Pipeline,
        *,
        kind: EventKind,
        key: str,
        record: FileRecord | None,
        decided: tuple[Decision, str],
    ) -> LedgerEntry:
        """Return the entry for a decision, after making the workflow if it is to be made."""
        decision, reason = decided
        workflow_id = ""
        if decision in (Decision.FIRED, Decision.PAUSED):
            try:
                workflow_id = self._fire(tx, pipeline, key=key, record=record)
            except UserError as error:
                decision, reason = Decision.ERROR, str(error)
            except _MadeBefore as made:
                decision, reason = Decision.DUPLICATE, _RAN_BEFORE
                workflow_id = made.workflow_id
        return LedgerEntry(
            at=self._now(),
            event=kind,
            pipeline_id=pipeline.id,
            revision=pipeline.revision,
            decision=decision,
            reason=reason,
            file_id=record.pointer.file_id if record else "",
            workflow_id=workflow_id,
        )

    def _fire(
        self, tx: Transaction, pipeline: Pipeline, *, key: str, record: FileRecord | None
    ) -> str:
        """Make a workflow, start it unless it has to wait, and return its id.

        Raises:
            UserError: The pipeline cannot start any: something that it names is missing.
        """
        plan, limit = self.plans.of(pipeline), pipeline.spec.max_parallel
        full = limit and tx.workflows.in_progress(pipeline.id) >= limit
        workflow = self._new(plan, record)
        commands: Sequence[Command] = ()
        waiting = bool(full) or pipeline.status is PipelineStatus.PAUSED
        if not waiting:
            workflow, commands = advance(workflow, WorkflowStarted())
        stored = self._stored(plan, workflow, key=key, record=record, waiting=waiting)
        if not tx.workflows.add(stored):
            earlier = tx.workflows.by_dedupe_key(key)
            raise _MadeBefore(earlier.id if earlier else "")
        self._carry_out(tx, stored, commands)
        return stored.id

    def _new(self, plan: Plan, record: FileRecord | None) -> Workflow:
        pipeline = plan.pipeline
        return create_workflow(
            plan.protocol,
            workflow_id=self._new_id(),
            started_at=self._now(),
            input_file=input_file_value(record) if record else None,
            config=plan.config,
            pipeline_id=pipeline.id,
            retry=pipeline.spec.retry,
            step_defaults=plan.defaults,
            confinement=pipeline.spec.confinement,
        )

    def _stored(
        self,
        plan: Plan,
        workflow: Workflow,
        *,
        key: str,
        record: FileRecord | None,
        waiting: bool,
    ) -> StoredWorkflow:
        pipeline = plan.pipeline
        return StoredWorkflow(
            id=workflow.id,
            pipeline_id=pipeline.id,
            revision=pipeline.revision,
            status=workflow.status,
            waiting=waiting,
            priority=pipeline.spec.priority,
            dedupe_key=key,
            input_file_id=record.pointer.file_id if record else "",
            protocol_digest=plan.protocol_digest,
            scripts=plan.scripts,
            created_at=workflow.started_at,
            updated_at=workflow.started_at,
            state=to_plain(workflow),
        )

    def _carry_out(
        self,
        tx: Transaction,
        stored: StoredWorkflow,
        commands: Sequence[Command],
        *,
        take: Take | None = None,
    ) -> Lease | None:
        lease = None
        for command in commands:
            if isinstance(command, StartTask):
                task = queued(stored, step=command.step, attempt=command.attempt)
                if take is None:
                    tx.queue.put(task)
                else:
                    lease = take(tx, task)
            elif isinstance(command, ScheduleRetry):
                tx.queue.put(
                    queued(stored, step=command.step, attempt=command.attempt, due_at=command.at)
                )
            elif isinstance(command, StopTask):
                tx.queue.remove(stored.id, step=command.step, attempt=command.attempt)
            elif isinstance(command, FinishWorkflow):
                self._after_end(tx, Ending(stored, _stopped(stored, commands)))
        return lease

    def _after_end(self, tx: Transaction, ending: Ending) -> None:
        self._ended(ending)
        pipeline = tx.pipelines.get(ending.stored.pipeline_id)
        if pipeline is not None and pipeline.spec.max_parallel:
            self.start_waiting(tx, pipeline)


def _stopped(stored: StoredWorkflow, commands: Sequence[Command]) -> list[str]:
    """Return the ids of the attempts that commands stop."""
    stops = [command for command in commands if isinstance(command, StopTask)]
    return [attempt_id(task_id_of(stored.id, stop.step), stop.attempt) for stop in stops]


def may_pass(error: SteplineError) -> bool:
    """Return whether what failed may go well when it is done again later."""
    return isinstance(error, PlatformError) and error.retryable


def queued(stored: StoredWorkflow, *, step: int, attempt: int, due_at: float = 0.0) -> QueuedTask:
    """Return the entry of the queue for an attempt of a workflow."""
    return QueuedTask(
        workflow_id=stored.id,
        step=step,
        attempt=attempt,
        pipeline_id=stored.pipeline_id,
        priority=stored.priority,
        due_at=due_at,
    )
