"""How a task ended, from what is known at its end."""

import signal

import pytest

from stepline_sdk.worker import endings


@pytest.mark.parametrize("files_count", [False, True])
def test_out_of_memory_tells_of_files_where_they_count(files_count):
    found = endings.out_of_memory({"memory_mb": 64}, files_count=files_count)
    assert found["message"].startswith("the task needs more memory than its 64 MiB")
    assert ("/tmp" in found["message"]) is files_count


@pytest.mark.parametrize(
    ("status", "kind", "message", "more"),
    [
        (0, "exited", "No content returned by worker", {"exit_code": 0}),
        (3 << 8, "exited", "Invalid exit code 3", {"exit_code": 3}),
        (126 << 8, "fatal", "Invalid exit code 126", {"exit_code": 126}),
        (137 << 8, "exited", "Invalid exit code 137", {"exit_code": 137}),
        (9, "killed", "the task was ended by signal 9 (SIGKILL)", {"signal": 9}),
        (11 | 0x80, "killed", "the task was ended by signal 11 (SIGSEGV)", {"signal": 11}),
        (
            signal.SIGRTMIN + 1,
            "killed",
            f"the task was ended by signal {signal.SIGRTMIN + 1} (unnamed)",
            {"signal": signal.SIGRTMIN + 1},
        ),
    ],
)
def test_by_status_tells_exit_from_signal(status, kind, message, more):
    expected = {"kind": kind, "message": message, "traceback": "", **more}
    assert endings.by_status(status) == expected


def test_by_result_returned_keeps_the_output_alone():
    frame = {"type": "result", "kind": "returned", "output": {"text": "1"}, "exit_code": 5}
    assert endings.by_result(frame) == {"kind": "returned", "output": {"text": "1"}}


@pytest.mark.parametrize("kind", ["raised", "import-failed", "out-of-memory"])
def test_by_result_failure_keeps_message_and_traceback(kind):
    frame = {"type": "result", "kind": kind, "message": "m", "traceback": "t", "signal": 9}
    assert endings.by_result(frame) == {"kind": kind, "message": "m", "traceback": "t"}


@pytest.mark.parametrize(
    "frame",
    [
        {"kind": "cancelled", "message": "", "traceback": ""},
        {"kind": "lost"},
        {"kind": ["returned"]},
        {"kind": "returned", "output": 5},
        {"kind": "raised"},
        {},
    ],
    ids=["kind of the worker", "kind of the platform", "odd kind", "odd output", "bare", "empty"],
)
def test_by_result_what_no_function_of_ours_sent_is_refused(frame):
    with pytest.raises((ValueError, KeyError, TypeError)):
        endings.by_result(frame)


@pytest.mark.parametrize(
    ("limits", "words"),
    [({"memory_mb": 200}, "than its 200 MiB"), ({"memory_mb": None}, "than there is")],
)
def test_out_of_memory_names_the_limit(limits, words):
    outcome = endings.out_of_memory(limits, {"traceback": "t"})
    assert outcome["message"] == f"the task needs more memory {words}"
    assert outcome["traceback"] == "t"


@pytest.mark.parametrize(("seconds", "words"), [(0.5, "0.5 s"), (3600.0, "3600 s")])
def test_timed_out_names_the_limit(seconds, words):
    outcome = endings.timed_out({"timeout_s": seconds})
    assert outcome["message"] == f"the task ran longer than {words}"
