"""Pushes of models to Kaggle end in one of three ways, judged by the stand-in's own record."""

import pytest

from stepline.testing.kaggle_standin import StatusError
from stepline.testing.loopback import (
    Cut,
    CutReply,
    FailAfter,
    Hold,
    Refuse,
    WrongBytes,
)
from stepline_sdk.push import find_mark
from tests.support.kaggle_pushing import (
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

FILES = {"weights.bin": bytes(range(256)), "vocabulary.txt": b"well plate\n"}
MORE = {"weights.bin": bytes(range(255))}
REF = "me/plate-model"
WORDS = "no room on the shelf"


ABOUT = {"model": "plate-model", "framework": "pytorch", "licence": "Apache 2.0", "wait_s": 3}


@pytest.fixture
def pusher(executor, kaggle_script, kaggle, tmp_path):
    return kaggle_pusher(executor, kaggle_script, tmp_path, "push-model", **ABOUT)


@pytest.fixture
def starting_pusher(starting_executor, started_script, kaggle, tmp_path):
    """Pushes whose client is started as users start it."""
    return kaggle_pusher(starting_executor, started_script, tmp_path, "push-model", **ABOUT)


def versions(kaggle):
    model = kaggle.models.get(REF)
    variation = model.variations.get("PY_TORCH/default") if model else None
    return variation.versions if variation else ()


def add_by_hand(kaggle, count):
    """Make versions as somebody does on the model's page."""
    for number in range(count):
        files = {"by-hand.txt": bytes([number])}
        kaggle.add_model_version(REF, "PY_TORCH/default", files=files)


def published(kaggle):
    """Return the files of each version, oldest first, without the one that has the mark."""
    found = []
    for version in versions(kaggle):
        files = {file.name: kaggle.blob(file.sha256) for file in version.files}
        (mark,) = [name for name in files if name.startswith("stepline-")]
        assert find_mark(files.pop(mark).decode()).key in mark
        found.append(files)
    return found


def test_push_model_makes_model_variation_and_versions_and_of_the_same_nothing_new(pusher, kaggle):
    workflows = [("first", FILES), ("second", MORE), ("third", MORE), ("first", FILES)]
    ends = [
        pusher.push(files, workflow=name, note="an epoch", overview="Reads plates")
        for name, files in workflows
    ]

    assert [end.outcome for end in ends] == [VERIFIED] * 4, [end.words for end in ends]
    assert [(end.receipt["remote"]["version"], end.receipt["new"]) for end in ends] == [
        ("1", True),
        ("2", True),
        ("2", False),
        ("1", False),
    ]
    assert published(kaggle) == [FILES, MORE]
    model = kaggle.models[REF]
    variation = model.variations["PY_TORCH/default"]
    assert (model.title, model.private) == ("Plate model", True)
    assert (variation.licence, variation.overview) == ("Apache 2.0", "Reads plates")
    assert variation.current.notes.startswith("an epoch [stepline push=")
    assert ends[0].receipt["remote"]["id"] == f"{REF}/pyTorch/default"


def test_push_model_waits_while_it_is_processed(pusher, kaggle):
    kaggle.processing = 3

    assert pusher.push(FILES).outcome == VERIFIED
    assert published(kaggle) == [FILES]


def test_push_model_dry_run_changes_nothing(pusher, kaggle):
    end = pusher.push(FILES, dry_run=True)

    assert (end.outcome, end.receipt["would_publish"]) == (NOTHING, True)
    assert not kaggle.models


def test_push_model_with_a_planted_secret_is_stopped_before_anything_leaves(pusher, kaggle):
    end = pusher.push(FILES | {"readme.md": OTHER_SECRET.encode()})

    assert end.outcome == NOTHING
    assert "holds the value of the secret 'database'" in end.words
    assert kaggle.calls == ()


FAULTS = {
    "busy": (lambda: Refuse("StartBlobUpload", 429, WORDS, retry_after=1, times=1), 1),
    "model made, then 500": (lambda: FailAfter("CreateModel", times=1), 1),
    "variation made, then 500": (lambda: FailAfter("CreateModelInstance"), 1),
    "variation made, then cut": (lambda: CutReply("CreateModelInstance"), 1),
    "cut in mid-upload": (lambda: Cut("PutBlob", 5, times=1), 1),
    "not signed in": (lambda: Refuse("*", 401, WORDS), 0),
    "model forbidden": (lambda: Refuse("CreateModel", 403, WORDS), 0),
    "name taken": (lambda: StatusError("CreateModel", WORDS), 0),
    "variation declined": (lambda: StatusError("CreateModelInstance", WORDS), 0),
    "not taken, always": (lambda: Refuse("CreateModelInstance", 503, WORDS), 0),
    "no model is made": (lambda: Refuse("CreateModel", 500, WORDS), 0),
    "no upload begins": (lambda: Refuse("StartBlobUpload", 522, WORDS), 0),
}


@pytest.mark.parametrize("name", FAULTS)
def test_push_model_that_goes_wrong_is_verified_once_or_nothing_is_published(pusher, kaggle, name):
    fault, expected = FAULTS[name]
    kaggle.faults.append(fault())

    end = pusher.push(FILES)

    assert end.outcome == (VERIFIED if expected else NOTHING), end.words
    assert len(published(kaggle)) == expected
    assert expected or WORDS in end.words


def test_push_model_whose_making_never_ends_clear_is_unverified(pusher, kaggle):
    kaggle.faults.append(Refuse("CreateModelInstance", 500, WORDS))

    end = pusher.push(FILES)

    assert end.outcome == UNVERIFIED, end.words
    assert "it is not known whether" in end.words
    assert published(kaggle) == []


def test_push_model_processed_for_too_long_is_unverified_and_never_made_twice(pusher, kaggle):
    kaggle.processing = 1000

    end = pusher.push(FILES, wait_s=0.5)

    assert end.outcome == UNVERIFIED, end.words
    assert "still processes" in end.words
    assert pusher.push(FILES, wait_s=0.5).outcome == NOTHING
    assert published(kaggle) == [FILES]


def test_push_model_finds_its_version_under_many_newer_ones(pusher, kaggle):
    pusher.push(FILES, workflow="first")
    add_by_hand(kaggle, 30)

    again = pusher.push(FILES, workflow="first")

    assert (again.outcome, again.receipt["remote"]["version"]) == (VERIFIED, "1")
    assert len(versions(kaggle)) == 31


def test_push_model_looks_into_each_version_once_and_stops_at_its_own(pusher, kaggle):
    kaggle.faults.append(Refuse("CreateModelInstanceVersion", 503, WORDS, times=2))
    pusher.push(FILES, workflow="first")
    add_by_hand(kaggle, 30)
    first = kaggle.operations.count("ListModelInstanceVersionFiles")
    pusher.push(MORE, workflow="second")
    second = kaggle.operations.count("ListModelInstanceVersionFiles") - first
    pusher.push(MORE, workflow="second")
    third = kaggle.operations.count("ListModelInstanceVersionFiles") - first - second

    assert 31 <= second <= 40
    assert third < 10


def test_push_model_of_another_licence_publishes_nothing(pusher, kaggle):
    pusher.push(FILES, workflow="first")

    end = pusher.push(MORE, workflow="second", licence="MIT")

    assert end.outcome == NOTHING
    assert "has the licence 'Apache 2.0', which a version does not change" in end.words
    assert published(kaggle) == [FILES]


DOUBTFUL = {
    "other bytes": (WrongBytes("GetModelArchive"), "is not verified"),
    "not to be fetched": (Refuse("DownloadModelInstanceVersion", 403, WORDS), WORDS),
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_push_model_that_cannot_be_proven_is_unverified_until_it_can(pusher, kaggle, name):
    fault, words = DOUBTFUL[name]
    kaggle.faults.append(fault)

    end = pusher.push(FILES)

    assert end.outcome == UNVERIFIED, end.words
    assert words in end.words
    kaggle.faults.clear()
    assert pusher.push(FILES).outcome == VERIFIED
    assert published(kaggle) == [FILES]


def test_push_model_that_is_public_already_is_not_pushed_to_as_private(pusher, kaggle):
    pusher.push(FILES, private=False)

    end = pusher.push(MORE)

    assert end.outcome == NOTHING
    assert "is public, and was to be private" in end.words
    assert published(kaggle) == [FILES]


def test_push_model_changed_by_somebody_else_in_between_publishes_nothing(pusher, kaggle):
    pusher.push(FILES, workflow="first")
    hold = Hold("PutBlob", times=1)
    kaggle.faults.append(hold)
    with pusher.pushing(MORE, workflow="second") as ends:
        assert hold.reached.wait(30)
        kaggle.add_model_version(REF, "PY_TORCH/default")
        hold.release()

    assert ends[0].outcome == NOTHING
    assert "somebody else changed it in between" in ends[0].words
    assert [version.number for version in versions(kaggle)] == [1, 2]


BAD = {
    "no licence": (FILES, {"licence": None}, "the licence is missing"),
    "unknown licence": (FILES, {"licence": "apache"}, "knows no licence 'apache'"),
    "unknown framework": (FILES, {"framework": "abacus"}, "knows no framework 'abacus'"),
    "odd variation": (FILES, {"variation": "a_b"}, "'a_b' is no name of a variation"),
    "none": ({}, {}, "no files were given"),
    "too large": (FILES, {"max_bytes": 20}, "at most 20 are taken"),
    "in a folder": ({"a/b": b"x"}, {}, "a/b is in a folder"),
    "of a mark": ({f"stepline-{'0' * 32}-{'1' * 32}.txt": b"x"}, {}, "a push makes itself"),
}


@pytest.mark.parametrize("name", BAD)
def test_push_model_of_bad_input_names_it_and_sends_nothing(pusher, kaggle, name):
    files, changes, words = BAD[name]

    end = pusher.push(files, **changes)

    assert end.outcome == NOTHING
    assert words in end.words
    assert kaggle.calls == ()


STAGES = [("CreateModel", False), ("PutBlob", True), ("CreateModelInstance", True)]
STAGES += [("CreateModelInstance", False), ("GetModelArchive", True)]


@pytest.mark.parametrize(("operation", "before"), STAGES)
def test_push_model_killed_and_retried_leaves_one_version(
    starting_pusher, kaggle, operation, before
):
    hold = Hold(operation, before_effect=before, times=1)
    kaggle.faults.append(hold)
    with starting_pusher.pushing(FILES):
        assert hold.reached.wait(30)
        kill_workers()
    hold.release()

    end = starting_pusher.push(FILES)

    assert end.outcome == VERIFIED, end.words
    assert published(kaggle) == [FILES]


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_push_model_killed_at_a_second_version_and_retried_leaves_one(
    starting_pusher, kaggle, before
):
    kaggle.processing = 2
    starting_pusher.push(FILES, workflow="first")
    hold = Hold("CreateModelInstanceVersion", before_effect=before, times=1)
    kaggle.faults.append(hold)
    with starting_pusher.pushing(MORE, workflow="second"):
        assert hold.reached.wait(30)
        kill_workers()
    hold.release()

    assert starting_pusher.push(MORE, workflow="second").outcome == VERIFIED
    assert published(kaggle) == [FILES, MORE]
