from pathlib import Path

import pytest

from stepline_sdk.context import Context
from tests.support.contexts import Attempt, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Files, schemas and secrets."""
    return World(tmp_path)


@pytest.fixture
def attempt(world: World) -> Attempt:
    """An attempt for a function of which config.json allows any IDS."""
    return world.attempt()


@pytest.fixture
def context(attempt: Attempt) -> Context:
    """The context of the attempt."""
    return attempt.context
