"""The migrations make the tables that the code uses."""

import sqlite3

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from stepline.plugins import state_sql
from stepline.plugins.state_sql import schema
from stepline.plugins.state_sql.tables import metadata


@pytest.fixture
def migrated(tmp_path):
    """Path of a database that the migrations made."""
    state_sql.stepline_state(f"sqlite:///{tmp_path}/state.db").close()
    return tmp_path / "state.db"


def test_migrations_end_at_the_newest_revision():
    assert ScriptDirectory(str(schema._FOLDER)).get_current_head() == schema.HEAD


def test_migrations_make_the_tables_of_the_code(migrated):
    engine = create_engine(f"sqlite:///{migrated}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def shape(path):
    """Return what SQLite knows of each table and index."""
    raw = sqlite3.connect(path)
    found = raw.execute("SELECT name, sql FROM sqlite_master WHERE sql > '' ORDER BY name")
    shapes = {name: " ".join(sorted(sql.lower().replace(",", " ").split())) for name, sql in found}
    raw.close()
    shapes.pop("alembic_version", None)
    return shapes


def test_migrations_make_what_the_tables_say_to_the_last_word(migrated, tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/other.db")
    metadata.create_all(engine)
    engine.dispose()
    assert shape(migrated) == shape(tmp_path / "other.db")
