"""Pipelines of the service: set, shown, paused; and what would fire."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from stepline.app.findings import Findings
from stepline.app.service.flow import Flow
from stepline.app.service.newest import newest_files
from stepline.app.service.plans import IN_PIPELINE
from stepline.engine.events import CancelRequested
from stepline.engine.triggers import decide, facts_of
from stepline.errors import ArtifactNotFound, Location, Problem
from stepline.frozen import frozen
from stepline.model.file import FileRecord
from stepline.model.ledger import Decision, EventKind, LedgerEntry
from stepline.model.pipeline import Pipeline, PipelineSpec, PipelineStatus, Schedule
from stepline.model.protocol import Protocol, TriggerType
from stepline.ports.state import State, Transaction

_CANCELLED_AT_ONCE = 100


class PipelineNotFound(ArtifactNotFound):
    """There is no such pipeline."""


@frozen
class WouldFire:
    """What a pipeline would do with a file that is stored.

    Attributes:
        record: The file.
        decision: What would be decided.
        reason: Why.
    """

    record: FileRecord
    decision: Decision
    reason: str


class PipelineService:
    """The pipelines.

    Args:
        state: The service's state.
        flow: The rules.
        now: Returns the time, ISO 8601 in UTC.
        new_id: Returns an identifier that nothing else has.
        check_secrets: Returns what is wrong with the secrets that config values name.
        changed: Called after a change that may have queued tasks, or moved schedules.
    """

    def __init__(
        self,
        state: State,
        flow: Flow,
        *,
        now: Callable[[], str],
        new_id: Callable[[], str],
        check_secrets: Callable[[PipelineSpec], Sequence[Problem]],
        changed: Callable[[], None],
    ) -> None:
        self._state = state
        self._flow = flow
        self._now = now
        self._new_id = new_id
        self._check_secrets = check_secrets
        self._changed = changed

    def apply(self, spec: PipelineSpec, *, status: PipelineStatus | None = None) -> Pipeline:
        """Store a pipeline, or a new revision of the one with its name, unless it is the same.

        Args:
            spec: What a person set.
            status: What it does with events; None leaves that, or enables a new one.

        Raises:
            UserError: An artifact, a shared setting, a secret or a required value is missing.
        """
        self.check(spec)

        def act(tx: Transaction) -> Pipeline:
            now = self._now()
            known = tx.pipelines.get(spec.name)
            wanted = status or (known.status if known else PipelineStatus.ENABLED)
            if known is not None and (known.spec, known.status) == (spec, wanted):
                return known
            if known is None:
                made = Pipeline(
                    id=self._new_id(), revision=1, spec=spec, created_at=now, updated_at=now
                )
            elif known.spec == spec:
                made = known
            else:
                made = replace(known, revision=known.revision + 1, spec=spec, updated_at=now)
            made = replace(made, status=wanted)
            tx.pipelines.put(made)
            return made

        made = self._state.write(act)
        self._flow.plans.of(made)
        self._start_waiting(made.id)
        self._changed()
        return made

    def check(self, spec: PipelineSpec) -> None:
        """Check that a pipeline could start workflows.

        Raises:
            UserError: With all that is missing, by paths as in a pipeline's file.
        """
        self._look(spec).check()

    def problems(self, spec: PipelineSpec) -> Sequence[Problem]:
        """Return all that keeps a pipeline from starting workflows, as `check` raises it."""
        return self._look(spec).problems

    def _look(self, spec: PipelineSpec) -> Findings:
        found = Findings(IN_PIPELINE)
        plans = self._flow.plans
        plans.look(Pipeline(id="", revision=0, spec=spec), found)
        pinned = plans.pinned(spec.protocol, found)
        if pinned is not None:
            found.add(_trigger_problems(spec, pinned[1]))
        found.add(self._check_secrets(spec))
        return found

    def get(self, name_or_id: str) -> Pipeline:
        """Return a pipeline's newest revision.

        Raises:
            PipelineNotFound: There is none; names those that there are.
        """
        with self._state.read() as view:
            found = view.pipelines.get(name_or_id)
            if found is not None:
                return found
            known = ", ".join(each.spec.name for each in view.pipelines.all()) or "none"
        raise PipelineNotFound(f"there is no pipeline '{name_or_id}'", hint=f"there are: {known}")

    def all(self) -> Sequence[Pipeline]:
        """Return all pipelines by name."""
        with self._state.read() as view:
            return view.pipelines.all()

    def revisions(self, name_or_id: str) -> Sequence[Pipeline]:
        """Return all revisions of a pipeline, oldest first."""
        pipeline = self.get(name_or_id)
        with self._state.read() as view:
            return view.pipelines.revisions(pipeline.id)

    def set_status(self, name_or_id: str, status: PipelineStatus) -> Pipeline:
        """Enable, pause or disable a pipeline; what waited starts when it is enabled.

        Raises:
            PipelineNotFound: There is none.
        """
        pipeline_id = self.get(name_or_id).id

        def act(tx: Transaction) -> Pipeline | None:
            known = tx.pipelines.get(pipeline_id)
            if known is None:
                return None
            changed = replace(known, status=status)
            tx.pipelines.put(changed)
            return changed

        changed = self._state.write(act)
        if changed is None:
            raise PipelineNotFound(f"there is no pipeline '{name_or_id}'")
        if status is PipelineStatus.ENABLED:
            self._start_waiting(changed.id)
        self._changed()
        return changed

    def delete(self, name_or_id: str) -> None:
        """Remove a pipeline; its workflows stay, those in progress go on, those that wait end.

        Raises:
            PipelineNotFound: There is none.
        """
        pipeline = self.get(name_or_id)
        self.set_status(pipeline.id, PipelineStatus.DISABLED)

        def cancel_some(tx: Transaction) -> int:
            waiting = tx.workflows.next_waiting(pipeline.id, limit=_CANCELLED_AT_ONCE)
            for stored in waiting:
                self._flow.move(tx, stored, event=CancelRequested("its pipeline was deleted"))
            return len(waiting)

        while self._state.write(cancel_some):
            pass
        self._state.write(lambda tx: tx.pipelines.delete(pipeline.id))
        self._changed()

    def would_fire(self, spec: PipelineSpec, *, limit: int = 10_000) -> Sequence[WouldFire]:
        """Return what a pipeline would do with each stored file that it matches."""
        known = next((each for each in self.all() if each.spec.name == spec.name), None)
        pipeline = Pipeline(id=known.id if known else "", revision=0, spec=spec)
        found: list[WouldFire] = []
        with self._state.read() as view:
            for record in newest_files(view.files):
                decided = decide(pipeline, EventKind.FILE, record=record, facts=facts_of(record))
                if decided and decided.kind is not Decision.NOT_MATCHED:
                    found.append(WouldFire(record, decided.kind, decided.reason))
                if len(found) == limit:
                    break
        return found

    def explain(self, name_or_id: str, *, limit: int = 100) -> Sequence[LedgerEntry]:
        """Return the newest decisions for a pipeline, newest first.

        Raises:
            PipelineNotFound: There is none.
        """
        pipeline = self.get(name_or_id)
        with self._state.read() as view:
            return view.ledger.of_pipeline(pipeline.id, limit=limit)

    def explain_file(self, file_id: str) -> Sequence[LedgerEntry]:
        """Return all decisions about a file version, oldest first."""
        with self._state.read() as view:
            return view.ledger.of_file(file_id)

    def start_waiting(self) -> None:
        """Start what waits for no reason any more, such as where a resume was cut short."""
        for pipeline in self.all():
            self._start_waiting(pipeline.id)

    def _start_waiting(self, pipeline_id: str) -> None:
        """Start what waits, some at a time, so that other writers get their turns."""

        def act(tx: Transaction) -> int:
            pipeline = tx.pipelines.get(pipeline_id)
            return 0 if pipeline is None else self._flow.start_waiting(tx, pipeline)

        while self._state.write(act):
            self._changed()


def _trigger_problems(spec: PipelineSpec, protocol: Protocol) -> list[Problem]:
    wanted = TriggerType.SCHEDULED if isinstance(spec.trigger, Schedule) else TriggerType.FILE
    if wanted in protocol.triggers:
        return []
    what = f"the protocol {spec.protocol} may not be started by {wanted.value}"
    allowed = ", ".join(sorted(each.value for each in protocol.triggers))
    hint = f"its constraints allow: {allowed or 'nothing'}"
    return [Problem("wrong-trigger", what, Location(IN_PIPELINE), hint, source="trigger")]
