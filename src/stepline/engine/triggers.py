"""Whether an event starts a pipeline, and what decided.

Source:
    The pipeline rules, sections "Triggers" and "What starts no workflow".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple, TypeAlias

from stepline.frozen import frozen
from stepline.model.file import FileCategory, FileRecord
from stepline.model.ledger import Decision, EventKind
from stepline.model.patterns import MAX_TEXT, pattern_matches
from stepline.model.pipeline import (
    Clause,
    Condition,
    Group,
    Operator,
    Pipeline,
    PipelineStatus,
    Schedule,
)
from stepline.model.pipeline_rules import NEGATIONS, clause_text, values_of

Facts: TypeAlias = Mapping[str, tuple[str, ...]]
"""The values of each property of a file; one without values may be left out."""

MAX_REASON = 500
"""Longest reason, in characters."""

_SHOWN_VALUE = 80
_TMP = FileCategory.TMP.value


@frozen
class Verdict:
    """Whether a condition holds.

    Attributes:
        matched: Whether it does.
        reason: The clause that decided, and what the file has where it does not hold.
    """

    matched: bool
    reason: str


class Decided(NamedTuple):
    """What an event does to a pipeline.

    Attributes:
        kind: The decision.
        reason: The clause that decided, or what stands against a workflow.
    """

    kind: Decision
    reason: str


def facts_of(record: FileRecord) -> dict[str, tuple[str, ...]]:
    """Return what conditions can ask about a file version."""
    source, producer = record.source, record.provenance.get("pipelineId")
    ids_name, _, ids_version = record.ids.partition(":")
    plain = {
        "category": record.category.value,
        "sourceId": source.get("id"),
        "sourceType": source.get("type"),
        "sourceName": source.get("name"),
        "filePath": record.pointer.key.split("/", 3)[-1],
        "fileName": record.name,
        "ids": record.ids,
        "idsType": ids_name.partition("/")[2],
        "idsVersion": ids_version,
        "pipelineId": producer if isinstance(producer, str) else "",
    }
    facts: dict[str, tuple[str, ...]]
    facts = {key: (value,) if value else () for key, value in plain.items()}
    facts["tags"] = record.tags
    for key, value in record.metadata.items():
        facts[f"metadata.{key}"] = (value,)
    for label in record.labels:
        key = f"labels.{label.name}"
        facts[key] = (*facts.get(key, ()), label.value)
    return facts


def match(condition: Condition, facts: Facts) -> Verdict:
    """Decide whether a condition holds for a file.

    A property with several values, such as labels of one name, fits a clause if any of
    them does; a clause that negates holds where its opposite does not, so also where the
    file lacks the property. Comparison minds case, but for that of categories.

    Args:
        condition: Without problems, as the parsers give it.
        facts: Of the file, as `facts_of` gives them.
    """
    if facts.get("category") == (_TMP,):
        return Verdict(False, "category: TMP files start no pipeline")
    if not condition.groups:
        return Verdict(False, "the trigger has no clauses, so that no file matches")
    groups = (_group(group, facts) for group in condition.groups)
    verdict = _joined(condition.operator, groups, count=_size(condition))
    return Verdict(verdict.matched, _shortened(verdict.reason, MAX_REASON))


def decide(
    pipeline: Pipeline,
    event: EventKind,
    *,
    record: FileRecord | None = None,
    already: str = "",
    caused_by: Collection[str] = (),
    facts: Facts | None = None,
) -> Decided | None:
    """Decide what an event does to a pipeline, and say why.

    Args:
        pipeline: Its newest revision.
        event: What happened.
        record: The file that it happened to; None if there is none.
        already: Id of the workflow that this pipeline made for this event before.
        caused_by: Ids of the pipelines in whose tasks the event came about. The file's own
            history does not tell who changed its labels.
        facts: Of the file, where the caller has them: it asks for several pipelines.

    Returns:
        The decision and its reason; None if the event does not concern the pipeline, which
        then needs no entry in the ledger.
    """
    verdict = _verdict(pipeline, event, record, facts)
    if verdict is None:
        return None
    if not verdict.matched:
        return Decided(Decision.NOT_MATCHED, verdict.reason)
    if event is not EventKind.REQUEST and (loop := _loop(pipeline, record, caused_by)):
        return Decided(Decision.LOOP, loop)
    if already:
        return Decided(Decision.DUPLICATE, f"this event made workflow {already} before")
    if pipeline.status is PipelineStatus.PAUSED:
        return Decided(Decision.PAUSED, f"the pipeline is paused; {verdict.reason}")
    return Decided(Decision.FIRED, verdict.reason)


def _verdict(
    pipeline: Pipeline, event: EventKind, record: FileRecord | None, facts: Facts | None
) -> Verdict | None:
    """Return whether an event asks for a workflow, None if it does not concern the pipeline."""
    trigger = pipeline.spec.trigger
    if event is EventKind.REQUEST:
        return Verdict(True, "somebody asked for it")
    if pipeline.status is PipelineStatus.DISABLED:
        return None
    if event is EventKind.SCHEDULE or isinstance(trigger, Schedule):
        if event is not EventKind.SCHEDULE or not isinstance(trigger, Schedule):
            return None
        return Verdict(True, f"its time has come: {trigger.cron} ({trigger.zone})")
    if event is EventKind.DELETED and not pipeline.spec.run_on_deleted:
        return Verdict(False, "deleted files do not start it: runOnDeleted is off")
    if record is None:
        return None
    return match(trigger, facts_of(record) if facts is None else facts)


def _loop(pipeline: Pipeline, record: FileRecord | None, caused_by: Collection[str]) -> str:
    """Return how the pipeline had a part in the event, or an empty string."""
    if pipeline.id in caused_by:
        return f"a task of this pipeline ({pipeline.id}) made the change"
    history = record.history if record else ()
    if pipeline.id not in history:
        return ""
    listed = ", ".join(history)
    return _shortened(f"the file came from this pipeline ({pipeline.id}): {listed}", MAX_REASON)


def _group(group: Group, facts: Facts) -> Verdict:
    clauses = (_clause(clause, facts) for clause in group.clauses)
    return _joined(group.operator, clauses, count=len(group.clauses))


def _joined(operator: Operator, parts: Iterable[Verdict], *, count: int) -> Verdict:
    """Join verdicts, looking no further than where the outcome is clear."""
    wanted = operator is Operator.OR
    reasons = []
    for verdict in parts:
        if verdict.matched is wanted:
            return verdict
        reasons.append(verdict.reason)
    if not reasons:
        return Verdict(False, "a group without clauses matches nothing")
    if not wanted:
        return Verdict(True, " and ".join(reasons))
    if len(reasons) == 1:
        return Verdict(False, reasons[0])
    return Verdict(False, f"none of {count} clauses holds ({'; '.join(reasons)})")


def _clause(clause: Clause, facts: Facts) -> Verdict:
    found = facts.get(clause.key, ())
    opposite = NEGATIONS.get(clause.operator)
    holds = _holds(clause, opposite or clause.operator, found=found)
    text = _shortened(clause_text(clause), 2 * _SHOWN_VALUE)
    if holds is (opposite is None):
        return Verdict(True, text)
    return Verdict(False, f"{text}: {_what_it_has(clause, found)}")


def _holds(clause: Clause, operator: str, *, found: tuple[str, ...]) -> bool:
    if operator == "exists":
        return bool(found)
    test, wanted = _TESTS[operator], values_of(clause)
    if clause.key == "category":
        found = tuple(map(str.upper, found))
        wanted = tuple(f"(?i){one}" if operator == "matches" else one.upper() for one in wanted)
    return any(test(value, one) for value in found for one in wanted)


def _what_it_has(clause: Clause, found: tuple[str, ...]) -> str:
    if not found:
        return "the file has none"
    if clause.operator == "matches" and any(len(value) > MAX_TEXT for value in found):
        return f"the file's has over {MAX_TEXT} characters, which patterns do not look at"
    shown = _shortened(", ".join(found), _SHOWN_VALUE)
    return f"the file has {shown}" if clause.key == "tags" else f"the file's is {shown}"


def _size(condition: Condition) -> int:
    return sum(len(group.clauses) for group in condition.groups)


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


_TESTS: dict[str, Callable[[str, str], bool]] = {
    "is": str.__eq__,
    "is one of": str.__eq__,
    "has a tag that is": str.__eq__,
    "contains": str.__contains__,
    "starts with": str.startswith,
    "ends with": str.endswith,
    "matches": lambda text, pattern: pattern_matches(pattern, text),
}
