"""The trigger ledger: what was decided about each event for each pipeline, and why."""

from __future__ import annotations

from enum import Enum

from stepline.frozen import frozen


class EventKind(str, Enum):
    """What may start a pipeline."""

    FILE = "file"
    LABELS = "labels"
    DELETED = "deleted"
    SCHEDULE = "schedule"
    REQUEST = "request"


class Decision(str, Enum):
    """What was decided about an event for one pipeline.

    FIRED: a workflow was made.
    NOT_MATCHED: the condition does not hold.
    DUPLICATE: this event made a workflow of this pipeline before.
    LOOP: the pipeline has a part in how the file came to be.
    PAUSED: a workflow was made, and waits until the pipeline is resumed.
    ERROR: it should have fired and could not: a secret is missing, a protocol is gone.
    """

    FIRED = "fired"
    NOT_MATCHED = "not-matched"
    DUPLICATE = "duplicate"
    LOOP = "loop"
    PAUSED = "paused"
    ERROR = "error"


@frozen(kw_only=True)
class LedgerEntry:
    """One decision.

    Attributes:
        id: Number in the order of decisions; 0 before it is stored.
        at: When, ISO 8601, UTC.
        event: What happened.
        file_id: The file that it happened to; empty for a schedule.
        pipeline_id: For which pipeline it was decided.
        revision: The pipeline's revision then.
        decision: What was decided.
        reason: The clause that decided, or what is wrong; in words.
        workflow_id: The workflow that was made, or was there before; else empty.
    """

    at: str
    event: EventKind
    pipeline_id: str
    revision: int
    decision: Decision
    reason: str
    file_id: str = ""
    workflow_id: str = ""
    id: int = 0
