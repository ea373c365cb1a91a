"""The executor ``sandbox`` keeps what every executor promises, warm and fresh."""

from dataclasses import replace

import pytest

from stepline.model.task import Isolation
from stepline.plugins.executor_sandbox.cgroups import NOWHERE

pytest.register_assert_rewrite("tests.contract.executor_suite")

from tests.contract.executor_suite.calls import *  # noqa: E402, F403
from tests.contract.executor_suite.freshness import *  # noqa: E402, F403
from tests.contract.executor_suite.imports import *  # noqa: E402, F403
from tests.contract.executor_suite.leftovers import *  # noqa: E402, F403
from tests.contract.executor_suite.limits import *  # noqa: E402, F403
from tests.contract.executor_suite.outcomes import *  # noqa: E402, F403
from tests.contract.executor_suite.output import *  # noqa: E402, F403
from tests.support.executors import LIMITS  # noqa: E402
from tests.support.sandboxes import SandboxBench  # noqa: E402

pytestmark = pytest.mark.sandbox

# Isolation, whether each task has a sandbox of its own, and where cgroups can be made.
WAYS = {
    "warm": (Isolation.FORK, False, None),
    "fresh": (Isolation.FORK, True, None),
    "without cgroups": (Isolation.FORK, False, NOWHERE),
}


@pytest.fixture(scope="module", params=WAYS.values(), ids=WAYS.keys())
def way(request):
    """How tasks are kept apart and held."""
    return request.param


def made_bench(folder, images, way):
    isolation, fresh, place = way
    limits = replace(LIMITS, fresh=fresh)
    given = {"GIVEN": "1"}
    return SandboxBench(
        images, folder, isolation=isolation, limits=limits, task_env=given, place=place
    )


@pytest.fixture(scope="module")
def bench(way, slim_base, tmp_path_factory):
    """An executor that all tests share: what one does must not matter to another."""
    made = made_bench(tmp_path_factory.mktemp("bench"), slim_base, way)
    yield made
    made.executor.close()
    assert made.remains() == []


@pytest.fixture
def own_bench(way, slim_base, tmp_path):
    """An executor of the test's own."""
    folder = tmp_path / "own"
    folder.mkdir()
    made = made_bench(folder, slim_base, way)
    yield made
    made.executor.close()
