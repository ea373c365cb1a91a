"""The migrations make the tables that the code uses."""

import json
import sqlite3

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from stepline.model.file import FileCategory, FilePointer, FileRecord
from stepline.plugins import state_sql
from stepline.plugins.state_sql import schema
from stepline.plugins.state_sql.tables import metadata
from stepline.ports.files import Changes


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


def as_of_revision_1(path):
    """Take back what later revisions did to a database."""
    raw = sqlite3.connect(path, isolation_level=None)
    rows = raw.execute("SELECT number, record, blob FROM files").fetchall()
    for number, record, blob in rows:
        whole = json.dumps({**json.loads(record), "blob": blob})
        raw.execute("UPDATE files SET record = ? WHERE number = ?", (whole, number))
    raw.execute("DROP INDEX ix_files_blob")
    raw.execute("ALTER TABLE files DROP COLUMN blob")
    raw.execute("UPDATE alembic_version SET version_num = '0001'")
    raw.close()


def file(number):
    """Return a file version with a blob."""
    pointer = FilePointer("bucket", f"key-{number}", file_id=f"f-{number}", version="v")
    return FileRecord(pointer, FileCategory.RAW, blob=f"blob-{number}")


def test_migrations_give_each_file_of_before_its_blob(migrated):
    state = state_sql.stepline_state(f"sqlite:///{migrated}")
    records = tuple(map(file, range(2500)))
    state.write(lambda transaction: transaction.files.commit(Changes(files=records)))
    state.close()
    as_of_revision_1(migrated)
    state = state_sql.stepline_state(f"sqlite:///{migrated}")
    with state.read() as view:
        names = [record.blob for record in records]
        assert view.references.in_use(names) == set(names)
        assert view.files.get("f-2499") == records[-1]
    state.close()
    assert shape(migrated)["ix_files_blob"]
