"""Making the tables and bringing them up to date, by the migrations in this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect

from stepline.errors import PlatformError
from stepline.plugins.state_sql.sqlite import SqliteDatabase

HEAD = "0002"
"""The newest revision in ``migrations``; a test compares the two."""

_TABLE = "alembic_version"
_FOLDER = Path(__file__).parent / "migrations"


def ensure_schema(database: SqliteDatabase) -> None:
    """Make the tables, or bring them up to date, all of it or nothing.

    Raises:
        PlatformError: The database is of a newer version, or holds something else.
    """
    with database.writer() as connection, connection.begin():
        revision = _revision(connection, database.path)
        if revision != HEAD:
            _upgrade(connection, revision, database.path)


def _revision(connection: Connection, path: str) -> str | None:
    """Return the revision of the tables, None for an empty database."""
    tables = inspect(connection).get_table_names()
    if _TABLE in tables:
        found = connection.exec_driver_sql(f"SELECT version_num FROM {_TABLE}").scalar()
        return None if found is None else str(found)
    if tables:
        raise PlatformError(
            f"'{path}' is a database, but not one of Stepline", hint="give another file"
        )
    return None


def _upgrade(connection: Connection, revision: str | None, path: str) -> None:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(_FOLDER))
    known = {each.revision for each in script.walk_revisions()}
    if revision is not None and revision not in known:
        raise PlatformError(
            f"the state '{path}' was made by a newer version of Stepline: it has revision "
            f"{revision} of the tables, this version knows those up to {HEAD}",
            hint="install that version, or a newer one",
        )

    def steps(current: Any, context: Any) -> Any:
        del context
        return script._upgrade_revs(HEAD, current)

    with EnvironmentContext(Config(), script, fn=steps) as environment:
        environment.configure(connection=connection, transactional_ddl=True)
        environment.run_migrations()
