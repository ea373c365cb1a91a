"""The service's state in an SQL database: SQLite in a file of this machine.

SQLAlchemy is imported when a state is opened, and Alembic when its tables must change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepline.ports.hookspecs import hookimpl

if TYPE_CHECKING:
    from stepline.ports.state import State

_SQLITE = "sqlite:///"


@hookimpl
def stepline_state(url: str) -> State | None:
    """Provide the state in the SQLite file that the URL names."""
    if not url.startswith("sqlite:"):
        return None
    from stepline.errors import SettingsError

    path = url.removeprefix(_SQLITE)
    if not url.startswith(_SQLITE) or path in ("", ":memory:"):
        raise SettingsError(
            f"'{url}' does not name the file of a database",
            hint="write sqlite:///relative/path.db or sqlite:////absolute/path.db",
        )
    from stepline.plugins.state_sql.sqlite import SqliteDatabase
    from stepline.plugins.state_sql.state import SqlState

    return SqlState(SqliteDatabase(path))
