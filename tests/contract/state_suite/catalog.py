"""The files of a state keep what every catalog of files promises."""

import pytest

from tests.contract.test_file_catalog import *  # noqa: F403


class StateCatalog:
    """A catalog over the files of a state.

    Args:
        state: The state.
    """

    def __init__(self, state):
        self._state = state

    def __getattr__(self, name):
        return lambda *given, **named: self._state.write(
            lambda transaction: getattr(transaction.files, name)(*given, **named)
        )

    def newest(self):
        """Return the newest version of every file, in the order of their commits."""
        with self._state.read() as view:
            return view.files.page(limit=1000).items


@pytest.fixture
def catalog(state):
    """An empty catalog."""
    return StateCatalog(state)
