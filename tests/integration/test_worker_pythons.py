"""The worker on every Python that this machine has besides the platform's own."""

import pytest

from stepline.errors import PlatformError
from stepline.model.task import Isolation, OutcomeKind
from stepline.plugins.executor_process.pythons import KNOWN_RUNTIMES, own_version
from tests.support.executors import Bench, Services, make_process_executor
from tests.support.pythons import find_pythons

PYTHONS = find_pythons()
OTHERS = [version for version in PYTHONS if version in KNOWN_RUNTIMES and version != own_version()]

pytestmark = pytest.mark.pythons


@pytest.fixture(scope="module", params=OTHERS)
def runtime(request):
    """A version of Python."""
    return request.param


@pytest.fixture(scope="module", params=list(Isolation), ids=lambda isolation: isolation.value)
def bench(request, runtime, tmp_path_factory, stepline_cache):
    """An executor with a task script for that Python."""
    folder = tmp_path_factory.mktemp("pythons")
    (folder / "tmp").mkdir()
    executor = make_process_executor(stepline_cache, folder / "tmp", isolation=request.param)
    made = Bench(executor, folder, runtime=runtime, isolation=request.param)
    try:
        executor.prepare(made.version("main.echo"))
    except PlatformError as error:
        pytest.skip(f"python{runtime} was found by the tests and not by Stepline: {error}")
    yield made
    executor.close()
    assert made.remains() == []


@pytest.fixture(autouse=True)
def recorded(request, record_property):
    """The version, in the summary of the session."""
    if "runtime" in request.fixturenames:
        record_property("python", request.getfixturevalue("runtime"))


def test_worker_there_are_other_pythons_to_test_on():
    if not OTHERS:
        pytest.skip(f"only {', '.join(PYTHONS) or 'no Python'} found")


@pytest.mark.parametrize(
    ("function", "value", "kind", "words"),
    [
        ("echo", {"a": 1}, OutcomeKind.RETURNED, ""),
        ("give", {"what": "none"}, OutcomeKind.RETURNED, ""),
        ("give", {"what": "date"}, OutcomeKind.RAISED, "output['a'][1]['b'] is of type date"),
        ("give", {"what": "nan"}, OutcomeKind.RAISED, "output[0] is nan"),
        ("give_circle", None, OutcomeKind.RAISED, "Circular"),
        ("give_deep", {"depth": 100_000}, OutcomeKind.RAISED, "output"),
        ("raise_in_helper", {"number": 7}, OutcomeKind.RAISED, "7"),
        ("import_missing.f", None, OutcomeKind.IMPORT_FAILED, "stepline_no_such_module"),
        ("import_ends.f", None, OutcomeKind.EXITED, "Invalid exit code 6"),
        ("nothing", None, OutcomeKind.IMPORT_FAILED, "module 'main' (func/main.py) has no"),
        ("fatal_swallowed", None, OutcomeKind.FATAL, "Invalid exit code 126"),
        ("exit_with", {"code": 3}, OutcomeKind.EXITED, "Invalid exit code 3"),
        ("signal_self", {"number": 11}, OutcomeKind.KILLED, "SIGSEGV"),
        ("eat", None, OutcomeKind.OUT_OF_MEMORY, "100 MiB"),
        ("spin", None, OutcomeKind.TIMED_OUT, "1.5 s"),
        ("leave_deep_folders", {"depth": 1200}, OutcomeKind.RETURNED, ""),
        ("import_late", None, OutcomeKind.RETURNED, ""),
        ("use_pool", {"method": "fork"}, OutcomeKind.RETURNED, ""),
    ],
)
def test_worker_outcome_is_the_same_on_every_python(bench, function, value, kind, words):
    outcome = bench.run(function, value, memory_mb=100, timeout_s=1.5 if function == "spin" else 60)
    assert outcome.kind is kind, outcome
    assert words in outcome.message


def test_worker_runs_the_python_that_was_asked_for(bench, runtime):
    seen = bench.run("look_around").value
    assert seen["work"] == ["func"]
    assert bench.run("python_version").value == runtime


def test_worker_traceback_starts_in_the_users_code(bench):
    lines = bench.run("raise_in_helper", {"number": 7}).traceback.splitlines()
    assert lines[1].startswith('  File "func/main.py", line ')
    assert lines[1].endswith(", in raise_in_helper")
    assert lines[2].strip() == 'return read_plate(input["number"])'


def test_worker_output_and_calls_pass(bench):
    services = Services(lambda method, params: {"n": [1, 2]})
    assert bench.run("ask", services=services).value == {"n": [1, 2]}
    services = Services()
    bench.run("print_in_turn", services=services)
    assert services.texts() == [t for n in range(5) for t in (f"mine {n}", f"child {n}")]


def test_worker_module_state_lives_as_the_isolation_says(bench):
    counts = [bench.run("count_calls").value for _ in range(2)]
    assert counts[1] - counts[0] == (bench.isolation is Isolation.REUSE)
