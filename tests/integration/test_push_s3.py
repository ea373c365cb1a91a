"""Pushes to S3 end in one of three ways, judged by what the store itself has."""

import json

import pytest

from stepline.app.run_secrets import reference
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
from stepline.testing.loopback.messages import CutError
from stepline.testing.loopback.proxy import FaultProxy
from tests.support.executors import make_process_executor
from tests.support.moto_server import ANY_KEY, REGION
from tests.support.projects import Project
from tests.support.pushing import (
    NOTHING,
    UNVERIFIED,
    VERIFIED,
    Pusher,
    kill_workers,
    tuned,
)

pytestmark = [pytest.mark.s3]

FILES = {"plate.csv": b"well,od\nA1,0.25\n", "notes/a day.txt": b"a fine day\n"}
MORE = {"plate.csv": b"well,od\nA1,0.50\n"}
MEGABYTE = 1_000_000
LESS_PATIENCE = """
from boto3.s3.transfer import TransferConfig

VersionsInBucket.pause_s = 0.02
VersionsInBucket.settle_s = 0.3
VersionsInBucket.tries = 3
VersionsInBucket.transfer = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)

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
MANIFEST = "/plates/daily/manifest.json"
OBJECT = "/plates/daily/v1-*/plate.csv"

_codes = {403: "AccessDenied", 404: "NoSuchBucket", 429: "SlowDown", 503: "ServiceUnavailable"}


def store_error(status, message):
    """Return an error as S3 words it."""
    code = _codes.get(status, "InternalError")
    text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Reply(status, text.encode(), {"Content-Type": "application/xml"})


def no(operation, status, **how):
    return Refuse(operation, status, "not today", form=store_error, **how)


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    return tuned("push-s3", tmp_path_factory.mktemp("script"), LESS_PATIENCE)


@pytest.fixture(scope="module")
def executor(push_client, tmp_path_factory):
    folder = tmp_path_factory.mktemp("executor")
    (folder / "tmp").mkdir()
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    task_env = dict(zip(names, ANY_KEY, strict=True))
    made = make_process_executor(push_client("push-s3"), folder / "tmp", task_env=task_env)
    yield made
    made.close()


@pytest.fixture
def store(moto_server):
    moto_server.bucket("plates")
    return moto_server


@pytest.fixture
def proxy(store):
    with FaultProxy(store.url) as proxy:
        yield proxy


@pytest.fixture
def pusher(executor, script, proxy, tmp_path):
    """Pushes through the proxy."""
    return pusher_to(proxy.url, executor, script, tmp_path)


def pusher_to(url, executor, script, folder, key=ANY_KEY):
    names = ("access_key", "secret_key")
    return Pusher(
        executor,
        script,
        function="push-files",
        folder=folder,
        input={
            "bucket": "plates",
            "prefix": "daily",
            "endpoint_url": url,
            "region": REGION,
            **{name: reference(name) for name in names},
        },
        secrets=dict(zip(names, key, strict=True)),
    )


def published(store):
    """Return the files of each version that readers see, newest first; they are whole."""
    objects = store.objects("plates")
    versions = json.loads(objects.get("daily/manifest.json", b'{"versions": []}'))["versions"]
    return [
        {file["name"]: objects[f"daily/{version['folder']}{file['name']}"] for file in files}
        for version in versions
        for files in [version["files"]]
    ]


def test_push_to_s3_is_verified_and_published_by_its_manifest(pusher, store):
    end = pusher.push(FILES, note="of Monday")

    assert end.outcome == VERIFIED, end.words
    assert published(store) == [FILES]
    (version,) = json.loads(store.objects("plates")["daily/manifest.json"])["versions"]
    receipt = pusher.receipt_file(end)
    assert (version["number"], version["note"], version["key"]) == (1, "of Monday", receipt["key"])
    assert receipt["remote"]["url"] == f"s3://plates/daily/v1-{receipt['key'][:8]}/"
    head = store.client("s3").head_object(
        Bucket="plates", Key=f"daily/{version['folder']}plate.csv", ChecksumMode="ENABLED"
    )
    assert head["Metadata"]["stepline-push"] == receipt["key"]
    assert (head["ContentType"], len(head["ChecksumSHA256"])) == ("text/csv", 44)


def test_push_to_s3_of_other_content_is_a_second_version_and_of_the_same_nothing_new(pusher, store):
    ends = [pusher.push(files, workflow=each) for each, files in enumerate_workflows()]
    assert [(end.receipt["remote"]["version"], end.receipt["new"]) for end in ends] == [
        ("1", True),
        ("2", True),
        ("2", False),
        ("1", False),
    ]
    assert published(store) == [MORE, FILES]


def enumerate_workflows():
    """Give a first push, a second, the second by another workflow, and the first's retry."""
    return [("first", FILES), ("second", MORE), ("third", MORE), ("first", FILES)]


def test_push_to_s3_dry_run_changes_nothing(pusher, store):
    end = pusher.push(FILES, dry_run=True)
    assert (end.outcome, end.receipt["would_publish"]) == (NOTHING, True)
    assert store.objects("plates") == {}


def test_push_to_s3_of_a_secret_is_stopped_before_anything_leaves(pusher, store, proxy):
    end = pusher.push({"plate.csv": b"od " + ANY_KEY[1].encode()})
    assert end.outcome == NOTHING
    assert "holds the value of the secret 'secret_key'" in end.words
    assert store.objects("plates") == {}
    assert proxy.calls == ()


def test_push_to_s3_of_a_large_file_goes_up_in_parts(pusher, store):
    large = bytes(range(250)) * 4000 * 11
    assert pusher.push({"large.bin": large}).outcome == VERIFIED
    assert published(store) == [{"large.bin": large}]
    (key,) = [key for key in store.objects("plates") if key.endswith("large.bin")]
    assert store.client("s3").head_object(Bucket="plates", Key=key)["ETag"].endswith('-3"')


def test_push_to_s3_without_secrets_takes_what_the_client_finds(pusher, store):
    end = pusher.push(FILES, access_key=None, secret_key=None, prefix=None)
    assert (end.outcome, end.receipt["remote"]["version"]) == (VERIFIED, "1")
    assert "manifest.json" in store.objects("plates")


def test_push_to_s3_where_the_store_knows_no_checksums_and_no_conditions(pusher, store):
    plain = {"checksums": False, "conditional_writes": False}
    ends = [pusher.push(files, workflow=name, **plain) for name, files in enumerate_workflows()]
    assert [end.outcome for end in ends] == [VERIFIED] * 4
    assert published(store) == [MORE, FILES]
    assert "no conditional writes" in ends[0].receipt["caveats"][0]


TRANSIENT = {
    "busy for a second": lambda: no(f"PUT {OBJECT}", 429, retry_after=1, times=2),
    "failing a few times": lambda: no(f"PUT {MANIFEST}", 503, times=2),
    "cut in mid-upload": lambda: Cut(f"PUT {OBJECT}", 5, times=3),
    "slow": lambda: Slow("PUT *", 0.3),
    "failing in front of the store": lambda: no(f"PUT {OBJECT}", 524, times=2),
    "other bytes once": lambda: WrongBytes(f"GET {OBJECT}", times=1),
    "error after the upload": lambda: FailAfter(f"PUT {MANIFEST}", form=store_error, times=1),
    "each answer of the end lost": lambda: CutReply(f"PUT {MANIFEST}"),
    "error after each object": lambda: FailAfter(f"PUT {OBJECT}", form=store_error, times=3),
    "manifest garbled once": lambda: WrongBytes(f"GET {MANIFEST}", after=1, times=1),
}


@pytest.mark.parametrize("name", TRANSIENT)
def test_push_to_s3_that_goes_wrong_for_a_while_is_verified_once(pusher, store, proxy, name):
    proxy.faults.append(TRANSIENT[name]())
    end = pusher.push(FILES)
    assert end.outcome == VERIFIED, end.words
    assert published(store) == [FILES]
    assert proxy.faults[0].struck


REFUSED = {
    "no right to read": (lambda: no(f"GET {MANIFEST}", 403), "not today (AccessDenied, HTTP 403)"),
    "no bucket": (lambda: no(f"GET {MANIFEST}", 404), "not today (NoSuchBucket, HTTP 404)"),
    "no right to write": (lambda: no(f"PUT {OBJECT}", 403), "PutObject: not today"),
    "no right to publish": (lambda: no(f"PUT {MANIFEST}", 403), "PutObject: not today"),
    "not signed in": (lambda: no("*", 401), "not today"),
    "busy for hours": (lambda: no(f"PUT {OBJECT}", 429, retry_after=3600), "SlowDown"),
    "failing always": (lambda: no(f"PUT {MANIFEST}", 503), "ServiceUnavailable"),
    "cut always": (lambda: Cut(f"PUT {OBJECT}", 5), "onnection"),
    "objects failing always": (lambda: no(f"PUT {OBJECT}", 500), "InternalError"),
    "no conditions": (lambda: no(f"PUT {MANIFEST}", 501), "set conditional_writes to false"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_push_to_s3_that_is_refused_publishes_nothing(pusher, store, proxy, name):
    fault, words = REFUSED[name]
    proxy.faults.append(fault())
    end = pusher.push(FILES)
    assert end.outcome == NOTHING, end.words
    assert words in end.words
    assert published(store) == []


DOUBTFUL = {
    "other bytes": (lambda: [WrongBytes(f"GET {OBJECT}")], "plate.csv"),
    "not to be listed": (lambda: [no("GET /plates", 403)], "not today"),
    "not to be fetched": (lambda: [no(f"GET {OBJECT}", 403)], "cannot be read back"),
    "not to be seen after an error": (
        lambda: [
            FailAfter(f"PUT {MANIFEST}", form=store_error),
            no(f"GET {MANIFEST}", 503, after=1),
        ],
        "it is not known whether",
    ),
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_push_to_s3_that_cannot_be_proven_is_unverified(pusher, store, proxy, name):
    faults, words = DOUBTFUL[name]
    for fault in faults():
        proxy.faults.append(fault)
    end = pusher.push(FILES)
    assert end.outcome == UNVERIFIED, end.words
    assert words in end.words
    assert published(store) == [FILES]
    proxy.faults.clear()
    assert pusher.push(FILES).outcome == VERIFIED
    assert published(store) == [FILES]


@pytest.mark.parametrize("fault", ["cut", "error"])
def test_push_to_s3_whose_manifest_is_never_taken_and_that_hears_no_clear_no_is_unverified(
    pusher, store, proxy, fault
):
    faults = {"cut": Cut(f"PUT {MANIFEST}", 5), "error": no(f"PUT {MANIFEST}", 524)}
    proxy.faults.append(faults[fault])
    end = pusher.push(FILES)
    assert (end.outcome, published(store)) == (UNVERIFIED, [])
    proxy.faults.clear()
    assert pusher.push(FILES).outcome == VERIFIED
    assert published(store) == [FILES]


def nobody(request, answer):
    """Be gone."""
    raise CutError


def test_push_to_s3_to_a_store_that_is_gone_once_it_took_the_manifest_is_unverified(
    pusher, store, proxy
):
    hold = Hold(f"PUT {MANIFEST}", before_effect=False)
    for fault in (CutReply(f"PUT {MANIFEST}"), hold):
        proxy.faults.append(fault)
    with pusher.pushing(FILES) as ends:
        assert hold.reached.wait(30)
        proxy.faults.append(nobody)  # for connections that are there
        proxy.__exit__(None, None, None)
        hold.release()
    assert ends[0].outcome == UNVERIFIED, ends[0].words
    assert published(store) == [FILES]


def test_push_to_s3_to_a_closed_port_publishes_nothing(pusher, store, proxy):
    proxy.__exit__(None, None, None)
    end = pusher.push(FILES)
    assert (end.outcome, "Could not connect" in end.words) == (NOTHING, True)


def test_push_to_s3_finds_its_own_version_below_a_hundred_of_others(pusher, store):
    assert pusher.push(FILES).outcome == VERIFIED
    client, key = store.client("s3"), "daily/manifest.json"
    document = json.loads(store.objects("plates")[key])
    theirs = {"folder": "theirs/", "key": "0" * 32, "content": "1" * 32, "files": []}
    others = [{**theirs, "number": number} for number in range(150, 1, -1)]
    document["versions"] = [*others, *document["versions"]]
    client.put_object(Bucket="plates", Key=key, Body=json.dumps(document).encode())
    receipt = pusher.push(FILES).receipt
    assert (receipt["new"], receipt["remote"]["version"]) == (False, "1")


@pytest.mark.parametrize(
    ("held", "conditional"),
    [(f"PUT {MANIFEST}", True), (f"PUT {OBJECT}", True), (f"PUT {OBJECT}", False)],
    ids=["at the end", "while it uploads", "while it uploads, unconditional"],
)
def test_push_to_s3_never_undoes_what_somebody_else_pushed_meanwhile(
    pusher, store, proxy, executor, script, tmp_path, held, conditional
):
    hold = Hold(held, times=1)
    proxy.faults.append(hold)
    other = pusher_to(store.url, executor, script, tmp_path / "other")
    choice = {"conditional_writes": conditional}
    with pusher.pushing(FILES, **choice) as ends:
        assert hold.reached.wait(30)
        assert other.push(MORE, workflow="of somebody else").outcome == VERIFIED
        hold.release()
    assert ends[0].outcome == NOTHING
    assert "somebody else published in the meantime" in ends[0].words
    assert published(store) == [MORE]
    assert pusher.push(FILES, **choice).outcome == VERIFIED
    assert published(store) == [FILES, MORE]


STAGES = {
    "before it looks": lambda: Hold(f"GET {MANIFEST}"),
    "before an object": lambda: Hold(f"PUT {OBJECT}"),
    "after an object": lambda: Hold(f"PUT {OBJECT}", before_effect=False),
    "before it publishes": lambda: Hold(f"PUT {MANIFEST}"),
    "after it published": lambda: Hold(f"PUT {MANIFEST}", before_effect=False),
    "before it looks again": lambda: Hold(f"GET {MANIFEST}", after=1),
    "before it lists": lambda: Hold("GET /plates"),
    "before it reads back": lambda: Hold(f"GET {OBJECT}"),
}


@pytest.mark.parametrize("stage", STAGES)
def test_push_to_s3_killed_and_retried_leaves_one_version(pusher, store, proxy, stage):
    hold = STAGES[stage]()
    proxy.faults.append(hold)
    with pusher.pushing(FILES) as ends:
        assert hold.reached.wait(30)
        kill_workers()
    assert not ends[0].record.outcome.succeeded
    hold.release()
    proxy.faults.clear()
    end = pusher.push(FILES)
    assert end.outcome == VERIFIED, end.words
    assert published(store) == [FILES]
    assert len(store.objects("plates")) == 3


def test_push_to_s3_of_a_killed_try_that_arrives_late_is_refused_by_the_store(pusher, store, proxy):
    hold = Hold(f"PUT {MANIFEST}", times=1)
    proxy.faults.append(hold)
    with pusher.pushing(FILES):
        assert hold.reached.wait(30)
        kill_workers()
    retried = pusher.push(FILES)
    hold.release()
    assert retried.outcome == VERIFIED
    assert published(store) == [FILES]
    assert [call.status for call in proxy.calls if call.operation == f"PUT {MANIFEST}"][-1] == 412


@pytest.mark.parametrize(
    ("actions", "outcome", "words"),
    [
        (["s3:GetObject", "s3:ListBucket", "s3:PutObject"], VERIFIED, ""),
        (["s3:GetObject", "s3:ListBucket"], NOTHING, "AccessDenied"),
        (["s3:GetObject", "s3:PutObject"], UNVERIFIED, "AccessDenied"),
        (["s3:PutObject"], NOTHING, "Needed are s3:ListBucket, s3:GetObject and s3:PutObject"),
        ([], NOTHING, "AccessDenied"),
    ],
    ids=["all", "reader", "not lister", "writer", "none"],
)
def test_push_to_s3_by_rights_of_the_key(
    store, executor, script, tmp_path, actions, outcome, words
):
    pusher = pusher_to(store.url, executor, script, tmp_path, store.user("robot", *actions))
    store.lock()
    end = pusher.push(FILES)
    store.unlock()
    assert end.outcome == outcome, end.words
    assert words in end.words
    assert published(store) == ([] if outcome == NOTHING else [FILES])


def test_push_to_s3_with_a_wrong_secret_has_the_stores_words_and_not_the_secret(
    store, executor, script, tmp_path
):
    key = store.user("robot", "s3:*")[0], "no-secret-of-anybody"
    store.lock()
    end = pusher_to(store.url, executor, script, tmp_path, key).push(FILES)
    store.unlock()
    assert (end.outcome, key[1] in end.log + end.words) == (NOTHING, False)
    assert "SignatureDoesNotMatch" in end.words


WRONG_INPUT = [
    ({"bucket": None}, "input 'bucket' is missing"),
    ({"bucket": "a b"}, "Invalid bucket name"),
    ({"endpoint_url": "minio.example.org"}, "input 'endpoint_url' is no address"),
    ({"endpoint_url": "http://me:word@127.0.0.1:1"}, "'endpoint_url' has credentials in it"),
    ({"endpoint_url": "http://minio.example.org"}, "must begin with https://"),
    ({"secret_key": None}, "input 'secret_key' is missing"),
    ({"secret_key": "plain"}, "input 'secret_key' is a plain text"),
    ({"prefix": "a//b"}, "the prefix 'a//b' has an empty part"),
    ({"prefix": "a" * 1000}, "longer than 1024 bytes"),
    ({"addressing": "guess"}, "must be one of: auto, path, virtual"),
    ({"dry_run": "false"}, "input 'dry_run' is true or false"),
]


def test_push_to_s3_of_wrong_input_names_it(pusher, store):
    end = pusher.push(FILES, each=[changes for changes, _ in WRONG_INPUT])
    found = end.record.outcome.value["words"]
    wanted = [words for _, words in WRONG_INPUT]
    assert [pair for pair in zip(wanted, found, strict=True) if pair[0] not in pair[1]] == []
    assert store.objects("plates") == {}


def test_push_to_s3_over_http_where_that_is_allowed_tries_it(pusher, store):
    url = "http://no-such-store.invalid"
    end = pusher.push(FILES, endpoint_url=url, allow_http=True, addressing="path")
    assert (end.outcome, "Could not connect" in end.words) == (NOTHING, True)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"schema": "stepline.push-manifest/1", "versions": [{}]}'],
    ids=["empty", "list", "another schema", "versions without anything"],
)
def test_push_to_s3_beside_a_manifest_of_something_else_is_refused(pusher, store, content):
    store.client("s3").put_object(Bucket="plates", Key="daily/manifest.json", Body=content)
    end = pusher.push(FILES)
    assert end.outcome == NOTHING
    assert "daily/manifest.json is no manifest of pushes" in end.words
    assert store.objects("plates") == {"daily/manifest.json": content}


@pytest.mark.slow
def test_push_to_s3_from_the_command_line_fails_unverified_and_is_verified_by_the_retry(
    store, proxy, push_client, tmp_path
):
    project = Project(tmp_path, push_client("push-s3"))
    project.write("plate.csv", FILES["plate.csv"])
    proxy.faults.append(no(f"GET {OBJECT}", 403))
    config = {"bucket": "plates", "prefix": "daily", "endpoint_url": proxy.url, "region": REGION}
    words = [word for pair in config.items() for word in ("--config", "=".join(pair))]
    words += ["--secret", "access_key=env:KEY", "--secret", "secret_key=env:WORD"]
    keys = dict(zip(("KEY", "WORD"), ANY_KEY, strict=True))
    run = ["run", "common/push-to-s3", "--input", "plate.csv", "--out", "results"]
    done = project.stepline(*run, *words, **keys)
    assert (done.returncode, "was published, but is not verified" in done.stdout) == (1, True)
    proxy.faults.clear()
    done = project.stepline("run", "common/push-to-s3", "--retry", "--out", "results", **keys)
    assert done.returncode == 0, done.stdout + done.stderr
    assert published(store) == [{"plate.csv": FILES["plate.csv"]}]
    (receipt,) = [name for name in project.files() if name.endswith("receipt.json")]
    assert receipt == f"s3-127.0.0.1-{proxy.port}-plates-daily-receipt.json"
