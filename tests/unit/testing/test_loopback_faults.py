"""When faults strike, and what they leave of the proper answer."""

import json
import threading

import pytest

from stepline.testing.loopback import (
    Cut,
    CutReply,
    FailAfter,
    Hold,
    Refuse,
    Reply,
    Request,
    WrongBytes,
)
from stepline.testing.loopback.faults import FaultList
from stepline.testing.loopback.messages import CutError

PUT = Request(method="PUT", path="/a", operation="PUT /a")
GET = Request(method="GET", path="/a", operation="GET /a")


class Service:
    """Counts what it did."""

    def __init__(self, data=b"proper"):
        self.done = 0
        self.data = data

    def __call__(self, request):
        self.done += 1
        return Reply(200, self.data, {"ETag": "1"})


@pytest.fixture
def service():
    return Service()


@pytest.mark.parametrize(
    ("after", "times", "expected"),
    [
        pytest.param(0, None, [503, 503, 503, 503], id="always"),
        pytest.param(1, None, [200, 503, 503, 503], id="from-the-second"),
        pytest.param(0, 2, [503, 503, 200, 200], id="twice"),
        pytest.param(1, 1, [200, 503, 200, 200], id="the-second-alone"),
        pytest.param(0, 0, [200, 200, 200, 200], id="never"),
    ],
)
def test_fault_strikes_as_often_as_it_was_told(service, after, times, expected):
    fault = Refuse("PUT *", 503, "busy", after=after, times=times)

    got = [fault(request, service).status for request in (PUT, GET, PUT, PUT, PUT) if request]

    assert [got[0], *got[2:]] == expected
    assert got[1] == 200
    assert service.done == got.count(200)
    assert fault.struck == got.count(503)


def test_pattern_tells_upper_from_lower_case(service):
    assert Refuse("put *", 503, "busy")(PUT, service).status == 200


def test_refuse_with_a_wait_says_it_and_its_words(service):
    reply = Refuse("*", 429, "too many", retry_after=3)(PUT, service)

    assert (reply.status, reply.headers["Retry-After"]) == (429, "3")
    assert json.loads(reply.data)["message"] == "too many"
    assert service.done == 0


def test_fail_after_has_its_effect_and_another_answer(service):
    reply = FailAfter("*", 502, "lost it")(PUT, service)

    assert (reply.status, service.done) == (502, 1)


def test_cut_reply_has_its_effect_and_no_answer(service):
    with pytest.raises(CutError):
        CutReply("*")(PUT, service)

    assert service.done == 1


def test_cut_counts_each_request_once(service):
    faults = FaultList([Cut("PUT *", 7, times=1)])

    assert [faults.cut_after(GET), faults.cut_after(PUT), faults.cut_after(PUT)] == [None, 7, None]
    assert faults.before(service)(PUT).status == 200


@pytest.mark.parametrize(
    ("data", "expected"),
    [pytest.param(b"abc", b"acc", id="some"), pytest.param(b"", b"", id="empty")],
)
def test_wrong_bytes_change_one_byte_and_keep_the_headers(data, expected):
    reply = WrongBytes("*")(GET, Service(data))

    assert reply == Reply(200, expected, {"ETag": "1"})


@pytest.mark.parametrize(
    ("before_effect", "while_held"), [(True, 0), (False, 1)], ids=["before", "after"]
)
def test_hold_waits_on_its_side_of_the_effect_until_released(service, before_effect, while_held):
    hold = Hold("PUT *", before_effect=before_effect)
    client = threading.Thread(target=hold, args=(PUT, service))
    client.start()

    assert hold.reached.wait(10)
    assert service.done == while_held
    hold.release()

    assert service.done == 1
    client.join(10)
    assert hold(PUT, service).status == 200


def test_fault_list_takes_the_first_as_outermost_and_forgets_removed_ones(service):
    first, second = Refuse("*", 500, "first"), Refuse("*", 501, "second")
    faults = FaultList([first])
    faults.append(second)

    assert faults.before(service)(PUT).status == 500
    faults.remove(first)
    assert faults.before(service)(PUT).status == 501
    with pytest.raises(ValueError, match="none of the faults"):
        faults.remove(first)
    faults.clear()
    assert faults.before(service)(PUT).status == 200
    assert (len(faults), list(faults)) == (0, [])
