"""The first tables."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make all tables."""
    from stepline.plugins.state_sql.tables import metadata

    metadata.create_all(op.get_bind())
