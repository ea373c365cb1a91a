"""The tables. Their history is in ``migrations``; a test compares the two.

Where a column is called ``number``, it is the order in which rows were added. What is
only stored and shown is JSON; what is looked for has a column.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()


# SQLite makes the row's own number of a primary key only where it is called INTEGER.
_ROW = BigInteger().with_variant(Integer(), "sqlite")


def _number() -> Column[int]:
    return Column("number", _ROW, primary_key=True, autoincrement=True)


def _text(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, Text, primary_key=key, nullable=False)


def _count(name: str, *, key: bool = False) -> Column[int]:
    return Column(name, BigInteger, primary_key=key, nullable=False, autoincrement=False)


counters = Table("counters", metadata, _text("name", key=True), _count("value"))

files = Table(
    "files",
    metadata,
    _number(),
    _text("file_id"),
    _text("key"),
    _text("version"),
    _count("deleted"),
    _text("workflow_id"),
    _text("labels"),
    _text("record"),
    Column("blob", Text, nullable=False, server_default=""),
    UniqueConstraint("file_id", name="uq_files_file_id"),
    sqlite_autoincrement=True,
)
Index("ix_files_key", files.c.key, files.c.number)
Index("ix_files_workflow", files.c.workflow_id, files.c.number)
Index("ix_files_blob", files.c.blob, files.c.number)

found_files = Table(
    "found_files",
    metadata,
    Column("file", _ROW, ForeignKey("files.number"), primary_key=True, autoincrement=False),
    _text("key"),
    _count("size"),
    Column("created_at", Text, nullable=True),
    Column("created_us", BigInteger, nullable=True),
    UniqueConstraint("key", name="uq_found_files_key"),
)
Index("ix_found_files_size", found_files.c.size, found_files.c.file)
Index("ix_found_files_created_at", found_files.c.created_at, found_files.c.file)
Index("ix_found_files_created_us", found_files.c.created_us, found_files.c.file)

file_terms = Table(
    "file_terms",
    metadata,
    _text("field", key=True),
    _text("value", key=True),
    _count("file", key=True),
    sqlite_with_rowid=False,
)

file_labels = Table(
    "file_labels",
    metadata,
    _text("name", key=True),
    _text("value", key=True),
    _count("file", key=True),
    sqlite_with_rowid=False,
)

Index("ix_file_labels_file", file_labels.c.file, file_labels.c.name, file_labels.c.value)

term_counts = Table(
    "term_counts",
    metadata,
    _text("field", key=True),
    _text("value", key=True),
    _count("files"),
    sqlite_with_rowid=False,
)

pipelines = Table(
    "pipelines",
    metadata,
    _text("id", key=True),
    _text("name"),
    _count("revision"),
    UniqueConstraint("name", name="uq_pipelines_name"),
)

pipeline_revisions = Table(
    "pipeline_revisions",
    metadata,
    _text("id", key=True),
    _count("revision", key=True),
    _text("status"),
    _text("created_at"),
    _text("updated_at"),
    _text("spec"),
)

ledger = Table(
    "ledger",
    metadata,
    _number(),
    _text("at"),
    _text("event"),
    _text("file_id"),
    _text("pipeline_id"),
    _count("revision"),
    _text("decision"),
    _text("reason"),
    _text("workflow_id"),
    sqlite_autoincrement=True,
)
Index("ix_ledger_file", ledger.c.file_id, ledger.c.number)
Index("ix_ledger_pipeline", ledger.c.pipeline_id, ledger.c.number)

workflows = Table(
    "workflows",
    metadata,
    _number(),
    _text("id"),
    _text("pipeline_id"),
    _count("revision"),
    _text("status"),
    _count("waiting"),
    _count("priority"),
    _text("dedupe_key"),
    _text("input_file_id"),
    _text("protocol_digest"),
    _text("scripts"),
    _text("created_at"),
    _text("updated_at"),
    _text("state"),
    UniqueConstraint("id", name="uq_workflows_id"),
    UniqueConstraint("dedupe_key", name="uq_workflows_dedupe_key"),
    sqlite_autoincrement=True,
)
Index("ix_workflows_status", workflows.c.status, workflows.c.number)
Index("ix_workflows_pipeline", workflows.c.pipeline_id, workflows.c.status, workflows.c.number)
Index("ix_workflows_number", workflows.c.pipeline_id, workflows.c.number)
Index("ix_workflows_created", workflows.c.created_at, workflows.c.number)
Index("ix_workflows_input", workflows.c.pipeline_id, workflows.c.input_file_id, workflows.c.number)
Index(
    "ix_workflows_waiting",
    workflows.c.pipeline_id,
    workflows.c.priority.desc(),
    workflows.c.number,
    sqlite_where=workflows.c.waiting == 1,
    postgresql_where=workflows.c.waiting == 1,
)

attempts = Table(
    "attempts",
    metadata,
    _text("workflow_id", key=True),
    _count("step", key=True),
    _count("attempt", key=True),
    _text("kind"),
    _text("finished_at"),
    _text("record"),
)

queue = Table(
    "queue",
    metadata,
    _number(),
    _text("workflow_id"),
    _count("step"),
    _count("attempt"),
    _text("pipeline_id"),
    _count("priority"),
    Column("due_at", Float, nullable=False),
    _text("stage"),
    _text("owner"),
    Column("until", Float, nullable=False),
    _count("leases"),
    UniqueConstraint("workflow_id", "step", "attempt", name="uq_queue_task"),
    sqlite_autoincrement=True,
)
Index("ix_queue_stage", queue.c.stage, queue.c.pipeline_id, queue.c.number)
Index("ix_queue_due", queue.c.stage, queue.c.due_at, queue.c.pipeline_id, queue.c.number)

artifacts = Table(
    "artifacts",
    metadata,
    _text("kind", key=True),
    _text("namespace", key=True),
    _text("slug", key=True),
    _text("version", key=True),
    _text("digest"),
    _text("archive"),
    _text("build_id"),
    _text("created_at"),
    _text("updated_at"),
    _count("forced"),
)

digests = Table("digests", metadata, _text("digest", key=True), _text("archive"))

builds = Table(
    "builds",
    metadata,
    _number(),
    _text("id"),
    _text("kind"),
    _text("namespace"),
    _text("slug"),
    _text("version"),
    _text("archive"),
    _count("forced"),
    _text("status"),
    _text("created_at"),
    _text("finished_at"),
    _text("digest"),
    UniqueConstraint("id", name="uq_builds_id"),
    sqlite_autoincrement=True,
)
Index("ix_builds_status", builds.c.status, builds.c.number)

build_log = Table(
    "build_log",
    metadata,
    _text("build_id", key=True),
    _count("line", key=True),
    _text("at"),
    _text("text"),
)

stored_values = Table(
    "stored_values",
    metadata,
    _text("space", key=True),
    _text("name", key=True),
    _text("value"),
)

intake = Table("intake", metadata, _text("key", key=True), _text("file_id"))
