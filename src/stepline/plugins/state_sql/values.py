"""Small named values, and the files that were taken in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, delete, insert, select, text, update

from stepline.model.values import Json
from stepline.plugins.state_sql.plain import dump, load
from stepline.plugins.state_sql.statements import Statement
from stepline.plugins.state_sql.tables import intake, stored_values

_AT_ONCE = 500

_this = (
    stored_values.c.space == bindparam("a_space"),
    stored_values.c.name == bindparam("a_name"),
)
_GET = Statement(select(stored_values.c.value).where(*_this))
_ALL = (
    select(stored_values.c.name, stored_values.c.value)
    .where(stored_values.c.space == bindparam("a_space"))
    .order_by(stored_values.c.name)
)
_CHANGE = update(stored_values).where(*_this).values(value=bindparam("a_value"))
_ADD = insert(stored_values)
_REMOVE = delete(stored_values).where(*_this)

_TAKEN = select(intake.c.key).where(intake.c.key.in_(bindparam("keys", expanding=True)))
# SQLite and PostgreSQL agree on this.
_TAKE = Statement(
    text('INSERT INTO intake ("key", file_id) VALUES (:key, :file_id) ON CONFLICT DO NOTHING')
)


class SqlValues:
    """Small named values."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, space: str, name: str) -> Json:
        """Return a value, or None."""
        found = _GET.scalar(self._connection, {"a_space": space, "a_name": name})
        value: Json = None if found is None else load(found)
        return value

    def all(self, space: str) -> Mapping[str, Json]:
        """Return all values of a space, by name."""
        rows = self._connection.execute(_ALL, {"a_space": space})
        return {row.name: load(row.value) for row in rows}

    def set(self, space: str, name: str, *, value: Json) -> None:
        """Store a value; None removes it."""
        this = {"a_space": space, "a_name": name}
        if value is None:
            self._connection.execute(_REMOVE, this)
            return
        written = dump(value)
        if not self._connection.execute(_CHANGE, {**this, "a_value": written}).rowcount:
            self._connection.execute(_ADD, {"space": space, "name": name, "value": written})


class SqlIntake:
    """Files of watched folders that were taken in."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def taken(self, keys: Sequence[str]) -> frozenset[str]:
        """Return those keys that were taken before."""
        found: set[str] = set()
        for start in range(0, len(keys), _AT_ONCE):
            part = {"keys": list(keys[start : start + _AT_ONCE])}
            found.update(self._connection.execute(_TAKEN, part).scalars())
        return frozenset(found)

    def take(self, key: str, *, file_id: str) -> bool:
        """Note that a file was taken; False where it was before."""
        return _TAKE.run(self._connection, {"key": key, "file_id": file_id}) > 0
