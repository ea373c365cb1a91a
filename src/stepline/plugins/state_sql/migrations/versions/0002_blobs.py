"""Blobs get a column of their own, so that what refers to one is found at once."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ROWS = 1000


def upgrade() -> None:
    """Add the column, fill it from the records, and index it."""
    op.add_column("files", sa.Column("blob", sa.Text(), nullable=False, server_default=""))
    _fill()
    op.create_index("ix_files_blob", "files", ["blob", "number"])


def _fill() -> None:
    files = sa.table("files", sa.column("number"), sa.column("record"), sa.column("blob"))
    wanted = sa.select(files.c.number, files.c.record).order_by(files.c.number).limit(_ROWS)
    change = (
        sa.update(files)
        .where(files.c.number == sa.bindparam("a_number"))
        .values(blob=sa.bindparam("a_blob"))
    )
    connection, last = op.get_bind(), 0
    while rows := connection.execute(wanted.where(files.c.number > last)).all():
        last = rows[-1].number
        given = [{"a_number": row.number, "a_blob": json.loads(row.record)["blob"]} for row in rows]
        connection.execute(change, given)
