"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# SQLite makes the row's own number of a primary key only where it is called INTEGER.
_ROW = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def number() -> sa.Column[int]:
    """Return the column of the order in which rows were added."""
    return sa.Column("number", _ROW, autoincrement=True, nullable=False)


def text(name: str) -> sa.Column[str]:
    """Return a column of text."""
    return sa.Column(name, sa.Text(), nullable=False)


def count(name: str) -> sa.Column[int]:
    """Return a column of numbers."""
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=False)


def upgrade() -> None:
    """Make all tables."""
    _counters()
    _files()
    _found_files()
    _file_terms()
    _file_labels()
    _term_counts()
    _intake()
    _pipelines()
    _pipeline_revisions()
    _ledger()
    _workflows()
    _attempts()
    _queue()
    _artifacts()
    _digests()
    _builds()
    _build_log()
    _stored_values()


def _counters() -> None:
    op.create_table("counters", text("name"), count("value"), sa.PrimaryKeyConstraint("name"))


def _files() -> None:
    op.create_table(
        "files",
        number(),
        text("file_id"),
        text("key"),
        text("version"),
        count("deleted"),
        text("workflow_id"),
        text("labels"),
        text("record"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("file_id", name="uq_files_file_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_files_key", "files", ["key", "number"])
    op.create_index("ix_files_workflow", "files", ["workflow_id", "number"])


def _found_files() -> None:
    op.create_table(
        "found_files",
        sa.Column("file", _ROW, autoincrement=False, nullable=False),
        text("key"),
        count("size"),
        sa.Column("created_at", sa.Text(), nullable=True),
        sa.Column("created_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["file"], ["files.number"]),
        sa.PrimaryKeyConstraint("file"),
        sa.UniqueConstraint("key", name="uq_found_files_key"),
    )
    op.create_index("ix_found_files_created_at", "found_files", ["created_at", "file"])
    op.create_index("ix_found_files_created_us", "found_files", ["created_us", "file"])
    op.create_index("ix_found_files_size", "found_files", ["size", "file"])


def _file_terms() -> None:
    op.create_table(
        "file_terms",
        text("field"),
        text("value"),
        count("file"),
        sa.PrimaryKeyConstraint("field", "value", "file"),
        sqlite_with_rowid=False,
    )


def _file_labels() -> None:
    op.create_table(
        "file_labels",
        text("name"),
        text("value"),
        count("file"),
        sa.PrimaryKeyConstraint("name", "value", "file"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_file_labels_file", "file_labels", ["file", "name", "value"])


def _term_counts() -> None:
    op.create_table(
        "term_counts",
        text("field"),
        text("value"),
        count("files"),
        sa.PrimaryKeyConstraint("field", "value"),
        sqlite_with_rowid=False,
    )


def _intake() -> None:
    op.create_table("intake", text("key"), text("file_id"), sa.PrimaryKeyConstraint("key"))


def _pipelines() -> None:
    op.create_table(
        "pipelines",
        text("id"),
        text("name"),
        count("revision"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", name="uq_pipelines_name"),
    )


def _pipeline_revisions() -> None:
    op.create_table(
        "pipeline_revisions",
        text("id"),
        count("revision"),
        text("status"),
        text("created_at"),
        text("updated_at"),
        text("spec"),
        sa.PrimaryKeyConstraint("id", "revision"),
    )


def _ledger() -> None:
    op.create_table(
        "ledger",
        number(),
        text("at"),
        text("event"),
        text("file_id"),
        text("pipeline_id"),
        count("revision"),
        text("decision"),
        text("reason"),
        text("workflow_id"),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_ledger_file", "ledger", ["file_id", "number"])
    op.create_index("ix_ledger_pipeline", "ledger", ["pipeline_id", "number"])


def _workflows() -> None:
    op.create_table(
        "workflows",
        number(),
        text("id"),
        text("pipeline_id"),
        count("revision"),
        text("status"),
        count("waiting"),
        count("priority"),
        text("dedupe_key"),
        text("input_file_id"),
        text("protocol_digest"),
        text("scripts"),
        text("created_at"),
        text("updated_at"),
        text("state"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("dedupe_key", name="uq_workflows_dedupe_key"),
        sa.UniqueConstraint("id", name="uq_workflows_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_workflows_created", "workflows", ["created_at", "number"])
    op.create_index("ix_workflows_input", "workflows", ["pipeline_id", "input_file_id", "number"])
    op.create_index("ix_workflows_number", "workflows", ["pipeline_id", "number"])
    op.create_index("ix_workflows_pipeline", "workflows", ["pipeline_id", "status", "number"])
    op.create_index("ix_workflows_status", "workflows", ["status", "number"])
    op.create_index(
        "ix_workflows_waiting",
        "workflows",
        ["pipeline_id", sa.literal_column("priority DESC"), "number"],
        sqlite_where=sa.text("waiting = 1"),
        postgresql_where=sa.text("waiting = 1"),
    )


def _attempts() -> None:
    op.create_table(
        "attempts",
        text("workflow_id"),
        count("step"),
        count("attempt"),
        text("kind"),
        text("finished_at"),
        text("record"),
        sa.PrimaryKeyConstraint("workflow_id", "step", "attempt"),
    )


def _queue() -> None:
    op.create_table(
        "queue",
        number(),
        text("workflow_id"),
        count("step"),
        count("attempt"),
        text("pipeline_id"),
        count("priority"),
        sa.Column("due_at", sa.Float(), nullable=False),
        text("stage"),
        text("owner"),
        sa.Column("until", sa.Float(), nullable=False),
        count("leases"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("workflow_id", "step", "attempt", name="uq_queue_task"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_queue_due", "queue", ["stage", "due_at", "pipeline_id", "number"])
    op.create_index("ix_queue_stage", "queue", ["stage", "pipeline_id", "number"])


def _artifacts() -> None:
    op.create_table(
        "artifacts",
        text("kind"),
        text("namespace"),
        text("slug"),
        text("version"),
        text("digest"),
        text("archive"),
        text("build_id"),
        text("created_at"),
        text("updated_at"),
        count("forced"),
        sa.PrimaryKeyConstraint("kind", "namespace", "slug", "version"),
    )


def _digests() -> None:
    op.create_table("digests", text("digest"), text("archive"), sa.PrimaryKeyConstraint("digest"))


def _builds() -> None:
    op.create_table(
        "builds",
        number(),
        text("id"),
        text("kind"),
        text("namespace"),
        text("slug"),
        text("version"),
        text("archive"),
        count("forced"),
        text("status"),
        text("created_at"),
        text("finished_at"),
        text("digest"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id", name="uq_builds_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_builds_status", "builds", ["status", "number"])


def _build_log() -> None:
    op.create_table(
        "build_log",
        text("build_id"),
        count("line"),
        text("at"),
        text("text"),
        sa.PrimaryKeyConstraint("build_id", "line"),
    )


def _stored_values() -> None:
    op.create_table(
        "stored_values",
        text("space"),
        text("name"),
        text("value"),
        sa.PrimaryKeyConstraint("space", "name"),
    )
