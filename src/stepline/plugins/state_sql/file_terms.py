"""What searches find files by: terms, as fields of `engine.search.document` have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from stepline.engine.fields import TEXT, words
from stepline.engine.search import document
from stepline.engine.values import EPOCH, instant
from stepline.model.file import FileRecord

EXISTS = "exists"
"""Terms of this field are the names of the fields that a file has."""

ODD = "odd"
"""Terms of this field are the names of fields with values of which no term can be made."""

WORD = " word"
"""Ends the name of the field that has the words of a text."""

SCALARS = frozenset(
    """
    orgSlug traceId sourceFileId category filePath sha256 createdAt source.id source.type
    source.name tags ids idsType idsTypeVersion workflowId pipelineId taskId taskSlug
    """.split()
)
"""Fields that have terms, besides those of the metadata."""

METADATA = "metadata."

# Nearly every file has a value of its own there, or the values are few anyway.
_UNCOUNTED = frozenset("traceId sourceFileId sha256 filePath createdAt workflowId taskId".split())


class Entry(NamedTuple):
    """What a file is found by.

    Attributes:
        terms: Pairs of field and value.
        labels: Pairs of name and value.
        created_at: As it is written, None where there is none.
        created_us: Microseconds since the epoch, None where it is no time.
    """

    terms: frozenset[tuple[str, str]]
    labels: frozenset[tuple[str, str]]
    created_at: str | None
    created_us: int | None

    @property
    def counted(self) -> set[tuple[str, str]]:
        """Terms of which it is kept how many files have them; the empty one counts all."""
        found = {term for term in self.terms if is_counted(term[0])}
        return {("", ""), *found}


def is_counted(field: str) -> bool:
    """Whether it is kept how many files have each term of a field."""
    return field not in _UNCOUNTED and not field.endswith(WORD)


def entry_of(record: FileRecord) -> Entry:
    """Return what a file version is found by."""
    terms = set(_terms(document(record)))
    created = record.created_at if ("createdAt", record.created_at) in terms else None
    moment = instant(created)
    if created is not None and moment is None:
        terms.add((ODD, "createdAt"))
    labels = {(label.name, label.value) for label in record.labels}
    if not all(_is_plain(part) for label in labels for part in label):
        terms.add((ODD, "labels"))
        labels = set()
    return Entry(
        frozenset(terms), frozenset(labels), created, None if moment is None else micros(moment)
    )


def micros(moment: datetime) -> int:
    """Return a time as microseconds since the epoch."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def _terms(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field, value in _fields(found):
        values = value if isinstance(value, list) and field == "tags" else [value]
        if values:
            yield EXISTS, field
        for one in values:
            if not _is_plain(one):
                yield ODD, field
                continue
            yield field, one
            if field in TEXT:
                yield from ((field + WORD, word) for word in words(one))


def _fields(found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for field in SCALARS:
        value: Any = found
        for part in field.split("."):
            value = value[part]
        if value is not None:
            yield field, value
    for name, value in found["metadata"].items():
        # A dotted path cannot lead to a name with a dot.
        if "." not in name and _is_plain(name) and value is not None:
            yield METADATA + name, value


def _is_plain(value: Any) -> bool:
    """Whether a value is text that a database takes."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value
