"""The executor ``docker`` keeps what every executor promises, warm and fresh."""

from dataclasses import replace

import pytest

from stepline.model.task import Isolation

pytest.register_assert_rewrite("tests.contract.executor_suite")

from tests.contract.executor_suite.calls import *  # noqa: E402, F403
from tests.contract.executor_suite.freshness import *  # noqa: E402, F403
from tests.contract.executor_suite.imports import *  # noqa: E402, F403
from tests.contract.executor_suite.leftovers import *  # noqa: E402, F403
from tests.contract.executor_suite.limits import *  # noqa: E402, F403
from tests.contract.executor_suite.outcomes import *  # noqa: E402, F403
from tests.contract.executor_suite.output import *  # noqa: E402, F403
from tests.support.containers import DockerBench  # noqa: E402
from tests.support.executors import LIMITS  # noqa: E402

pytestmark = pytest.mark.docker

WAYS = {
    "warm": (Isolation.FORK, False),
    "fresh": (Isolation.FORK, True),
}


@pytest.fixture(scope="module", params=WAYS.values(), ids=WAYS.keys())
def way(request):
    """How tasks are kept apart, and whether each has a container of its own."""
    return request.param


def made_bench(folder, engine, images, way):
    isolation, fresh = way
    limits = replace(LIMITS, fresh=fresh)
    given = {"GIVEN": "1"}
    return DockerBench(engine, images, folder, isolation=isolation, limits=limits, task_env=given)


@pytest.fixture(scope="module")
def bench(way, engine, slim_base, tmp_path_factory):
    """An executor that all tests share: what one does must not matter to another."""
    made = made_bench(tmp_path_factory.mktemp("bench"), engine, slim_base, way)
    yield made
    made.executor.close()
    assert made.remains() == []


@pytest.fixture
def own_bench(way, engine, slim_base, tmp_path):
    """An executor of the test's own."""
    folder = tmp_path / "own"
    folder.mkdir()
    made = made_bench(folder, engine, slim_base, way)
    yield made
    made.executor.close()
