"""Messages and tracebacks of failures, and where a value is not JSON."""

import datetime
import enum

import pytest

from stepline_sdk.worker import failures


class Colour(enum.Enum):
    RED = 1


def circle():
    value = []
    value += [value, value, {"a": value}]
    return value


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"a": [1, {"b": datetime.date(2030, 1, 2)}]}, "output['a'][1]['b'] is of type date"),
        ([1, (2, {3})], "output[1][1] is of type set"),
        ({("a",): 1}, "output has a key of type tuple"),
        ({"a": {b"b": 1}}, "output['a'] has a key of type bytes"),
        ([float("inf")], "output[0] is inf"),
        (Colour.RED, "output is of type Colour"),
        (circle(), "output: its words"),
        ([1, 2], "output: its words"),
    ],
    ids=["date", "set", "key", "inner key", "inf", "enum", "circle", "nothing odd"],
)
def test_not_json_names_the_first_odd_part(value, where):
    found = failures.not_json(value, ValueError("its words"))
    assert found["kind"] == "raised"
    assert found["message"] == f"the function returned what is not JSON: {where}"


def test_not_json_of_a_wide_circle_takes_no_time():
    value = []
    value += [value] * 1000
    assert "its words" in failures.not_json(value, ValueError("its words"))["message"]


def test_not_json_of_a_deep_value_gives_the_errors_words():
    value = {1, 2}
    for _ in range(100_000):
        value = [value]
    assert "output: too deep" in failures.not_json(value, RecursionError("too deep"))["message"]


def raised(error):
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001  (as the worker does)
        return failures.failure("raised", caught)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("words"), "words"),
        (ValueError(), "ValueError"),
        (ValueError(""), "ValueError"),
        (KeyError("a"), "'a'"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
    ids=repr,
)
def test_failure_message_is_the_exceptions_own_or_its_type(error, message):
    found = raised(error)
    assert (found["kind"], found["message"]) == ("raised", message)
    assert type(error).__name__ in found["traceback"]


def test_failure_of_memory_is_out_of_memory():
    assert raised(MemoryError())["kind"] == "out-of-memory"


def test_failure_of_an_exception_that_cannot_speak_has_its_type():
    class Speechless(Exception):
        def __str__(self):
            raise OSError

    found = raised(Speechless())
    assert found["message"] == "Speechless"
    assert "in raised" in found["traceback"]


@pytest.mark.parametrize("length", [failures.LONGEST_MESSAGE, failures.LONGEST_MESSAGE + 1])
def test_failure_long_message_keeps_both_ends(length):
    message = raised(ValueError("a" + "b" * (length - 2) + "c"))["message"]
    assert (message[0], message[-1]) == ("a", "c")
    assert ("left out" in message) == (length > failures.LONGEST_MESSAGE)
