"""The push contract: three ends, and nothing pushed twice."""

import json

import pytest

from stepline_sdk.push import NotPublished, Refused, TryAgain, Unverified, push
from tests.support.shelf import Shelf

FILES = {"plate.csv": b"well,od\nA1,0.25\n", "notes/day.txt": b"a fine day\n"}
SECRET = {"ssm": "/local/local/org-secrets/api-key", "secret": True}


@pytest.fixture
def shelf():
    return Shelf(title="Plates", licence="CC0-1.0")


@pytest.fixture
def attempt(world):
    """An attempt of a workflow that declares a secret."""
    world.secrets[SECRET["ssm"]] = "correct-horse-battery"
    return world.attempt({"pipelineConfig": {"api_key": SECRET}})


def other_workflow(world):
    return world.attempt({"workflowId": "another-workflow"}).context


def receipt_of(attempt, receipt):
    return json.loads(attempt.written(receipt["receipt_file"]))


def test_push_is_verified_and_its_receipt_says_so(attempt, shelf):
    receipt = push(attempt.context, shelf, FILES)

    assert [version.files for version in shelf.shelved] == [FILES]
    assert (receipt["end"], receipt["verified_by"], receipt["new"]) == ("verified", "bytes", True)
    assert receipt["remote"] == {"id": "plates/daily", "version": "1", "url": ""}
    assert receipt["about"] == {"title": "Plates", "licence": "CC0-1.0"}
    assert {file["name"] for file in receipt["files"]} == set(FILES)
    kept = receipt_of(attempt, receipt)
    assert kept == {name: value for name, value in receipt.items() if name != "receipt_file"}


def test_push_from_a_path_and_a_pointer(attempt, shelf, tmp_path):
    (tmp_path / "plate.csv").write_bytes(b"od\n")
    pointer = attempt.context.input_file
    push(attempt.context, shelf, {"a.csv": str(tmp_path / "plate.csv"), "raw": pointer})
    body = attempt.context.read_file(pointer)["body"]
    assert shelf.shelved[0].files == {"a.csv": b"od\n", "raw": body}
    assert (tmp_path / "plate.csv").exists()


def test_push_again_by_the_same_workflow_takes_over_what_is_there(attempt, shelf):
    push(attempt.context, shelf, FILES)
    shelf.shelve({"other": b"x"})  # somebody else's, since
    again = push(attempt.context, shelf, FILES)
    assert (again["remote"]["version"], again["new"], len(shelf.shelved)) == ("1", False, 2)


def test_push_of_the_same_content_by_another_workflow_makes_nothing_new(attempt, world, shelf):
    push(attempt.context, shelf, FILES)
    receipt = push(other_workflow(world), shelf, FILES)
    assert (receipt["new"], receipt["remote"]["version"], len(shelf.shelved)) == (False, "1", 1)


def test_push_of_older_content_by_another_workflow_is_a_new_version(attempt, world, shelf):
    push(attempt.context, shelf, FILES)
    push(attempt.context, shelf, {"plate.csv": b"other"})
    receipt = push(other_workflow(world), shelf, FILES)
    assert (receipt["new"], receipt["remote"]["version"]) == (True, "3")


def test_push_forced_publishes_what_is_there_already_but_not_twice(attempt, world, shelf):
    push(attempt.context, shelf, FILES)
    context = other_workflow(world)
    versions = [push(context, shelf, FILES, force=True)["remote"]["version"] for _ in range(2)]
    assert (versions, len(shelf.shelved)) == (["2", "2"], 2)


def test_push_with_another_licence_is_a_new_version(attempt, shelf):
    push(attempt.context, shelf, FILES)
    shelf.about = {"title": "Plates", "licence": "CC-BY-4.0"}
    assert push(attempt.context, shelf, FILES)["remote"]["version"] == "2"


def test_push_dry_run_does_everything_but_the_upload(attempt, shelf, capsys):
    receipt = push(attempt.context, shelf, FILES, dry_run=True)

    assert (receipt["end"], receipt["dry_run"]) == ("nothing published", True)
    assert (receipt["would_publish"], receipt["newest"]) == (True, None)
    assert shelf.calls == ["check", "versions"]
    assert "plate.csv: 16 bytes" in capsys.readouterr().out
    assert receipt_of(attempt, receipt)["files"] == receipt["files"]


def test_push_leaves_no_staged_files_behind(attempt, shelf):
    push(attempt.context, shelf, FILES)
    assert list(attempt.tmp.iterdir()) == list(attempt.scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "no files were given"),
        ({"a": b""}, "a is empty"),
        ({"../a": b"x"}, "cannot be the name"),
        ({"/a": b"x"}, "cannot be the name"),
        ({"a\n": b"x"}, "cannot be the name"),
        ({"a": b"x", "a/b": b"y"}, "cannot be a file and a folder"),
    ],
    ids=["none", "empty", "parent", "absolute", "control", "file-and-folder"],
)
def test_push_of_unusable_files_publishes_nothing(attempt, shelf, files, words):
    with pytest.raises(NotPublished, match=words):
        push(attempt.context, shelf, files)
    assert shelf.calls == []


@pytest.mark.parametrize(
    ("files", "title"),
    [
        ({"a.txt": b"the key is correct-horse-battery, keep it"}, ""),
        ({"a.txt": b"Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5"}, ""),
        ({"a.txt": b"x"}, "correct-horse-battery"),
        ({"correct-horse-battery.txt": b"x"}, ""),
    ],
    ids=["plain", "base64", "title", "name"],
)
def test_push_with_a_secret_that_the_task_never_asked_for_is_stopped(attempt, shelf, files, title):
    shelf.about = {"title": title}
    with pytest.raises(NotPublished, match="holds the value of the secret 'api_key'") as caught:
        push(attempt.context, shelf, files)
    assert "correct-horse" not in str(caught.value)
    assert shelf.calls == ["check"]


def test_push_with_a_secret_in_what_is_no_content_is_stopped(attempt, shelf):
    shelf.aside = {"run_name": "correct-horse-battery"}
    with pytest.raises(NotPublished, match="holds the value of the secret 'api_key'"):
        push(attempt.context, shelf, FILES)
    shelf.aside = {"run_name": "harmless"}
    first = push(attempt.context, shelf, FILES)
    shelf.aside = {"run_name": "another"}
    assert push(attempt.context, shelf, FILES)["content"] == first["content"]


def test_push_with_what_is_no_json_publishes_nothing(attempt, shelf):
    shelf.about = {"title": object()}
    with pytest.raises(NotPublished, match="TypeError"):
        push(attempt.context, shelf, FILES)
    assert shelf.shelved == []


def test_push_to_a_place_with_a_long_name_keeps_its_receipt(attempt, shelf):
    places = ["plates/" + "a" * 900 + end for end in ("1", "2")]
    keys = set()
    for shelf.ref in places:
        keys.add(push(attempt.context, shelf, FILES)["receipt_file"]["fileKey"])
    assert len(keys) == 2


def test_push_whose_receipt_cannot_be_kept_says_that_it_is_verified(attempt, shelf, monkeypatch):
    def write_file(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr(attempt.context, "write_file", write_file)
    with pytest.raises(Unverified, match=r"is there and verified, but .*no space left"):
        push(attempt.context, shelf, FILES)


def test_push_refused_by_the_platform_publishes_nothing_and_has_its_words(attempt, shelf):
    shelf.trouble["upload"] = [Refused("the title is in use")]
    with pytest.raises(NotPublished, match=r"shelf plates/daily: the title is in use"):
        push(attempt.context, shelf, FILES)
    assert shelf.shelved == []


@pytest.mark.parametrize("method", ["check", "versions"])
def test_push_error_of_the_destination_before_anything_is_there_names_it(attempt, shelf, method):
    shelf.trouble[method] = [KeyError("slug")]
    with pytest.raises(NotPublished, match=r"nothing was published.*KeyError: 'slug'"):
        push(attempt.context, shelf, FILES)
    assert shelf.shelved == []


def test_push_is_tried_again_where_the_platform_is_busy(attempt, shelf):
    shelf.trouble["versions"] = [TryAgain("busy")]
    shelf.trouble["upload"] = [TryAgain("busy"), TryAgain("busy")]
    assert push(attempt.context, shelf, FILES)["end"] == "verified"
    assert (shelf.calls.count("upload"), len(shelf.shelved)) == (3, 1)


def test_push_ends_where_the_platform_stays_busy(attempt, shelf):
    shelf.trouble["upload"] = [TryAgain("too many requests", clear=True)] * 9
    with pytest.raises(NotPublished, match="too many requests"):
        push(attempt.context, shelf, FILES)
    assert (shelf.calls.count("upload"), shelf.shelved) == (3, [])


def test_push_does_not_wait_for_hours(attempt, shelf):
    shelf.trouble["upload"] = [TryAgain("come back tomorrow", after_s=3600.0, clear=True)]
    with pytest.raises(NotPublished, match="come back tomorrow"):
        push(attempt.context, shelf, FILES)
    assert shelf.calls.count("upload") == 1


@pytest.mark.parametrize(
    "error", [TryAgain("500"), Refused("409"), OSError("cut")], ids=["busy", "no", "cut"]
)
def test_push_error_after_success_is_found_out_and_not_repeated(attempt, shelf, error):
    shelf.late["upload"] = [error]
    assert push(attempt.context, shelf, FILES)["end"] == "verified"
    assert (shelf.calls.count("upload"), len(shelf.shelved)) == (1, 1)


class Late(Shelf):
    """Shows a version only when it is asked again after a later try."""

    def upload(self, staged, newest):
        self._begin("upload")
        if self.calls.count("upload") == 1:
            self.waiting = staged
            raise TryAgain("cut")
        raise Refused("412: another version is there")


@pytest.mark.parametrize("errors", [[TryAgain("cut")] * 3, [KeyError("x")]], ids=["busy", "odd"])
def test_push_whose_last_end_is_unclear_does_not_say_that_nothing_was_published(
    attempt, shelf, errors
):
    shelf.trouble["upload"] = list(errors)
    with pytest.raises(Unverified, match=r"not known whether shelf plates/daily was published"):
        push(attempt.context, shelf, FILES)


def test_push_that_shows_after_a_later_refusal_is_found(attempt, monkeypatch):
    late = Late()
    asked = []

    def versions():
        asked.append(late.calls.count("upload"))
        if asked.count(2) == 3:  # it takes its time after the second try
            late.shelve(FILES, late.waiting.mark)
        return Shelf.versions(late)

    monkeypatch.setattr(late, "versions", versions)
    assert push(attempt.context, late, FILES)["end"] == "verified"
    assert (late.calls.count("upload"), len(late.shelved)) == (2, 1)


def test_push_refused_after_an_unclear_try_is_unverified(attempt):
    with pytest.raises(Unverified, match=r"not known whether.*412: another version"):
        push(attempt.context, Late(), FILES)


def test_push_whose_outcome_cannot_be_seen_is_unverified(attempt, shelf):
    shelf.trouble["versions"] = [None, *[TryAgain("gone")] * 99]
    shelf.late["upload"] = [TryAgain("cut")]
    with pytest.raises(Unverified, match=r"not known whether.*cut.*gone"):
        push(attempt.context, shelf, FILES)


def test_push_that_the_platform_takes_and_never_shows_is_unverified(attempt, shelf, monkeypatch):
    monkeypatch.setattr(shelf, "shelve", lambda files, mark: None)
    with pytest.raises(Unverified, match="does not show it"):
        push(attempt.context, shelf, FILES)


def test_push_waits_until_the_platform_is_done(attempt, shelf, monkeypatch):
    answers = iter([False, False, True])
    monkeypatch.setattr(shelf, "is_ready", lambda published: next(answers))
    assert push(attempt.context, shelf, FILES)["end"] == "verified"
    assert next(answers, None) is None


def test_push_that_is_never_done_is_unverified(attempt, shelf, monkeypatch):
    monkeypatch.setattr(shelf, "is_ready", lambda published: False)
    with pytest.raises(
        Unverified, match=r"version 1 was published.*not done with it after 0\.01 s"
    ):
        push(attempt.context, shelf, FILES, wait_s=0.01)


def test_push_that_cannot_be_processed_is_unverified_with_the_platforms_words(attempt, shelf):
    shelf.trouble["is_ready"] = [Refused("column 3 is no number")]
    with pytest.raises(Unverified, match=r"version 1.*column 3 is no number") as caught:
        push(attempt.context, shelf, FILES)
    assert caught.value.published.version == "1"


@pytest.mark.parametrize(
    ("served", "words"),
    [
        (lambda content: content[:-1] + b"?", "has the SHA-256"),
        (lambda content: content[:-1], "bytes instead of"),
    ],
    ids=["other", "short"],
)
def test_push_that_reads_back_differently_is_unverified(attempt, shelf, served, words):
    shelf.serve = served
    with pytest.raises(Unverified, match=f"what is there differs: .*{words}"):
        push(attempt.context, shelf, FILES)


def test_push_that_finds_its_content_spoilt_says_how_to_publish_it_anew(attempt, world, shelf):
    push(attempt.context, shelf, FILES)
    shelf.shelved[0].files["plate.csv"] = b"x" * 16
    with pytest.raises(Unverified, match=r"from an earlier push, but is not verified.*with force"):
        push(other_workflow(world), shelf, FILES)
    assert push(other_workflow(world), shelf, FILES, force=True)["remote"]["version"] == "2"


def test_push_looks_back_as_far_as_the_destination_says(attempt, shelf):
    push(attempt.context, shelf, FILES)
    for number in range(150):
        shelf.shelve({"other": b"%d" % number})
    shelf.looks_back = 151
    assert push(attempt.context, shelf, FILES)["remote"]["version"] == "1"
    shelf.looks_back = 150
    assert push(attempt.context, shelf, FILES)["remote"]["version"] == "152"


def test_push_that_reads_back_differently_once_is_verified(attempt, shelf):
    served = iter([b"stale"])
    shelf.serve = lambda content: next(served, content)
    assert push(attempt.context, shelf, FILES)["end"] == "verified"


def test_push_with_another_file_beside_is_unverified_unless_others_may_be_there(attempt, shelf):
    upload = shelf.upload

    def with_another(staged, newest):
        upload(staged, newest)
        shelf.shelved[-1].files["more"] = b"x"

    shelf.upload = with_another
    with pytest.raises(Unverified, match="more is there too"):
        push(attempt.context, shelf, FILES)
    shelf.exact = False
    assert push(attempt.context, shelf, FILES)["end"] == "verified"


def test_push_that_lost_a_file_is_unverified(attempt, shelf):
    shelf.shelve = lambda files, mark: Shelf.shelve(shelf, {"plate.csv": files["plate.csv"]}, mark)
    with pytest.raises(Unverified, match=r"notes/day\.txt is not there"):
        push(attempt.context, shelf, FILES)


def test_push_by_digest_downloads_nothing(attempt, shelf):
    import hashlib

    shelf.digests = lambda content: hashlib.sha256(content).hexdigest()
    assert push(attempt.context, shelf, FILES)["verified_by"] == "digest"
    assert "download" not in shelf.calls


def test_push_of_large_files_is_compared_by_size_and_says_so(attempt, shelf):
    shelf.download_limit = 12
    receipt = push(attempt.context, shelf, FILES)
    assert receipt["verified_by"] == "size"
    how = {file["name"]: file["verified_by"] for file in receipt["files"]}
    assert how == {"plate.csv": "size", "notes/day.txt": "bytes"}


def test_push_finishes_once_all_is_verified_and_the_receipt_says_how(attempt, shelf, monkeypatch):
    shelf.shelve({"other": b"x"})
    done = []
    monkeypatch.setattr(shelf, "finish", lambda version: done.append(version) or {"alias": "new"})
    for _ in range(2):  # also for what is there already
        remote = push(attempt.context, shelf, FILES)["remote"]
        assert remote == {"id": "plates/daily", "version": "2", "url": "", "alias": "new"}
    assert [version.version for version in done] == ["2", "2"]


def test_push_that_differs_is_not_finished(attempt, shelf, monkeypatch):
    monkeypatch.setattr(shelf, "finish", lambda version: pytest.fail("finished"))
    monkeypatch.setattr(shelf, "files", lambda version: {})
    with pytest.raises(Unverified, match="is not there"):
        push(attempt.context, shelf, FILES)


def test_push_that_cannot_be_finished_is_unverified_and_says_what_is_there(attempt, shelf):
    def refuse(version):
        raise Refused("alias 'new' is taken")

    shelf.finish = refuse
    with pytest.raises(Unverified, match="there and verified, but what comes last failed") as end:
        push(attempt.context, shelf, FILES)
    assert end.value.published.version == "1"
