"""The executor ``process`` keeps what every executor promises, however it keeps tasks apart."""

import pytest

from stepline.errors import SettingsError
from stepline.model.task import Isolation, Network

pytest.register_assert_rewrite("tests.contract.executor_suite")

from tests.contract.executor_suite.calls import *  # noqa: E402, F403
from tests.contract.executor_suite.freshness import *  # noqa: E402, F403
from tests.contract.executor_suite.imports import *  # noqa: E402, F403
from tests.contract.executor_suite.leftovers import *  # noqa: E402, F403
from tests.contract.executor_suite.limits import *  # noqa: E402, F403
from tests.contract.executor_suite.outcomes import *  # noqa: E402, F403
from tests.contract.executor_suite.output import *  # noqa: E402, F403
from tests.support.executors import Bench, make_process_executor  # noqa: E402


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"pids": 10}, "pids"),
        ({"cpus": 0.5, "tmp_bytes": 1000}, "cpus, tmp_bytes"),
        ({"network": Network.NONE}, "network 'none'"),
        ({"network": Network.BRIDGE}, "network 'bridge'"),
    ],
    ids=["pids", "two", "none", "bridge"],
)
def test_process_executor_limit_that_it_cannot_hold_is_refused(bench, limits, words):
    with pytest.raises(SettingsError) as raised:
        bench.run("echo", **limits)
    assert raised.value.what == f"the executor 'process' cannot hold the limit: {words}"
    assert ("'sandbox' or 'docker'" in raised.value.hint) is (words != "network 'bridge'")
    assert "'docker'" in raised.value.hint


@pytest.fixture(scope="module", params=list(Isolation), ids=lambda isolation: isolation.value)
def isolation(request):
    """How tasks are kept apart."""
    return request.param


def made_bench(folder, cache, isolation):
    (folder / "tmp").mkdir()
    executor = make_process_executor(
        cache, folder / "tmp", isolation=isolation, task_env={"GIVEN": "1"}
    )
    return Bench(executor, folder, isolation=isolation)


@pytest.fixture(scope="module")
def bench(isolation, tmp_path_factory, stepline_cache):
    """An executor that all tests share: what one does must not matter to another."""
    made = made_bench(tmp_path_factory.mktemp("bench"), stepline_cache, isolation)
    yield made
    made.executor.close()
    assert made.remains() == []


@pytest.fixture
def own_bench(isolation, tmp_path, stepline_cache):
    """An executor of the test's own."""
    folder = tmp_path / "own"
    folder.mkdir()
    made = made_bench(folder, stepline_cache, isolation)
    yield made
    made.executor.close()
