"""Pushes to a plain HTTP endpoint, by the real client in real workers.

What came of a push is read from the stand-in's own record.
"""

import hashlib
import itertools
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from stepline.testing.http_standin import HttpStandIn
from stepline.testing.loopback import (
    Cut,
    CutReply,
    FailAfter,
    Hold,
    Refuse,
    Reply,
    Slow,
    WrongBytes,
)
from stepline.testing.loopback.proxy import FaultProxy
from tests.docs.blocks import blocks_of
from tests.support.client_environments import client_environment
from tests.support.executors import make_process_executor
from tests.support.pushing import (
    NOTHING,
    UNVERIFIED,
    VERIFIED,
    Pusher,
    kill_tasks,
    kill_workers,
    tuned,
)

PAGE = Path(__file__).parents[2] / "docs/how-to/receive-pushes.md"
SECRET = "not-a-real-signing-secret"
TOKEN = "not-a-real-token-12345"
SECRETS = {"signing_secret": SECRET, "token": TOKEN}
REFERENCES = {key: {"ssm": f"/local/local/org-secrets/{key}", "secret": True} for key in SECRETS}
ONE = {"plate.csv": b"well,od\nA1,0.25\n"}
OTHER = {"plate.csv": b"well,od\nA1,0.75\n"}
SEVERAL = {"notes/day 1 \u00b5.txt": b"a fine day\r\n", "all.bin": bytes(range(256)) * 300}
LESS_PATIENCE = """
Posted.pause_s = Put.pause_s = 0.02
Posted.settle_s = Put.settle_s = 0.3

_push_files = push_files


def push_files(input, context):
    # Or push with each of some changes, for the words of the errors.
    return push_each(input, context) if "each" in input else _push_files(input, context)


def push_each(input, context):
    found = []
    for changes in input["each"]:
        try:
            found.append(_push_files({**input, **changes}, context)["end"])
        except Exception as error:
            found.append(str(error))
    return {"words": found}
"""
PATH = "/plates"

pytestmark = pytest.mark.http


@pytest.fixture(scope="module")
def executor(stepline_cache, tmp_path_factory):
    scratch = tmp_path_factory.mktemp("scratch")
    cache = client_environment("push-http", cache=stepline_cache, scratch=scratch)
    executor = make_process_executor(cache, tmp_path_factory.mktemp("workers"))
    yield executor
    executor.close()


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    return tuned("push-http", tmp_path_factory.mktemp("script"), LESS_PATIENCE)


@pytest.fixture
def pusher_to(executor, version, tmp_path):
    """Make what pushes to an address."""
    numbers = itertools.count(1)

    def pusher_to(url, *, secrets=SECRETS, **more):
        folder = tmp_path / f"pusher-{next(numbers)}"
        folder.mkdir()
        return Pusher(
            executor,
            version,
            function="push-files",
            folder=folder,
            input={"url": url, "timeout_s": 1.0, **REFERENCES, **more},
            secrets=secrets,
        )

    return pusher_to


@pytest.fixture
def serve(pusher_to):
    """Make a stand-in, and what pushes to it."""

    @contextmanager
    def serve(method="POST", **how):
        with HttpStandIn(signing_secret=SECRET, token=TOKEN, **how) as standin:
            yield standin, pusher_to(standin.url + PATH, method=method)

    return serve


def received(standin):
    """Return the files of each version, oldest first."""
    return [
        {file.name: standin.blob(file.sha256) for file in version.files}
        for version in standin.versions.get(PATH, ())
    ]


@pytest.mark.parametrize("files", [ONE, SEVERAL], ids=["one", "several"])
def test_first_push_is_verified_byte_by_byte(serve, files):
    with serve() as (standin, pusher):
        end = pusher.push(files, note="ein Tag im M\u00e4rz")

        assert end.outcome == VERIFIED, end.words
        assert received(standin) == [files]
        [version] = standin.versions[PATH]
        assert version.note == "ein Tag im M\u00e4rz"
        receipt = end.receipt
    assert receipt["remote"]["version"] == "1"
    assert (receipt["verified_by"], receipt["new"], receipt["caveats"]) == ("bytes", True, [])
    assert receipt["key"] == version.key
    assert SECRET not in end.log + json.dumps(pusher.receipt_file(end))
    assert TOKEN not in end.log + json.dumps(pusher.receipt_file(end))


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_second_push_is_a_new_version_and_an_unchanged_one_is_none(serve, method):
    with serve(method) as (standin, pusher):
        ends = [
            pusher.push(files, workflow=workflow)
            for workflow, files in (("one", ONE), ("two", OTHER), ("three", OTHER), ("four", ONE))
        ]
        assert received(standin) == [ONE, OTHER, ONE]
    assert [end.outcome for end in ends] == [VERIFIED] * 4
    assert [end.receipt["new"] for end in ends] == [True, True, False, True]
    assert [end.receipt["remote"]["version"] for end in ends] == ["1", "2", "2", "3"]


def test_unchanged_push_by_force_is_a_new_version(serve):
    with serve() as (standin, pusher):
        pusher.push(ONE, workflow="one")
        end = pusher.push(ONE, workflow="two", force=True)
        assert (end.outcome, len(received(standin))) == (VERIFIED, 2)


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_dry_run_sends_nothing_and_shows_it(serve, method):
    with serve(method) as (standin, pusher):
        end = pusher.push(ONE, dry_run=True)

        assert (end.outcome, end.receipt["would_publish"]) == (NOTHING, True)
        assert {call.method for call in standin.calls} == {"GET"}
    assert hashlib.sha256(ONE["plate.csv"]).hexdigest() in end.log


def wrong_answer(request, answer):
    """Take what is sent, and answer with what is no version."""
    reply = answer(request)
    return reply if request.operation != "Push" else Reply(201, b'{"version": [1]}')


BUSY = {"retry_after": 0, "times": 2}
FAULTS = [
    pytest.param(Refuse("*", 401, "the token is not good"), NOTHING, 0, id="401"),
    pytest.param(Refuse("*", 403, "not for you"), NOTHING, 0, id="403"),
    pytest.param(Refuse("*", 404, "no such place"), NOTHING, 0, id="404"),
    pytest.param(Refuse("Push", 401, "the token is not good"), NOTHING, 0, id="401-push"),
    pytest.param(Refuse("Push", 409, "the name is taken"), NOTHING, 0, id="taken"),
    pytest.param(Refuse("Push", 413, "too large"), NOTHING, 0, id="too-large"),
    pytest.param(Refuse("Push", 429, "slow down", **BUSY), VERIFIED, 1, id="429"),
    pytest.param(Refuse("*", 429, "slow down", **BUSY), VERIFIED, 1, id="429-any"),
    pytest.param(Refuse("Push", 429, "slow down"), NOTHING, 0, id="429-always"),
    pytest.param(
        Refuse("Push", 429, "tomorrow", retry_after=9999), NOTHING, 0, id="429-for-too-long"
    ),
    pytest.param(Refuse("Push", 409, "in the midst", **BUSY), VERIFIED, 1, id="409-in-the-midst"),
    pytest.param(Refuse("Push", 307, "elsewhere"), NOTHING, 0, id="redirect"),
    pytest.param(Cut("Push", 5, times=1), VERIFIED, 1, id="cut"),
    pytest.param(Cut("Push", 5), UNVERIFIED, 0, id="cut-always"),
    pytest.param(CutReply("Push"), VERIFIED, 1, id="answer-lost"),
    pytest.param(FailAfter("Push", 500), VERIFIED, 1, id="500-after-success"),
    pytest.param(Refuse("Push", 500, "broken"), UNVERIFIED, 0, id="500"),
    pytest.param(Refuse("Push", 501, "no POST here"), NOTHING, 0, id="501"),
    pytest.param(Refuse("Push", 503, "down"), NOTHING, 0, id="503"),
    pytest.param(FailAfter("Push", 524), VERIFIED, 1, id="524-after-success"),
    pytest.param(Refuse("Look", 524, "down", times=2), VERIFIED, 1, id="524-look"),
    pytest.param(Refuse("Look", 501, "no GET here"), VERIFIED, 1, id="501-look"),
    pytest.param(Slow("Push", 0.3), VERIFIED, 1, id="slow"),
    pytest.param(Slow("Push", 1.5, times=1), VERIFIED, 1, id="too-slow"),
    pytest.param(WrongBytes("ReadBack", times=1), VERIFIED, 1, id="wrong-bytes-once"),
    pytest.param(WrongBytes("ReadBack"), UNVERIFIED, 1, id="wrong-bytes"),
    pytest.param(Refuse("ReadBack", 403, "not for you"), UNVERIFIED, 1, id="not-readable"),
    pytest.param(Refuse("ReadBack", 404, "not yet", times=2), VERIFIED, 1, id="served-late"),
    pytest.param(Cut("ReadBack", times=1), VERIFIED, 1, id="cut-read-back"),
    pytest.param(Refuse("Look", 503, "down", after=1), VERIFIED, 1, id="then-not-asked"),
    pytest.param(wrong_answer, VERIFIED, 1, id="odd-answer"),
]


@pytest.mark.parametrize(("fault", "outcome", "versions"), FAULTS)
def test_fault_ends_in_one_of_three_ends(serve, fault, outcome, versions):
    with serve(faults=[fault]) as (standin, pusher):
        end = pusher.push(ONE)

        assert end.outcome == outcome, end.words
        assert received(standin) == [ONE] * versions
    if outcome != VERIFIED and isinstance(fault, Refuse):
        assert json.loads(fault.reply.data)["message"] in end.words
    assert SECRET not in end.log + end.words
    assert TOKEN not in end.log + end.words


PUT_FAULTS = [
    pytest.param(Refuse("Put", 403, "not for you"), NOTHING, 0, id="403"),
    pytest.param(Cut("Put", 5, times=1), VERIFIED, 1, id="cut"),
    pytest.param(CutReply("Put"), VERIFIED, 1, id="answer-lost"),
    pytest.param(FailAfter("Put", 500), VERIFIED, 1, id="500-after-success"),
    pytest.param(Refuse("Look", 429, "slow down", **BUSY), VERIFIED, 1, id="429-look"),
    pytest.param(Refuse("Look", 403, "write only"), VERIFIED, 1, id="write-only"),
    pytest.param(Refuse("Put", 429, "slow down"), NOTHING, 0, id="429-always"),
    pytest.param(Refuse("Put", 507, "full"), UNVERIFIED, 0, id="507"),
    pytest.param(WrongBytes("Look", after=2), UNVERIFIED, 1, id="wrong-bytes"),
]


@pytest.mark.parametrize(("fault", "outcome", "versions"), PUT_FAULTS)
def test_put_fault_ends_in_one_of_three_ends(serve, fault, outcome, versions):
    with serve("PUT", faults=[fault]) as (standin, pusher):
        end = pusher.push(ONE)

        assert end.outcome == outcome, end.words
        assert received(standin) == [ONE] * versions


def half_of_it(standin, status):
    """Return a fault: a part of what is sent replaces what is there, and an error is answered."""

    def strike(request, answer):
        if request.operation != "Put" or len(standin.versions[PATH]) > 1:
            return answer(request)
        standin.put_there(PATH, {"plate.csv": request.data[: len(request.data) // 2]})
        return Reply(status, b"no space for all of it")

    return strike


@pytest.mark.parametrize("status", [413, 429, 507], ids=str)
def test_put_that_leaves_half_of_the_file_is_not_called_nothing(serve, status):
    with serve("PUT") as (standin, pusher):
        assert pusher.push(ONE, workflow="one").outcome == VERIFIED
        standin.faults.append(half_of_it(standin, status))
        end = pusher.push(OTHER, workflow="two")
        assert end.outcome == UNVERIFIED, end.words
        assert "what is there now is neither what was there nor what was sent" in end.words
        assert len(received(standin)) == 2
        assert pusher.push(OTHER, workflow="two").outcome == VERIFIED
        assert received(standin)[2:] == [OTHER]


@pytest.mark.parametrize("etag", ["", 'W/"1"'], ids=["none", "weak"])
def test_put_without_a_strong_etag_says_that_it_is_unguarded(serve, etag):
    def other_etag(request, answer):
        reply = answer(request)
        return Reply(reply.status, reply.data, {**reply.headers, "ETag": etag} if etag else {})

    with serve("PUT", faults=[other_etag]) as (standin, pusher):
        ends = [pusher.push(files, workflow=str(files)) for files in (ONE, OTHER)]
        assert received(standin) == [ONE, OTHER]
    assert ends[0].receipt["caveats"] == []
    [caveat] = ends[1].receipt["caveats"]
    assert "no strong ETag" in caveat


def test_put_of_several_files_is_refused(serve):
    with serve("PUT") as (standin, pusher):
        end = pusher.push(SEVERAL)
        assert (end.outcome, standin.calls) == (NOTHING, ())
    assert "a PUT takes one file" in end.words


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_version_of_somebody_else_in_between_is_not_written_over(serve, method):
    with serve(method) as (standin, pusher):
        pusher.push(ONE, workflow="one")
        hold = Hold({"POST": "Push", "PUT": "Put"}[method])
        standin.faults.append(hold)
        with pusher.pushing(OTHER, workflow="two") as ends:
            assert hold.reached.wait(20)
            standin.put_there(PATH, {"plate.csv": b"theirs"})
            hold.release()

        assert [end.outcome for end in ends] == [NOTHING]
        assert received(standin) == [ONE, {"plate.csv": b"theirs"}]
    assert "somebody else published a version in between: 412" in ends[0].words


def silent_at_first(request, answer):
    """Take what is sent, and tell nothing at all."""
    reply = answer(request)
    return Reply(201) if request.operation == "Push" else reply


def with_status(reply, status):
    """Return an answer that tells a status of the newest version."""
    told = json.loads(reply.data)
    newest = told["versions"][0] if "versions" in told else told
    newest.update(status=status, message="no wells in it")
    return Reply(reply.status, json.dumps(told).encode(), {"Content-Type": "application/json"})


# What an endpoint that shows nothing of what it has can be known to have done.
UNLISTED = [
    pytest.param([], VERIFIED, 1, id="well"),
    pytest.param([Cut("Push", 5, times=1)], VERIFIED, 1, id="cut"),
    pytest.param([CutReply("Push", times=1)], VERIFIED, 1, id="answer-lost-once"),
    pytest.param([FailAfter("Push", 500, times=1)], VERIFIED, 1, id="500-after-success-once"),
    pytest.param([CutReply("Push")], UNVERIFIED, 1, id="answer-lost"),
    pytest.param([Cut("Push", 5)], UNVERIFIED, 0, id="cut-always"),
    pytest.param([Refuse("Push", 429, "slow down")], NOTHING, 0, id="429-always"),
    pytest.param([Refuse("Push", 403, "not for you")], NOTHING, 0, id="403"),
]


@pytest.mark.parametrize(("faults", "outcome", "versions"), UNLISTED)
def test_endpoint_that_lists_nothing_is_relied_on_for_the_key(serve, faults, outcome, versions):
    with serve(lists=False, faults=faults) as (standin, pusher):
        end = pusher.push(ONE)

        assert end.outcome == outcome, end.words
        assert received(standin) == [ONE] * versions
    assert "does not list what it has (405 Method Not Allowed: this endpoint takes" in end.log


@pytest.mark.parametrize("files", [ONE, SEVERAL], ids=["one", "several"])
@pytest.mark.parametrize(
    ("tells", "outcome"), [(True, VERIFIED), (False, UNVERIFIED)], ids=["digest", "nothing"]
)
@pytest.mark.parametrize("lists", [True, False], ids=["lists", "lists-not"])
def test_endpoint_that_gives_nothing_back_is_believed_by_its_digest(
    serve, files, tells, outcome, lists
):
    with serve(lists=lists, readable=False, tells_digests=tells) as (standin, pusher):
        end = pusher.push(files)
        assert (end.outcome, received(standin)) == (outcome, [files])
    if tells:
        assert end.receipt["verified_by"] == "digest"
        assert "the endpoint's own word" in end.receipt["remote"]["caveat"]
    else:
        assert "gives neither an address to read it back from nor a digest" in end.words


def mirror(request, answer):
    """Keep nothing, and send all headers back."""
    names = ("content-digest", "idempotency-key", "content-type", "content-disposition")
    found = {name: request.headers[name] for name in names if name in request.headers}
    digest = {"Repr-Digest": request.headers.get("content-digest", "")}
    return Reply(200 if request.data else 404, b"fine", {**found, **digest})


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("readable", [True, False], ids=["readable", "unreadable"])
def test_mirror_that_keeps_nothing_is_not_believed(serve, method, readable):
    faults = [mirror] if readable else [Refuse("Look", 405, "no"), mirror]
    with serve(method, faults=faults) as (standin, pusher):
        end = pusher.push(ONE)
        assert (end.outcome, received(standin)) == (UNVERIFIED, [])


SIGNATURE = "X-Amz-Signature=0123456789abcdef"


def signed_addresses(request, answer):
    """Tell an address with a signature, and give the file to those alone who have it."""
    reply = answer(request)
    if request.operation == "ReadBack" and request.query != SIGNATURE:
        return Reply(403, f"not so: {request.path}?{request.query}".encode())
    if request.operation != "Push":
        return reply
    told = json.loads(reply.data)
    told["location"] += f"?{SIGNATURE}"
    del told["version"]
    return Reply(201, json.dumps(told).encode(), {"Location": told["location"]})


@pytest.mark.parametrize("readable", [True, False], ids=["readable", "refused"])
def test_signed_addresses_are_read_and_not_shown(serve, readable):
    refusal = Refuse("ReadBack", 403, f"/x?{SIGNATURE} is not good")
    faults = [signed_addresses] if readable else [refusal, signed_addresses]
    with serve(lists=False, faults=faults) as (standin, pusher):
        end = pusher.push(ONE)
        assert end.outcome == (VERIFIED if readable else UNVERIFIED), end.words
        assert received(standin) == [ONE]
    shown = end.log + end.words + str(end.record.outcome)
    shown += json.dumps(pusher.receipt_file(end)) if readable else ""
    assert "Signature" not in shown


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_address_that_is_a_secret_is_used_whole_and_shown_without_its_query(
    pusher_to, method, tmp_path
):
    seen = set()

    def note(request, answer):
        seen.add(request.query if request.path == PATH else "")
        return answer(request)

    with HttpStandIn(faults=[note], record=tmp_path / "record") as standin:
        url = f"{standin.url}{PATH}?token={TOKEN}"
        reference = {"ssm": "/local/local/org-secrets/url", "secret": True}
        given = {"token": None, "signing_secret": None, "method": method}
        pusher = pusher_to(reference, secrets={"url": url}, **given)
        end = pusher.push(ONE)
        assert (end.outcome, received(standin)) == (VERIFIED, [ONE]), end.words
    assert f"token={TOKEN}" in seen
    assert end.receipt["destination"]["ref"] == f"{standin.url}{PATH}"
    assert TOKEN not in end.log + json.dumps(pusher.receipt_file(end))


def test_address_that_is_a_secret_without_a_query_is_no_use(pusher_to):
    reference = {"ssm": "/local/local/org-secrets/url", "secret": True}
    end = pusher_to(reference, secrets={"url": "https://data.example.org/x"}, token=None).push(ONE)
    assert "input 'url' is a secret without a part after '?'" in end.words


def test_dry_run_says_beforehand_what_cannot_be_known(serve):
    with serve(lists=False, readable=False, tells_digests=False) as (standin, pusher):
        end = pusher.push(ONE, dry_run=True, signing_secret=None)
        assert received(standin) == []
    unsigned, unlisted, unverified = end.receipt["caveats"]
    assert "its own word" in unverified
    assert "not signed" in unsigned
    assert "does not list" in unlisted
    assert "will end published, but not verified" in unverified
    assert all(caveat in end.log for caveat in end.receipt["caveats"])


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([CutReply("Push"), Refuse("Look", 503, "down", after=1)], id="unclear"),
        pytest.param([silent_at_first, Refuse("Look", 503, "down", after=1)], id="tells-nothing"),
    ],
)
def test_endpoint_that_goes_down_after_the_upload_leaves_it_open(serve, faults):
    with serve(faults=faults) as (standin, pusher):
        end = pusher.push(ONE)
        assert (end.outcome, received(standin)) == (UNVERIFIED, [ONE])
    assert "down" in end.words


def test_version_that_is_processed_is_waited_for(serve):
    told = iter(["processing"] * 4)  # before, in the answer, and twice when asked again

    def process(request, answer):
        reply = answer(request)
        status = next(told, "") if request.operation in ("Push", "Look") else ""
        return with_status(reply, status) if status else reply

    with serve() as (standin, pusher):
        pusher.push(OTHER, workflow="other")
        standin.faults.append(process)
        end = pusher.push(ONE)
        assert (end.outcome, received(standin)) == (VERIFIED, [OTHER, ONE])
    assert next(told, None) is None


def test_version_that_cannot_be_processed_is_published_but_unverified(serve):
    def fail(request, answer):
        reply = answer(request)
        return with_status(reply, "failed") if request.operation == "Push" else reply

    with serve(lists=False, faults=[fail]) as (standin, pusher):
        end = pusher.push(ONE)
        assert (end.outcome, received(standin)) == (UNVERIFIED, [ONE])
    assert "could not process it: no wells in it" in end.words


@pytest.mark.parametrize("way", ["location", "redirect"])
def test_another_host_gets_neither_token_nor_signature(serve, way):
    seen = []

    def store(request, answer):
        seen.append(set(request.headers))
        return Reply(200, ONE["plate.csv"])

    with HttpStandIn(faults=[store]) as other, serve() as (standin, pusher):
        url = f"{other.url}/blobs/1"

        def lead_there(request, answer):
            reply = answer(request)
            if request.operation == "Push" and way == "location":
                told = {**json.loads(reply.data), "location": url}
                return Reply(201, json.dumps(told).encode())
            if request.operation == "ReadBack":
                return Reply(302, b"", {"Location": url})
            return reply

        standin.faults.append(lead_there)
        end = pusher.push(ONE, headers={"X-Key": REFERENCES["token"]})

    assert end.outcome == VERIFIED, end.words
    assert seen
    assert not {"authorization", "stepline-signature", "x-key"} & set().union(*seen)


def test_note_that_does_not_fit_is_refused(serve):
    with serve() as (standin, pusher):
        end = pusher.push(ONE, note="\u00b5" * 700)
        assert (end.outcome, standin.calls) == (NOTHING, ())
    assert "the note is too long: 4200 bytes of 4096" in end.words


def silent(request, answer):
    """Take what is sent, and tell nothing but a number."""
    reply = answer(request)
    return Reply(201, b'{"version": 1}') if request.operation == "Push" else reply


def test_read_back_url_leads_to_the_files(serve):
    with serve(lists=False, faults=[silent]) as (standin, pusher):
        end = pusher.push(SEVERAL, read_back_url=f"{PATH}/versions/{{version}}/{{name}}")
        assert (end.outcome, received(standin)) == (VERIFIED, [SEVERAL])
    assert end.receipt["verified_by"] == "bytes"


# Where the task is killed: method, whether the endpoint lists, what is held, and on which side.
STAGES = [
    ("POST", True, "Look", 0, "before"),
    ("POST", True, "Push", 0, "before"),
    ("POST", True, "Push", 0, "after"),
    ("POST", True, "ReadBack", 0, "before"),
    ("POST", False, "Push", 0, "before"),
    ("POST", False, "Push", 0, "after"),
    ("POST", False, "ReadBack", 0, "before"),
    ("PUT", True, "Look", 0, "before"),
    ("PUT", True, "Put", 0, "before"),
    ("PUT", True, "Put", 0, "after"),
    ("PUT", True, "Look", 1, "before"),
]


@pytest.mark.parametrize(("method", "lists", "operation", "nth", "side"), STAGES)
def test_kill_and_retry_leave_one_version(serve, method, lists, operation, nth, side):
    files = SEVERAL if method == "POST" else ONE
    hold = Hold(operation, before_effect=side == "before", after=nth, times=1)
    with serve(method, lists=lists, faults=[hold]) as (standin, pusher):
        with pusher.pushing(files, timeout_s=30.0) as ends:
            assert hold.reached.wait(20)
            kill_tasks()
            hold.release()
        end = pusher.push(files)

        assert ends[0].outcome not in (VERIFIED, NOTHING, UNVERIFIED)
        assert end.outcome == VERIFIED, end.words
        assert received(standin) == [files]


@pytest.mark.parametrize(("method", "lists"), [("POST", True), ("POST", False), ("PUT", True)])
def test_upload_of_a_killed_task_that_lands_after_the_retry_makes_no_other(serve, method, lists):
    hold = Hold({"POST": "Push", "PUT": "Put"}[method], times=1)
    with serve(method, lists=lists, faults=[hold]) as (standin, pusher):
        with pusher.pushing(ONE, timeout_s=30.0) as ends:
            assert hold.reached.wait(20)
            kill_tasks()
            end = pusher.push(ONE)
            hold.release()

        assert [each.outcome == VERIFIED for each in (*ends, end)] == [False, True]
        assert received(standin) == [ONE]


def test_killed_worker_and_retry_leave_one_version(serve):
    hold = Hold("Push", before_effect=False)
    with serve(faults=[hold]) as (standin, pusher):
        with pusher.pushing(ONE) as ends:
            assert hold.reached.wait(20)
            kill_workers()
            hold.release()
        end = pusher.push(ONE)

        assert [each.outcome == VERIFIED for each in (*ends, end)] == [False, True]
        assert (received(standin), end.receipt["new"]) == ([ONE], False)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("place", ["file", "note", "header", "read_back_url", "url"])
def test_planted_secret_stops_the_push(serve, secret, place):
    value = SECRETS[secret]
    files = {"plate.csv": f"well,od\n{value},1\n".encode()} if place == "file" else ONE
    with serve() as (standin, pusher):
        url = f"{standin.url}{PATH}"
        changes = {
            "note": {"note": value},
            "header": {"headers": {"X-Key": value}},
            "read_back_url": {"read_back_url": f"/x?key={value}"},
            "url": {"url": f"{url}?key={value}"},
        }
        end = pusher.push(files, **changes.get(place, {}))
        assert (end.outcome, standin.operations) == (NOTHING, [])
    assert f"holds the value of the secret '{secret}'" in end.words
    assert value not in end.words + end.log


OPEN = "http://plates.example/x"
WRONG_INPUT = [
    ({"url": None}, "input 'url' is missing"),
    ({"url": "plates"}, "input 'url' is no address that begins with https://"),
    ({"url": "http://me:pw@127.0.0.1/x"}, "input 'url' has credentials in it"),
    ({"url": OPEN}, "the token would be readable on its way"),
    (
        {"url": OPEN, "token": None, "headers": {"X-Key": REFERENCES["token"]}},
        "the header 'X-Key' would be readable on its way",
    ),
    ({"url": "https://plates.example/x#a"}, "has a part after '#'"),
    ({"method": "PATCH"}, "input 'method' is 'PATCH', it must be one of: POST, PUT"),
    ({"timeout_s": "5"}, "input 'timeout_s' is a number, not str"),
    ({"timeout_s": 0}, "input 'timeout_s' is 0, it must be above 0"),
    ({"headers": {"Content-Digest": "x"}}, "'Content-Digest' is set by the push itself"),
    ({"headers": {"X Y": "x"}}, "'X Y' is no name of a header"),
    ({"headers": {"X-Key": 1}}, "input 'headers': 'X-Key' is text"),
    ({"headers": {"X-Key": "a\nb"}}, "the value of 'X-Key' is not printable ASCII"),
    ({"token": {"ssm": "/local/local/org-secrets/other"}}, "input 'token' is no secret"),
    ({"url": {"ssm": "/local/local/org-secrets/other"}}, "input 'url' is no secret"),
    ({"url": REFERENCES["token"]}, "input 'url' is no address"),
    ({"read_back_url": "/x/{number}"}, "input 'read_back_url' has {number}"),
]


def test_bad_input_is_named_before_anything_is_sent(serve):
    with serve() as (standin, pusher):
        end = pusher.push(ONE, each=[changes for changes, _ in WRONG_INPUT])
        assert standin.calls == ()
    wanted, found = [words for _, words in WRONG_INPUT], end.record.outcome.value["words"]
    assert [pair for pair in zip(wanted, found, strict=True) if pair[0] not in pair[1]] == []


def test_headers_hold_texts_and_secrets(serve):
    seen = []

    def note(request, answer):
        seen.append((request.headers["x-lab"], request.headers["x-key"]))
        return answer(request)

    with serve(faults=[note]) as (_, pusher):
        end = pusher.push(ONE, headers={"X-Lab": "north", "X-Key": REFERENCES["token"]})
    assert end.outcome == VERIFIED, end.words
    assert set(seen) == {("north", TOKEN)}


def test_no_files_are_refused(serve):
    with serve() as (standin, pusher):
        assert pusher.push({}).outcome == NOTHING
        assert standin.calls == ()


@pytest.fixture
def receiver(tmp_path):
    """The receiver that docs/how-to/receive-pushes.md shows; gives its address and folder."""
    [code] = [block.text for block in blocks_of(PAGE) if block.value == "receiver.py"]
    folder = tmp_path / "receiver"
    folder.mkdir()
    (folder / "receiver.py").write_text(code)
    command = [sys.executable, "receiver.py", "0"]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    environ = {"PATH": os.defpath, "SIGNING_SECRET": SECRET}
    with subprocess.Popen(command, cwd=folder, env=environ, **options) as process:
        yield process.stdout.readline().split()[-1].rstrip("/"), folder / "received"
        process.terminate()


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([], id="well"),
        pytest.param([CutReply("POST /", times=1)], id="answer-lost"),
        pytest.param([Cut("POST /", 1000, times=1)], id="cut"),
        pytest.param([FailAfter("POST /", 502)], id="502-after-success"),
        pytest.param([Refuse("GET /", 405, "not for you")], id="does-not-list"),
    ],
)
def test_receiver_of_the_page_keeps_one_version_of_all_bytes(pusher_to, receiver, faults):
    address, folder = receiver
    with FaultProxy(address, faults=faults) as proxy:
        end = pusher_to(proxy.url + "/").push(SEVERAL, note="\u00b5")

    assert end.outcome == VERIFIED, end.words
    assert [path.name for path in folder.iterdir()] == ["1"]
    about = json.loads((folder / "1/about.json").read_text())
    names = [file["name"] for file in about["files"]]
    kept = {name: (folder / f"1/{place}").read_bytes() for place, name in enumerate(names)}
    assert (kept, about["note"]) == (SEVERAL, "\u00b5")


def test_receiver_of_the_page_turns_strangers_and_late_ones_away(pusher_to, receiver):
    address, folder = receiver
    pusher = pusher_to(address + "/")
    assert pusher.push(ONE, signing_secret=None).outcome == NOTHING
    for number, files in enumerate([ONE, OTHER], 1):
        assert pusher.push(files, workflow=f"w{number}").outcome == VERIFIED
    hold = Hold("POST /")
    with FaultProxy(address, faults=[hold]) as proxy:
        late = pusher_to(proxy.url + "/")
        with late.pushing(ONE, workflow="late") as ends:
            assert hold.reached.wait(20)
            assert pusher.push(ONE, workflow="first").outcome == VERIFIED
            hold.release()
    assert (ends[0].outcome, "412" in ends[0].words) == (NOTHING, True)
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2", "3"]
