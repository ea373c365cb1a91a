"""Shared settings: named plain values that pipelines reuse."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from stepline.errors import ArtifactNotFound, SettingsError
from stepline.model.values import Json
from stepline.ports.state import State, Transaction

SPACE = "settings"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class SharedSettings:
    """The shared settings.

    Args:
        state: The service's state.
        changed: Called after each change.
    """

    def __init__(self, state: State, *, changed: Callable[[], None]) -> None:
        self._state = state
        self._changed = changed

    def all(self) -> Mapping[str, Json]:
        """Return all values by name."""
        with self._state.read() as view:
            return view.values.all(SPACE)

    def set(self, name: str, value: Json) -> None:
        """Store a value; workflows that are made from now on get it.

        Raises:
            SettingsError: The name or the value cannot be one.
        """
        if not _NAME.fullmatch(name):
            raise SettingsError(
                f"a shared setting cannot be named {name!r}",
                hint="use letters, digits, '.', '_' and '-'",
            )
        if value is None:
            raise SettingsError(f"the shared setting '{name}' needs a value")
        self._state.write(lambda tx: tx.values.set(SPACE, name, value=value))
        self._changed()

    def delete(self, name: str) -> None:
        """Remove a value.

        Raises:
            ArtifactNotFound: There is none of this name.
            SettingsError: A pipeline uses it.
        """

        def act(tx: Transaction) -> None:
            if tx.values.get(SPACE, name) is None:
                raise ArtifactNotFound(f"there is no shared setting '{name}'")
            users = [p.spec.name for p in tx.pipelines.all() if _uses(p.spec.config, name)]
            if users:
                raise SettingsError(
                    f"the shared setting '{name}' is used by {', '.join(users)}",
                    hint="change these pipelines first",
                )
            tx.values.set(SPACE, name, value=None)

        self._state.write(act)
        self._changed()


def _uses(config: Mapping[str, Json], name: str) -> bool:
    return any(value == {"setting": name} for value in config.values())
