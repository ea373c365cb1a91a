"""Pushes of datasets to Kaggle end in one of three ways, judged by the stand-in's own record."""

import pytest

from stepline.app.run_secrets import reference
from stepline.testing.kaggle_standin import StatusError
from stepline.testing.loopback import (
    Cut,
    CutReply,
    FailAfter,
    Hold,
    Refuse,
    Slow,
    WrongBytes,
)
from tests.support.kaggle_pushing import (
    KEY,
    OTHER_SECRET,
    executor,
    kaggle,
    kaggle_port,
    kaggle_pusher,
    kaggle_script,
    started_script,
    starting_executor,
)
from tests.support.pushing import NOTHING, UNVERIFIED, VERIFIED, kill_workers

__all__ = [
    "executor",
    "kaggle",
    "kaggle_port",
    "kaggle_script",
    "started_script",
    "starting_executor",
]

pytestmark = pytest.mark.kaggle

FILES = {"plate.csv": b"well,od\nA1,0.25\n", "notes of a day.txt": b"a fine day\n"}
MORE = {"plate.csv": b"well,od\nA1,0.50\n"}
REF = "me/plate-readings"
WORDS = "no room on the shelf"


ABOUT = {"dataset": "plate-readings", "licence": "CC0-1.0", "wait_s": 3}


@pytest.fixture
def pusher(executor, kaggle_script, kaggle, tmp_path):
    return kaggle_pusher(executor, kaggle_script, tmp_path, "push-dataset", **ABOUT)


@pytest.fixture
def starting_pusher(starting_executor, started_script, kaggle, tmp_path):
    """Pushes whose client is started as users start it."""
    return kaggle_pusher(starting_executor, started_script, tmp_path, "push-dataset", **ABOUT)


def published(kaggle, ref=REF):
    """Return the files of each version, oldest first."""
    dataset = kaggle.datasets.get(ref)
    return [
        {file.name: kaggle.blob(file.sha256) for file in version.files}
        for version in (dataset.versions if dataset else ())
    ]


def test_push_dataset_makes_a_private_one_with_its_mark_and_a_receipt(pusher, kaggle):
    end = pusher.push(FILES, note="of Monday", description="Wells of plates")

    assert end.outcome == VERIFIED, end.words
    assert published(kaggle) == [FILES]
    dataset = kaggle.datasets[REF]
    assert (dataset.title, dataset.licence, dataset.private) == (
        "Plate readings",
        "CC0-1.0",
        True,
    )
    assert dataset.description.startswith("Wells of plates\n\n[stepline push=")
    receipt = pusher.receipt_file(end)
    assert (receipt["remote"]["id"], receipt["remote"]["version"]) == (REF, "1")
    assert (receipt["verified_by"], receipt["new"]) == ("bytes", True)
    assert KEY not in end.log + str(end.record)


def test_push_dataset_of_other_content_is_a_version_and_of_the_same_nothing_new(pusher, kaggle):
    workflows = [("first", FILES), ("second", MORE), ("third", MORE), ("first", FILES)]
    ends = [pusher.push(files, workflow=name, note="again") for name, files in workflows]

    assert [end.outcome for end in ends] == [VERIFIED] * 4
    assert [(end.receipt["remote"]["version"], end.receipt["new"]) for end in ends] == [
        ("1", True),
        ("2", True),
        ("2", False),
        ("1", False),
    ]
    assert [len(end.receipt["caveats"]) for end in ends] == [0, 1, 1, 1]
    assert published(kaggle) == [FILES, MORE]
    assert kaggle.datasets[REF].current.notes.startswith("again [stepline push=")


def test_push_dataset_of_another_description_keeps_the_first_mark(pusher, kaggle):
    pusher.push(FILES, workflow="first")
    first = kaggle.datasets[REF].description
    pusher.push(FILES, workflow="second", description="Wells")
    again = pusher.push(FILES, workflow="first")

    assert kaggle.datasets[REF].description == f"Wells\n\n{first}"
    assert (again.outcome, again.receipt["remote"]["version"]) == (VERIFIED, "1")
    assert len(published(kaggle)) == 2


def test_push_dataset_dry_run_asks_and_changes_nothing(pusher, kaggle):
    end = pusher.push(FILES, dry_run=True)

    assert (end.outcome, end.receipt["would_publish"]) == (NOTHING, True)
    assert set(kaggle.operations) == {"GetDatasetStatus"}
    assert "plate.csv: 16 bytes" in end.log


@pytest.mark.parametrize("secret", [KEY, OTHER_SECRET], ids=["the key", "another"])
def test_push_dataset_with_a_planted_secret_is_stopped_before_anything_leaves(
    pusher, kaggle, secret
):
    end = pusher.push(FILES | {"plate.csv": b"od " + secret.encode()})

    assert end.outcome == NOTHING
    assert "holds the value of the secret" in end.words
    assert secret not in end.words
    assert kaggle.calls == ()


def test_push_dataset_signs_in_by_a_token_as_its_owner(pusher, kaggle):
    end = pusher.push(FILES, username=None)

    assert end.outcome == VERIFIED, end.words
    assert published(kaggle) == [FILES]
    assert {call.user for call in kaggle.calls if call.line} == {"me"}


TRANSIENT = {
    "busy for a second": lambda: Refuse("StartBlobUpload", 429, WORDS, retry_after=1, times=1),
    "busy in a way of its own": lambda: Refuse("CreateDataset", 529, WORDS, times=1),
    "failing twice": lambda: Refuse("CreateDataset", 503, WORDS, times=2),
    "cut in mid-upload": lambda: Cut("PutBlob", 5, times=1),
    "cut in each try but the last": lambda: Cut("PutBlob", 5, times=4),
    "slow": lambda: Slow("PutBlob", 0.3),
    "other bytes once": lambda: WrongBytes("GetFile", times=1),
    "500 after the upload of a file": lambda: FailAfter("PutBlob", times=1),
    "500 after it was made": lambda: FailAfter("CreateDataset"),
    "403 after it was made": lambda: FailAfter("CreateDataset", 403, WORDS),
    "each answer of the end lost": lambda: CutReply("CreateDataset"),
    "garbled answer": lambda: WrongBytes("CreateDataset"),
    "unseen for a moment": lambda: Refuse("GetDataset", 503, WORDS, times=1),
}


@pytest.mark.parametrize("name", TRANSIENT)
def test_push_dataset_that_goes_wrong_for_a_while_is_verified_once(pusher, kaggle, name):
    kaggle.faults.append(TRANSIENT[name]())

    end = pusher.push(FILES)

    assert end.outcome == VERIFIED, end.words
    assert published(kaggle) == [FILES]
    assert kaggle.faults[0].struck


def test_push_dataset_of_a_version_whose_answer_is_lost_makes_no_second(pusher, kaggle):
    pusher.push(FILES, workflow="first")
    kaggle.faults.append(CutReply("CreateDatasetVersion"))

    assert pusher.push(MORE, workflow="second").outcome == VERIFIED
    assert published(kaggle) == [FILES, MORE]


REFUSED = {
    "not signed in": lambda: Refuse("*", 401, WORDS),
    "forbidden": lambda: Refuse("CreateDataset", 403, WORDS),
    "not there": lambda: Refuse("StartBlobUpload", 404, WORDS),
    "busy for hours": lambda: Refuse("CreateDataset", 429, WORDS, retry_after=3600),
    "not taken, always": lambda: Refuse("CreateDataset", 503, WORDS),
    "no upload begins": lambda: Refuse("StartBlobUpload", 500, WORDS),
    "no upload is taken": lambda: Refuse("PutBlob", 520, WORDS),
    "status error": lambda: StatusError("CreateDataset", WORDS),
    "file refused": lambda: Refuse("PutBlob", 413, WORDS),
}


@pytest.mark.parametrize("name", REFUSED)
def test_push_dataset_that_is_refused_publishes_nothing_and_says_why(pusher, kaggle, name):
    kaggle.faults.append(REFUSED[name]())

    end = pusher.push(FILES)

    assert end.outcome == NOTHING, end.words
    assert WORDS in end.words
    assert published(kaggle) == []


def test_push_dataset_cut_at_each_try_publishes_nothing(pusher, kaggle):
    kaggle.faults.append(Cut("PutBlob", 5))

    end = pusher.push(FILES)

    assert end.outcome == NOTHING, end.words
    assert "the connection broke" in end.words
    assert published(kaggle) == []


UNCLEAR = {
    "failing always": lambda operation: Refuse(operation, 500, WORDS),
    "cut always": lambda operation: Cut(operation, 5),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_push_dataset_whose_making_never_ends_clear_is_unverified(pusher, kaggle, name):
    kaggle.faults.append(UNCLEAR[name]("CreateDataset"))

    end = pusher.push(FILES)

    assert end.outcome == UNVERIFIED, end.words
    assert "it is not known whether" in end.words
    assert published(kaggle) == []


def test_push_dataset_of_a_name_taken_in_between_publishes_nothing(pusher, kaggle):
    hold = Hold("StartBlobUpload")
    kaggle.faults.append(hold)
    with pusher.pushing(FILES) as ends:
        assert hold.reached.wait(30)
        kaggle.add_dataset(REF)
        hold.release()

    assert ends[0].outcome == NOTHING
    assert "is already in use" in ends[0].words
    assert published(kaggle) == [{}]


def test_push_dataset_changed_by_somebody_else_in_between_publishes_nothing(pusher, kaggle):
    pusher.push(FILES, workflow="first")
    hold = Hold("PutBlob", times=1)
    kaggle.faults.append(hold)
    with pusher.pushing(MORE, workflow="second") as ends:
        assert hold.reached.wait(30)
        kaggle.add_version(REF, notes="by hand")
        hold.release()

    assert ends[0].outcome == NOTHING
    assert "somebody else changed it in between" in ends[0].words
    assert [len(files) for files in published(kaggle)] == [2, 0]
    assert pusher.push(MORE, workflow="second").receipt["remote"]["version"] == "3"


KEPT = {
    "licence": ({"licence": "CC-BY-4.0"}, "has the licence 'CC0-1.0', which a version does not"),
    "title": ({"title": "Other readings"}, "has the title 'Plate readings', which a version does"),
}


@pytest.mark.parametrize("name", KEPT)
def test_push_dataset_of_what_a_version_would_not_change_publishes_nothing(pusher, kaggle, name):
    changes, words = KEPT[name]
    pusher.push(FILES, workflow="first")

    end = pusher.push(MORE, workflow="second", **changes)

    assert end.outcome == NOTHING, end.words
    assert words in end.words
    assert published(kaggle) == [FILES]


def test_push_dataset_says_so_where_the_licence_is_not_told(pusher, kaggle):
    pusher.push(FILES, workflow="first")
    kaggle.faults.append(Refuse("GetDatasetMetadata", 403, WORDS))

    end = pusher.push(MORE, workflow="second")

    assert end.outcome == VERIFIED, end.words
    assert any("does not tell it" in caveat for caveat in end.receipt["caveats"])


DOUBTFUL = {
    "other bytes": ([WrongBytes("GetFile")], "plate.csv has the SHA-256"),
    "not to be listed": ([Refuse("ListDatasetFiles", 403, WORDS)], WORDS),
    "not to be fetched": ([Refuse("DownloadDataset", 403, WORDS)], "cannot be read back"),
    "not to be seen after an error": (
        [FailAfter("CreateDataset"), Refuse("GetDataset", 500, WORDS)],
        "it is not known whether",
    ),
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_push_dataset_that_cannot_be_proven_is_unverified_until_it_can(pusher, kaggle, name):
    faults, words = DOUBTFUL[name]
    for fault in faults:
        kaggle.faults.append(fault)

    end = pusher.push(FILES)

    assert end.outcome == UNVERIFIED, end.words
    assert words in end.words
    kaggle.faults.clear()
    again = pusher.push(FILES)
    assert (again.outcome, again.receipt["new"]) == (VERIFIED, False)
    assert published(kaggle) == [FILES]


def test_push_dataset_waits_while_it_is_processed(pusher, kaggle):
    kaggle.processing = 3

    assert pusher.push(FILES).outcome == VERIFIED
    assert kaggle.operations.count("GetDatasetStatus") > 4


def test_push_dataset_processed_for_too_long_is_unverified_and_never_made_twice(pusher, kaggle):
    kaggle.processing = 1000

    end = pusher.push(FILES, wait_s=0.5)

    assert end.outcome == UNVERIFIED
    assert "still processes" in end.words
    assert pusher.push(FILES, wait_s=0.5).outcome == NOTHING
    assert published(kaggle) == [FILES]


def test_push_dataset_that_cannot_be_processed_is_unverified_and_made_anew_later(pusher, kaggle):
    kaggle.failure = "no table in it"

    end = pusher.push(FILES)

    assert end.outcome == UNVERIFIED
    assert "its status is 'failed'" in end.words
    kaggle.failure = None
    assert pusher.push(FILES).receipt["remote"]["version"] == "2"


BAD = {
    "no credentials": ({"api_key": None}, "input 'api_key' is no secret that has a value"),
    "wrong credentials": ({"username": "you"}, "does not accept the credentials"),
    "wrong token": (
        {"username": None, "api_key": reference("database")},
        "does not accept the credentials",
    ),
    "short name": ({"dataset": "plate"}, "the name 'plate' has 5 characters, Kaggle takes 6-50"),
    "odd name": ({"dataset": "Plate Readings"}, "is no name of a dataset"),
    "long title": ({"title": "x" * 51}, "has 51 characters, Kaggle takes 6-50"),
    "short subtitle": ({"subtitle": "short"}, "has 5 characters, Kaggle takes 20-80"),
    "no licence": ({"licence": None}, "the licence is missing"),
    "unknown licence": ({"licence": "cc0-1.0"}, "knows no licence 'cc0-1.0', but CC0-1.0"),
    "too large": ({"max_bytes": 20}, "the files have 27 bytes, at most 20 are taken"),
    "time as text": ({"wait_s": "soon"}, "input 'wait_s' is a number, not str"),
    "no time": ({"wait_s": 0}, "input 'wait_s' is 0, it must be above 0"),
    "of somebody else": ({"dataset": "you/plate-readings"}, "was denied"),
}


@pytest.mark.parametrize("name", BAD)
def test_push_dataset_of_bad_input_names_it_and_publishes_nothing(pusher, kaggle, name):
    changes, words = BAD[name]

    end = pusher.push(FILES, **changes)

    assert not end.record.outcome.succeeded
    assert words in end.words
    assert not kaggle.datasets


def test_push_dataset_as_a_user_named_like_a_secret_is_stopped_before_anything_leaves(
    pusher, kaggle
):
    end = pusher.push(FILES, username=OTHER_SECRET, dataset=REF)

    assert end.outcome == NOTHING
    assert "holds the value of the secret 'database'" in end.words
    assert kaggle.calls == ()


BAD_FILES = {
    "none": ({}, "no files were given"),
    "empty": ({"a.csv": b""}, "a.csv is empty"),
    "in a folder": ({"a/b.csv": b"x"}, "a/b.csv is in a folder"),
    "archive": ({"a.tar.gz": b"x"}, "a.tar.gz is an archive"),
    "the client's own": ({"dataset-metadata.json": b"{}"}, "a name that Kaggle's client keeps"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_push_dataset_of_files_that_would_not_arrive_publishes_nothing(pusher, kaggle, name):
    files, words = BAD_FILES[name]

    end = pusher.push(files)

    assert end.outcome == NOTHING
    assert words in end.words
    assert kaggle.calls == ()


def test_push_dataset_that_is_public_already_is_not_pushed_to_as_private(pusher, kaggle):
    kaggle.add_dataset(REF, private=False)

    end = pusher.push(FILES)

    assert end.outcome == NOTHING
    assert "is public, and was to be private" in end.words
    assert published(kaggle) == [{}]


# Each call of a first push, in order: what is held after one is held before the next.
CALLS = ["GetDatasetStatus", "StartBlobUpload", "PutBlob", "CreateDataset", "GetDataset"]
CALLS += ["ListDatasetFiles", "DownloadDataset", "GetFile"]
STAGES = [(operation, True) for operation in CALLS] + [("CreateDataset", False)]


@pytest.mark.parametrize(
    ("operation", "before"), STAGES, ids=[f"{'before' if b else 'after'}-{o}" for o, b in STAGES]
)
def test_push_dataset_killed_and_retried_leaves_one_version(
    starting_pusher, kaggle, operation, before
):
    hold = Hold(operation, before_effect=before, times=1)
    kaggle.faults.append(hold)
    with starting_pusher.pushing(FILES) as ends:
        assert hold.reached.wait(30)
        kill_workers()
    hold.release()

    end = starting_pusher.push(FILES)

    assert not ends[0].record.outcome.succeeded
    assert end.outcome == VERIFIED, end.words
    assert published(kaggle) == [FILES]


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_push_dataset_killed_at_a_second_version_and_retried_leaves_one(
    starting_pusher, kaggle, before
):
    starting_pusher.push(FILES, workflow="first")
    hold = Hold("CreateDatasetVersion", before_effect=before, times=1)
    kaggle.faults.append(hold)
    with starting_pusher.pushing(MORE, workflow="second"):
        assert hold.reached.wait(30)
        kill_workers()
    hold.release()

    assert starting_pusher.push(MORE, workflow="second").outcome == VERIFIED
    assert published(kaggle) == [FILES, MORE]
