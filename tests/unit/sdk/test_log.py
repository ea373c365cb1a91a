"""Records of the structured logger."""

import json
import re
import sys
import threading

import pytest

from stepline_sdk.log import Log
from stepline_sdk.log_codes import LogCode, LogCodes

VALUES = {"taskId": "t", "workflowId": "w", "inputFile": {"meta": {"traceId": "tr"}}}


@pytest.fixture
def records(capsys):
    """Give the records that were written so far."""
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_log_record_names_task_workflow_and_trace(records):
    Log(VALUES).log("hello")
    (record,) = records()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", record.pop("timestamp"))
    assert record.pop("tsSdkVersion")
    assert record == {
        "traceId": "tr",
        "taskId": "t",
        "workflowId": "w",
        "message": "hello",
        "level": "info",
    }


@pytest.mark.parametrize(
    "input_file", [None, {}, {"meta": None}, "x", {"meta": {"traceId": None}}], ids=repr
)
def test_log_record_without_trace(records, input_file):
    Log({"taskId": "t", "inputFile": input_file}).log("x")
    (record,) = records()
    assert record["taskId"] == "t"
    assert "traceId" not in record


def test_log_record_names_the_container(records, monkeypatch):
    monkeypatch.setenv("CONTAINER_ID", "c1")
    Log().log("x")
    assert records()[0]["containerId"] == "c1"


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (("a", 1, None), {"message": "a 1 None", "level": "info"}),
        ((5,), {"message": "5", "level": "info"}),
        ((), {"message": "", "level": "info"}),
        (({"message": "m", "level": "debug", "x": 1},), {"message": "m", "level": "debug", "x": 1}),
        (({"anything": [1]},), {"anything": [1], "level": "info"}),
        ((ValueError("bad"),), {"message": "bad", "level": "error"}),
    ],
    ids=repr,
)
def test_log_takes_anything(records, args, expected):
    Log().log(*args)
    (record,) = records()
    assert {name: record.get(name) for name in expected} == expected


def test_log_exception_carries_type_and_traceback(records):
    try:
        raise KeyError("gone")
    except KeyError as error:
        Log().log(error)
    (record,) = records()
    assert record["errorType"] == "<class 'KeyError'>"
    assert "test_log_exception_carries_type_and_traceback" in record["exception"]


def circular():
    made = {}
    made["self"] = made
    return made


@pytest.mark.parametrize(
    "value",
    [object(), float("nan"), {1: {2, 3}}, {(1, 2): "x"}, circular(), b"bytes", ValueError("x")],
    ids=["object", "nan", "set", "tuple key", "circular", "bytes", "error"],
)
def test_log_what_json_cannot_hold_is_still_one_line(records, value):
    Log().info("m", extra={"value": value})
    (record,) = records()
    assert record["message"] == "m"


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_leveled_record_carries_code_and_extra(records, level):
    getattr(Log(), level)("m", LogCodes.processing_begin, extra={"n": 1})
    (record,) = records()
    expected = {
        "level": level,
        "message": "m",
        "code": 1401,
        "codeMessage": "ProcessingBegin",
        "extra": {"n": 1},
    }
    assert {name: record[name] for name in expected} == expected


def test_warn_is_a_warning(records):
    Log().warn("m", LogCodes.generic)
    assert records()[0]["level"] == "warning"


@pytest.mark.parametrize("level", ["debug", "info"])
def test_debug_and_info_need_no_code(records, level):
    getattr(Log(), level)("m")
    (record,) = records()
    assert record["extra"] == {}
    assert "code" not in record


@pytest.mark.parametrize("level", ["warning", "warn", "error"])
def test_warning_and_error_require_the_code_as_an_argument(level):
    with pytest.raises(TypeError, match="code"):
        getattr(Log(), level)("m")


@pytest.mark.parametrize("level", ["warning", "warn", "error"])
def test_code_none_logs_a_second_record(records, level):
    getattr(Log(), level)("m", None)
    first, second = records()
    assert (first["message"], first["code"], first["codeMessage"]) == ("m", 1000, "Generic")
    assert (second["level"], second["code"]) == ("error", 1101)
    assert "missing code" in second["message"]


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (LogCode("Zero", 0), "not between 1 and 9999"),
        (LogCode("TooLarge", 10_000), "not between 1 and 9999"),
        (LogCode("notPascal", 1500), "PascalCase"),
        (LogCode("With Space", 6000), "letters and digits"),
        (LogCode("L" + "o" * 32, 6000), "over 32 characters"),
        (1403, "expected a LogCode, got 1403"),
        ("Generic", "expected a LogCode"),
    ],
    ids=repr,
)
def test_invalid_code_becomes_generic_with_a_second_record(records, code, problem):
    Log().info("m", code)
    first, second = records()
    assert (first["code"], first["codeMessage"]) == (1000, "Generic")
    assert problem in second["message"]
    assert second["exception"]["type"] == "InvalidLogInput"
    assert "test_log.py" in second["exception"]["stack"]


@pytest.mark.parametrize(
    "code",
    [LogCode("Mine", 5000), LogCode("lowercase", 9999), LogCode("A1", 1), LogCodes.logger_error],
    ids=repr,
)
def test_valid_code_of_ones_own_is_taken(records, code):
    Log().error("m", code)
    (record,) = records()
    assert (record["code"], record["codeMessage"]) == (code.code, code.code_message)


def test_every_common_code_is_valid(records):
    codes = [code for code in vars(LogCodes).values() if isinstance(code, LogCode)]
    for code in codes:
        Log().error("m", code)
    assert len(records()) == len(codes) == 17


def test_message_of_another_type_logs_a_second_record(records):
    Log().info(5)
    first, second = records()
    assert first["message"] == "5"
    assert "expected a message of type str, got int" in second["message"]


def test_extra_that_is_no_dict_is_wrapped(records):
    Log().info("m", extra=[1])
    assert records()[0]["extra"] == {"data": [1]}


def test_log_keeps_its_order_with_prints(capsys):
    print("before")
    Log().log("middle")
    print("after")
    lines = capsys.readouterr().out.splitlines()
    assert [lines[0], json.loads(lines[1])["message"], lines[2]] == ["before", "middle", "after"]


def test_log_lines_of_threads_do_not_mix(records):
    log = Log()

    def write():
        for _ in range(50):
            log.log("x" * 500)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(records()) == 100


def test_log_goes_to_the_present_standard_output(monkeypatch, tmp_path):
    with open(tmp_path / "out", "w+") as file:
        log = Log()
        monkeypatch.setattr(sys, "stdout", file)
        log.log("x")
        assert (tmp_path / "out").read_text().endswith("}\n")
