"""The state in SQLite keeps what every state promises, and what is particular to it."""

import pytest

pytest.register_assert_rewrite("tests.contract.state_suite")

from stepline.bootstrap import Plugins  # noqa: E402
from tests.contract.state_suite.search import *  # noqa: E402, F403


@pytest.fixture
def open_state(tmp_path):
    """Open the state of the test; an earlier one must be closed. All are closed at the end."""
    opened = []

    def open_state():
        plugins = Plugins(tmp_path / "cache", {})
        opened.append(plugins.state(f"sqlite:///{tmp_path}/state.db"))
        return opened[-1]

    yield open_state
    for each in opened:
        each.close()


@pytest.fixture
def state(open_state):
    """An empty state."""
    return open_state()
