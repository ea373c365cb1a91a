"""Each way in which a function can end is told apart."""

import signal
import time

import pytest

from stepline.errors import PlatformError
from stepline.model.task import OutcomeKind
from tests.support.executors import Services, attempt


def test_executor_function_that_returns_gives_its_value(bench):
    services = Services()
    before = time.time()
    outcome = bench.run("echo", {"plate": [1, 2.5, None, "\N{SNOWMAN}"]}, services=services)
    assert outcome.kind is OutcomeKind.RETURNED
    assert outcome.succeeded
    assert outcome.value["input"] == {"plate": [1, 2.5, None, "\N{SNOWMAN}"]}
    assert (outcome.error, outcome.message, outcome.traceback) == (None, "", "")
    assert 0 < outcome.duration_s < 60
    assert before <= services.started_at <= time.time()


@pytest.mark.parametrize("value", [None, 0, 0.0, False, "", [], {}], ids=repr)
def test_executor_falsy_input_becomes_an_empty_object(bench, value):
    assert bench.run("echo", value).value == {"input": {}, "type": "dict"}


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("none", {}),
        ("zero", 0),
        ("false", False),
        ("empty", []),
        ("text", "\N{SNOWMAN}\ud800"),
        ("number key", {"1": "a"}),
    ],
)
def test_executor_returned_json_is_kept_but_none_becomes_an_object(bench, what, value):
    outcome = bench.run("give", {"what": what})
    assert outcome.kind is OutcomeKind.RETURNED
    assert outcome.value == value
    assert type(outcome.value) is type(value)


@pytest.mark.parametrize(
    ("what", "where"),
    [
        ("date", "output['a'][1]['b'] is of type date"),
        ("bytes", "output[0] is of type bytes"),
        ("set", "output['a'] is of type set"),
        ("nan", "output[0] is nan"),
        ("infinity", "output['a'] is inf"),
        ("key", "output['a'] has a key of type tuple"),
        ("function", "output is of type function"),
        ("object", "output is of type object"),
    ],
)
def test_executor_returned_value_that_is_not_json_is_named(bench, what, where):
    outcome = bench.run("give", {"what": what})
    assert outcome.kind is OutcomeKind.RAISED
    assert outcome.message == f"the function returned what is not JSON: {where}"
    assert outcome.value is None


def test_executor_coroutine_function_is_not_awaited(bench):
    outcome = bench.run("coroutine")
    assert outcome.kind is OutcomeKind.RAISED
    assert outcome.message == "the function returned what is not JSON: output is of type coroutine"


@pytest.mark.parametrize(
    ("function", "value", "words"),
    [
        ("give_circle", None, "Circular"),
        ("give_deep", {"depth": 100_000}, "output"),
        ("give_deep_object", {"depth": 100_000}, "output"),
        ("give_hostile_dict", None, "output"),
    ],
)
def test_executor_returned_value_that_cannot_be_written_says_so(bench, function, value, words):
    outcome = bench.run(function, value)
    assert outcome.kind is OutcomeKind.RAISED
    assert outcome.message.startswith("the function returned what is not JSON: output")
    assert words in outcome.message


@pytest.mark.parametrize("depth", [500, 900, 950, 980, 990, 1000, 2000])
def test_executor_deep_value_is_returned_or_refused_but_never_lost(bench, depth):
    outcome = bench.run("give_deep", {"depth": depth})
    assert outcome.kind in (OutcomeKind.RETURNED, OutcomeKind.RAISED)
    if outcome.kind is OutcomeKind.RETURNED:
        assert str(outcome.value).count("[") == depth
    assert bench.run("echo", 1).succeeded


def test_executor_large_values_pass_whole(bench):
    assert len(bench.run("give_long", {"length": 5_000_000}).value) == 5_000_000
    assert bench.run("count_characters", {"text": "\N{SNOWMAN}" * 1_700_000}).value == 1_700_000


def test_executor_exception_has_its_words_and_the_users_traceback(bench):
    outcome = bench.run("raise_in_helper", {"number": "seven"})
    assert outcome.kind is OutcomeKind.RAISED
    assert outcome.message == outcome.error == "'seven'"
    lines = outcome.traceback.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].startswith('  File "func/main.py", line ')
    assert lines[1].endswith(", in raise_in_helper")
    assert lines[2].strip() == 'return read_plate(input["number"])'
    assert lines[-1] == "KeyError: 'seven'"
    assert "stepline" not in outcome.traceback


def test_executor_exception_in_a_library_starts_at_the_users_call(bench):
    outcome = bench.run("raise_in_json")
    first, *others = [line for line in outcome.traceback.splitlines() if "  File" in line]
    assert '"func/main.py"' in first
    assert "json" in others[-1]


def test_executor_exception_with_a_cause_shows_both(bench):
    outcome = bench.run("raise_from")
    assert outcome.message == "outer"
    assert "KeyError: 'inner'" in outcome.traceback
    assert outcome.traceback.rstrip().endswith("RuntimeError: outer")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("raise_plainly", "no such plate: 7"),
        ("raise_empty", "NotImplementedError"),
        ("raise_without_words", "Speechless"),
        ("raise_interrupt", "KeyboardInterrupt"),
    ],
)
def test_executor_every_exception_has_a_message(bench, function, message):
    outcome = bench.run(function)
    assert (outcome.kind, outcome.message) == (OutcomeKind.RAISED, message)
    assert function in outcome.traceback


def test_executor_endless_message_is_shortened_in_the_middle(bench):
    outcome = bench.run("raise_at_length")
    assert len(outcome.message) < 70_000
    assert outcome.message.startswith("aaa")
    assert outcome.message.endswith("az")
    assert "characters left out" in outcome.message


def test_executor_recursion_error_is_an_exception_like_others(bench):
    outcome = bench.run("recurse")
    assert outcome.kind is OutcomeKind.RAISED
    assert "maximum recursion depth" in outcome.message


@pytest.mark.parametrize("function", ["fatal", "fatal_swallowed"])
def test_executor_fatal_error_ends_the_task_with_126(bench, function):
    services = Services()
    outcome = bench.run(function, services=services)
    assert (outcome.kind, outcome.exit_code) == (OutcomeKind.FATAL, 126)
    assert outcome.message == outcome.error == "Invalid exit code 126"
    assert "Got FatalError: 'the plate is broken'" in services.texts()[0]


@pytest.mark.parametrize(
    ("code", "exit_code"), [(3, 3), (255, 255), (-1, 255), (137, 137), (True, 1)]
)
def test_executor_exit_with_a_code_is_told(bench, code, exit_code):
    outcome = bench.run("exit_with", {"code": code})
    assert (outcome.kind, outcome.exit_code) == (OutcomeKind.EXITED, exit_code)
    assert outcome.message == f"Invalid exit code {exit_code}"


@pytest.mark.parametrize(
    ("function", "value"), [("exit_plainly", None), ("exit_with", {"code": 0})]
)
def test_executor_exit_with_code_zero_is_no_success(bench, function, value):
    outcome = bench.run(function, value)
    assert (outcome.kind, outcome.exit_code) == (OutcomeKind.EXITED, 0)
    assert outcome.message == "No content returned by worker"


def test_executor_exit_with_words_prints_them_and_gives_code_1(bench):
    services = Services()
    outcome = bench.run("exit_with", {"code": "no plate"}, services=services)
    assert (outcome.kind, outcome.exit_code) == (OutcomeKind.EXITED, 1)
    assert services.texts("err") == ["no plate"]


def test_executor_process_that_ends_at_once_is_exited(bench):
    assert bench.run("exit_at_once", {"code": 7}).exit_code == 7
    outcome = bench.run("exit_at_once", {"code": 0})
    assert (outcome.kind, outcome.message) == (OutcomeKind.EXITED, "No content returned by worker")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_executor_process_ended_by_a_signal_is_killed(bench, number):
    outcome = bench.run("signal_self", {"number": number})
    assert (outcome.kind, outcome.signal) == (OutcomeKind.KILLED, number)
    assert outcome.message == f"the task was ended by signal {number:d} ({number.name})"


def test_executor_process_killed_while_it_sends_is_killed(bench):
    outcome = bench.run("die_within_a_frame")
    assert (outcome.kind, outcome.signal) == (OutcomeKind.KILLED, signal.SIGKILL)


def test_executor_task_that_kills_its_parent_ends_and_the_next_runs(bench):
    assert bench.run("kill_parent").kind in (OutcomeKind.KILLED, OutcomeKind.LOST)
    assert bench.run("echo", 1).succeeded


def test_executor_unknown_function_is_an_error_of_the_caller(bench):
    version = bench.version("main.echo")
    with pytest.raises(PlatformError, match=r"does not expose 'main\.nothing'"):
        attempt(bench.executor, version, bench.request("main.nothing"), Services())
