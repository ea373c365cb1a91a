"""Calls of a task's Context, and what others ask of a running task."""

import threading
import time

import pytest

from stepline.model.task import OutcomeKind
from stepline_sdk import wire
from tests.support.executors import Services, wait_until


def test_executor_call_reaches_the_platform_and_its_answer_the_task(bench):
    services = Services(lambda method, params: {"of": params["payload"]})
    outcome = bench.run("ask", services=services)
    assert services.calls == [("search_eql", {"payload": {"size": 1}, "query": {}})]
    assert outcome.value == {"of": {"size": 1}}


def test_executor_file_that_a_task_lends_is_read_by_the_platform_and_stays_the_tasks(bench):
    def look(method, params):
        with open(f"{services.scratch}/{params['scratch']}") as file:
            return [{"secret": file.read(), "member": method}]

    services = Services(look)
    outcome = bench.run("ask_what_a_file_holds", {"text": "lent"}, services=services)
    found = [{"secret": "lent", "member": "find_secrets"}]
    assert outcome.value == {"found": found, "text": "lent", "left": []}


def test_executor_calls_of_threads_do_not_mix(bench):
    services = Services(lambda method, params: len(services.calls))
    outcome = bench.run("ask_in_thread", services=services)
    assert sorted(outcome.value) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_executor_call_of_a_forked_process_is_refused(bench):
    outcome = bench.run("ask_in_fork", services=Services(lambda method, params: "answer"))
    assert outcome.value["child"] == (
        "the context works only in the process that the task started in"
    )
    assert outcome.value["own"] == "answer"


@pytest.mark.parametrize(
    ("end", "kind"), [("fatal", OutcomeKind.FATAL), ("kill", OutcomeKind.KILLED)]
)
def test_executor_task_that_ends_with_an_unread_answer_ran_once(bench, end, kind):
    services = Services(lambda method, params: time.sleep(0.3))
    path = bench.shared() / "begun"
    value = {"path": str(path), "end": end}
    outcome = bench.run("ask_and_leave_the_answer", value, services=services)
    assert outcome.kind is kind
    assert path.read_text() == "begun "


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(float("nan"), "not JSON compliant"), ("x" * wire.MAX_FRAME_BYTES, "over the limit")],
    ids=["nan", "large"],
)
def test_executor_answer_that_cannot_be_sent_is_an_error_of_the_call(bench, answer, reason):
    outcome = bench.run("ask", services=Services(lambda method, params: answer))
    assert outcome.kind is OutcomeKind.RAISED
    assert outcome.message.startswith("the platform's answer cannot be sent to the task: ")
    assert reason in outcome.message


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "call", "n": 1, "method": ["x"], "params": {}},
        {"type": "call", "n": 1, "method": "x", "params": 5},
        {"type": "call", "n": None, "method": "x", "params": {}},
        {"type": "call"},
    ],
    ids=["method", "params", "number", "nothing"],
)
def test_executor_forged_call_ends_the_task_alone(bench, frame):
    services = Services()
    outcome = bench.run("send_frame", frame, services=services)
    assert (outcome.kind, services.calls) == (OutcomeKind.RAISED, [])
    assert outcome.message.startswith("the worker cannot read its task: ")


@pytest.mark.parametrize("output", [{}, {"text": 5}, {"file": 5}, {"file": "nope"}], ids=str)
def test_executor_forged_result_fails_the_task_alone(bench, output):
    frame = {"type": "result", "kind": "returned", "output": output}
    outcome = bench.run("send_frame", frame)
    assert outcome.kind is OutcomeKind.RAISED
    assert outcome.message.startswith("the value that the function returned cannot be read: ")


def test_executor_large_answer_and_much_output_do_not_block_each_other(bench):
    services = Services(lambda method, params: "y" * 3_000_000)
    outcome = bench.run("ask_while_printing", services=services, timeout_s=30)
    assert outcome.value == 3_000_000


def test_executor_cancelled_task_ends_and_says_so(bench):
    services = Services()
    thread = threading.Thread(
        target=lambda: services.has_line.wait(30) and bench.executor.cancel("to-cancel")
    )
    thread.start()
    outcome = bench.run("sleep", services=services, task_id="to-cancel")
    thread.join()
    assert (outcome.kind, outcome.message) == (OutcomeKind.CANCELLED, "the task was cancelled")
    assert outcome.error == {"message": {"text": "Invalid exit code 137", "oomError": False}}
    assert outcome.duration_s < 10


def test_executor_task_is_cancelled_while_it_imports(bench):
    timer = threading.Timer(0.5, bench.executor.cancel, ["to-cancel"])
    timer.start()
    outcome = bench.run("import_spins.f", task_id="to-cancel", timeout_s=20)
    timer.join()
    assert outcome.kind is OutcomeKind.CANCELLED


def test_executor_task_cancelled_right_behind_its_start_ends(bench):
    assert bench.run("echo").succeeded
    for number in range(10):
        task_id = f"at-once-{number}"
        bench.executor.cancel(task_id)
        outcome = bench.run("sleep", task_id=task_id, timeout_s=20)
        assert outcome.kind is OutcomeKind.CANCELLED


def test_executor_task_cancelled_while_its_worker_starts_ends(own_bench):
    own_bench.executor.cancel("early")
    outcome = own_bench.run("sleep", task_id="early", timeout_s=20)
    assert outcome.kind is OutcomeKind.CANCELLED
    assert own_bench.run("print_slowly", task_id="early").succeeded


def test_executor_cancel_of_another_task_changes_nothing(bench):
    timer = threading.Timer(0.05, bench.executor.cancel, ["another"])
    timer.start()
    assert bench.run("print_slowly", task_id="this").succeeded
    timer.join()


def test_executor_tasks_of_several_threads_run_at_once(own_bench):
    def run(number):
        outcomes[number] = own_bench.run("print_slowly", timeout_s=30)

    outcomes = {}
    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(outcome.succeeded for outcome in outcomes.values())
    assert len(outcomes) == 4


def test_executor_close_in_the_middle_of_a_task_ends_it(own_bench):
    services = Services()
    outcomes = []
    thread = threading.Thread(
        target=lambda: outcomes.append(own_bench.run("sleep", services=services))
    )
    thread.start()
    assert services.has_line.wait(30)
    before = time.monotonic()
    own_bench.executor.close()
    thread.join(20)
    assert outcomes[0].kind is OutcomeKind.LOST
    assert time.monotonic() - before < 5
    assert wait_until(lambda: own_bench.remains() == [])


def test_executor_platform_that_fails_in_a_call_ends_the_task(own_bench):
    def fail(method, params):
        raise LookupError("a bug of the platform")

    with pytest.raises(LookupError):
        own_bench.run("ask", services=Services(fail))
    assert own_bench.run("echo", 1).succeeded
