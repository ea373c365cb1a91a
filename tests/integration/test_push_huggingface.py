"""Pushes to the Hugging Face Hub by the real client, judged by the stand-in's own record."""

import gzip
import io
import json
import socket
import zipfile

import pytest

from stepline.testing.huggingface_standin import HuggingFaceStandIn
from stepline.testing.loopback import (
    Cut,
    CutReply,
    FailAfter,
    OperationFault,
    Refuse,
    Reply,
    Slow,
    WrongBytes,
)
from stepline_sdk.push import NotPublished, TryAgain, Unverified, find_mark
from tests.support.hub_client import SCRIPT, TOKEN, hub_environment, hub_packages

__all__ = ["hub_environment", "hub_packages"]

# The client passes files to its HTTP library in a way that is going out of use.
pytestmark = [
    pytest.mark.huggingface,
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
]

PLATE = {"plate.json": b'{"wells": [0.051, 0.049]}\n', "deep/weights.bin": bytes(range(256)) * 40}
OTHER = {"plate.json": b'{"wells": [0.052]}\n', "deep/weights.bin": bytes(range(256)) * 40}
API_KEY = "correct-horse-battery"
VERIFIED, NOTHING, UNVERIFIED = "verified", "nothing published", "unverified"


@pytest.fixture
def hub():
    with HuggingFaceStandIn(accounts={"me": TOKEN}) as service:
        yield service


@pytest.fixture
def modules(hub_packages, script_module, monkeypatch):
    """The task script's modules, with a destination that is patient for moments only."""
    names = ("main", "hub", "connection", "card")
    found = {name: script_module(name, task_script=SCRIPT) for name in names}
    monkeypatch.setattr(found["hub"].HubRepo, "pause_s", 0.01)
    monkeypatch.setattr(found["hub"].HubRepo, "settle_s", 0.3)
    return found


@pytest.fixture
def push(modules, hub, run_function, files, secrets):
    """Pushes files in a workflow of their own, and returns the receipt."""
    secrets["token"], secrets["api_key"] = TOKEN, API_KEY

    def push(content=PLATE, *, kind="dataset", **input):
        given = {name: files.add(name, data) for name, data in content.items()}
        input = {
            "files": given,
            "repo": "me/plates",
            "token": secrets.reference("token"),
            "endpoint": hub.url,
            **input,
        }
        return run_function(f"push-{kind}", input, task_script=SCRIPT)

    return push


def end_of(push, **input):
    """Return how a push ended, and what it said of that."""
    try:
        return push(**input)["end"], ""
    except NotPublished as error:
        return NOTHING, str(error)
    except Unverified as error:
        return UNVERIFIED, str(error)


def ours(hub, id="me/plates", kind="dataset"):
    """Return the commits with a mark, oldest first, as files by path."""
    repo = (hub.datasets if kind == "dataset" else hub.models).get(id)
    commits = [each for each in repo.commits if find_mark(each.description)] if repo else []
    return [
        {
            path: hub.blob(file.sha256)
            for path, file in commit.files.items()
            if path != ".gitattributes"
        }
        for commit in commits
    ]


@pytest.mark.parametrize("kind", ["dataset", "model"])
def test_first_push_makes_a_private_repository_with_one_verified_commit(push, hub, kind):
    receipt = push(kind=kind, note="first reading\nof two")

    assert ours(hub, kind=kind) == [PLATE]
    repo = (hub.datasets if kind == "dataset" else hub.models)["me/plates"]
    assert (repo.private, repo.head.title) == (True, "first reading")
    assert repo.head.description.startswith("of two\n\n[stepline push=")
    assert (receipt["end"], receipt["new"]) == (VERIFIED, True)
    assert receipt["destination"] == {"kind": f"huggingface-{kind}", "ref": "me/plates"}
    assert receipt["remote"]["version"] == repo.head.id
    assert {file["name"]: file["verified_by"] for file in receipt["files"]} == {
        "plate.json": "bytes",
        "deep/weights.bin": "digest",
    }


def test_second_push_is_a_new_version_after_the_first(push, hub):
    push()
    receipt = push(OTHER)

    assert ours(hub) == [PLATE, OTHER]
    _, first, second = hub.datasets["me/plates"].commits
    assert (second.parent, receipt["remote"]["version"]) == (first.id, second.id)
    assert len(hub.uploads) == 1  # the large file was there


def test_unchanged_push_publishes_nothing_new_unless_forced(push, hub):
    first = push()
    again = push()
    assert (again["end"], again["new"]) == (VERIFIED, False)
    assert again["remote"] == first["remote"]
    assert ours(hub) == [PLATE]

    assert push(force=True)["new"]
    assert ours(hub) == [PLATE, PLATE]


def test_dry_run_shows_what_it_would_do_and_sends_nothing(push, hub, capsys):
    receipt = push(dry_run=True)

    assert (receipt["end"], receipt["would_publish"]) == (NOTHING, True)
    assert hub.operations == ["RepoInfo"]
    assert not hub.datasets
    assert "a dry run: nothing is published" in capsys.readouterr().out


def test_push_of_what_is_there_publishes_nothing_whoever_committed_it(push, hub):
    hub.add("datasets/me/plates")
    there = hub.change("datasets/me/plates", PLATE | {"theirs.txt": b"x"})

    receipt = push()

    assert (receipt["end"], receipt["new"], ours(hub)) == (VERIFIED, False, [])
    assert receipt["remote"]["version"] == there.id


def test_pushes_that_share_a_repository_do_not_repeat_one_another(push, hub):
    for content in (PLATE, {"next.csv": b"od\n"}, PLATE, {"next.csv": b"od\n"}):
        assert push(content)["end"] == VERIFIED

    assert ours(hub) == [PLATE, PLATE | {"next.csv": b"od\n"}]


def test_mirror_of_files_that_are_there_still_deletes_the_others(push, hub):
    push()
    hub.change("datasets/me/plates", {"theirs.txt": b"x"})

    assert [push(mirror=True)["new"], push(mirror=True)["new"]] == [True, False]
    assert ours(hub) == [PLATE, PLATE]


def test_push_leaves_files_of_others_alone_unless_it_is_a_mirror(push, hub):
    hub.add("datasets/me/plates")
    hub.change("datasets/me/plates", {"theirs.txt": b"x", "deep/old.txt": b"y"})

    push()
    assert ours(hub)[-1] == PLATE | {"theirs.txt": b"x", "deep/old.txt": b"y"}
    push(OTHER, mirror=True)
    assert ours(hub)[-1] == OTHER
    assert ".gitattributes" in hub.datasets["me/plates"].head.files


def test_push_sends_what_a_gitignore_at_the_hub_names(push, hub):
    hub.add("datasets/me/plates")
    hub.change("datasets/me/plates", {".gitignore": b"*.bin\n"})

    assert push()["end"] == VERIFIED
    assert ours(hub)[-1].items() >= PLATE.items()


def test_card_is_made_of_licence_title_and_tags(push, hub):
    push(licence="CC0-1.0", title="Plates: 2025", tags=["biology"], private=False)

    repo = hub.datasets["me/plates"]
    card = hub.blob(repo.head.files["README.md"].sha256).decode()
    assert not repo.private
    head = '---\nlicense: "cc0-1.0"\npretty_name: "Plates: 2025"\ntags: ["biology"]\n---\n'
    assert card.startswith(head)
    push(OTHER, licence="cc0-1.0", title="Plates: 2026", private=False)
    assert b"Plates: 2026" in ours(hub)[-1]["README.md"]


def test_card_that_somebody_wrote_is_not_replaced(push, hub):
    hub.add("datasets/me/plates")
    hub.change("datasets/me/plates", {"README.md": b"# Mine\n"})

    end, words = end_of(push, licence="mit")

    assert (end, ours(hub)) == (NOTHING, [])
    assert "README.md at the Hub was written by somebody" in words
    assert "Preupload" not in hub.operations


BEFOREHAND = {
    "no owner": ({"repo": "plates"}, "named owner/name, not 'plates'"),
    "name that the platform refuses": ({"repo": "me/pla--tes"}, "Cannot have -- or .."),
    "name of a git folder": ({"repo": "me/plates.git"}, "cannot end by '.git'"),
    "public without licence": ({"private": False}, "a public repository needs a licence"),
    "forbidden folder": ({"content": {".git/x": b"x"}}, "no files in a folder '.git'"),
    "empty file": ({"content": {"a.txt": b""}}, "a.txt is empty"),
    "no files": ({"content": {}}, "no files were given"),
    "card that is none": ({"content": {"README.md": b"\xff\xfe"}}, "cannot be read as a card"),
    "public, licence not in the card": (
        {"content": {"README.md": b"---\ntags: [a]\n---\n"}, "private": False},
        "a public repository needs a licence",
    ),
}


@pytest.mark.parametrize(("input", "words"), BEFOREHAND.values(), ids=BEFOREHAND)
def test_push_is_refused_before_anything_leaves(push, hub, input, words):
    end, said = end_of(push, **input)
    assert (end, hub.calls) == (NOTHING, ())
    assert words in said


def test_card_that_is_too_large_is_refused_before_anything_leaves(push, hub, modules, monkeypatch):
    monkeypatch.setattr(modules["card"], "LARGEST_CARD", 20)
    end, said = end_of(push, content={"README.md": b"# " + b"x" * 19})
    assert (end, hub.calls) == (NOTHING, ())
    assert "README.md has 21 bytes; a card has at most 20" in said


def test_file_over_the_limit_is_refused_before_anything_leaves(push, hub, modules, monkeypatch):
    monkeypatch.setattr(modules["hub"], "LARGEST_FILE", 10_000)
    end, said = end_of(push)
    assert (end, hub.calls) == (NOTHING, ())
    assert "deep/weights.bin has 10240 bytes; the Hub takes at most 10000" in said


def test_licence_in_the_pushed_card_is_enough_for_a_public_repository(push, hub):
    push({"README.md": b"---\nlicense: mit\n---\n# Mine\n"}, private=False)
    assert len(ours(hub)) == 1
    assert not hub.datasets["me/plates"].private


WRONG_INPUT = {
    "no repo": ({"repo": None}, ValueError, "input 'repo' is missing"),
    "no token": ({"token": None}, ValueError, "input 'token' is no secret"),
    "endpoint with a password": (
        {"endpoint": "https://me:secret@hub.test"},
        ValueError,
        "input 'endpoint' has credentials in it",
    ),
    "endpoint in the clear": ({"endpoint": "http://hub.test"}, ValueError, "start with https://"),
    "flag as text": ({"mirror": "yes"}, TypeError, "input 'mirror' is true or false, not str"),
    "two cards": (
        {"content": {"README.md": b"x"}, "title": "T"},
        ValueError,
        "input 'title' is given, and the files have a README.md",
    ),
}


@pytest.mark.parametrize(("input", "kind", "words"), WRONG_INPUT.values(), ids=WRONG_INPUT)
def test_wrong_input_is_an_error_that_names_the_field(push, hub, input, kind, words):
    with pytest.raises(kind, match=words):
        push(**input)
    assert hub.calls == ()


@pytest.mark.parametrize("private", [True, False])
def test_repository_of_another_visibility_is_refused(push, hub, private):
    hub.add("datasets/me/plates", private=not private)

    end, words = end_of(push, private=private, licence="mit")

    assert (end, ours(hub)) == (NOTHING, [])
    assert f"set 'private' to {str(not private).lower()}" in words
    assert "Preupload" not in hub.operations


def zipped(data):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.txt", data)
    return held.getvalue()


PLANTED = {
    "plain": lambda value: b"key: " + value,
    "in a .gz": lambda value: gzip.compress(b"key: " + value * 3),
    "in a zip": lambda value: zipped(b"key: " + value),
}


@pytest.mark.parametrize("secret", [API_KEY, TOKEN], ids=["another secret", "the token itself"])
@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_planted_secret_stops_the_push_before_anything_leaves(push, hub, plant, secret):
    end, words = end_of(push, content={**PLATE, "notes.bin": plant(secret.encode())})

    assert (end, hub.calls) == (NOTHING, ())
    assert "notes.bin" in words
    assert "holds the value of the secret" in words
    assert secret not in words


class SomebodyElse(OperationFault):
    """Somebody else commits just before a request has its effect."""

    def __init__(self, hub):
        super().__init__("Commit", times=1)
        self._hub = hub

    def strike(self, request, answer):
        self._hub.change("datasets/me/plates", {"theirs.txt": b"x"})
        return answer(request)


class OtherDigest(OperationFault):
    """The Hub has other bytes of the large file than were sent, and says so."""

    def __init__(self):
        super().__init__("ListTree", after=1)

    def strike(self, request, answer):
        reply = answer(request)
        tree = json.loads(reply.data)
        for entry in tree:
            if "lfs" in entry:
                entry["lfs"]["oid"] = "0" * 64
        return Reply(reply.status, json.dumps(tree).encode(), reply.headers)


WORDS = "try later, please"
BEGINNINGS = {
    VERIFIED: "",
    NOTHING: "nothing was published to huggingface-dataset me/plates: ",
    UNVERIFIED: ("huggingface-dataset me/plates version ", "it is not known whether "),
}
FAULTS = {
    "taken name": (lambda hub: Refuse("CreateRepo", 409, WORDS), NOTHING, 0),
    "may not create": (lambda hub: Refuse("CreateRepo", 403, WORDS), NOTHING, 0),
    "401": (lambda hub: Refuse("Preupload", 401, WORDS), NOTHING, 0),
    "403": (lambda hub: Refuse("Commit", 403, WORDS), NOTHING, 0),
    "404": (lambda hub: Refuse("RepoInfo", 404, WORDS), NOTHING, 0),
    "429 once": (lambda hub: Refuse("Commit", 429, WORDS, retry_after=0, times=1), VERIFIED, 1),
    "429 and long": (lambda hub: Refuse("Commit", 429, WORDS, retry_after=3600), NOTHING, 0),
    "503 always": (lambda hub: Refuse("LfsBatch", 503, WORDS), NOTHING, 0),
    "500 once when looking": (lambda hub: Refuse("RepoInfo", 500, WORDS, times=1), VERIFIED, 1),
    "cut once": (lambda hub: Cut("PutLfs", 5000, times=1), VERIFIED, 1),
    "cut always": (lambda hub: Cut("PutLfs", 5000), NOTHING, 0),
    "529 once": (lambda hub: Refuse("Commit", 529, WORDS, times=1), VERIFIED, 1),
    "500 always": (lambda hub: Refuse("Commit", 500, WORDS), UNVERIFIED, 0),
    "503 at each commit": (lambda hub: Refuse("Commit", 503, WORDS), NOTHING, 0),
    "522 at each question": (lambda hub: Refuse("Preupload", 522, WORDS), NOTHING, 0),
    "500 at each creation": (lambda hub: Refuse("CreateRepo", 500, WORDS), NOTHING, 0),
    "cut in each commit": (lambda hub: Cut("Commit", 20), UNVERIFIED, 0),
    "cut in the commit": (lambda hub: Cut("Commit", 20, times=1), VERIFIED, 1),
    "slow": (lambda hub: Slow("PutLfs", 0.3), VERIFIED, 1),
    "created, then cut": (lambda hub: CutReply("CreateRepo", times=1), VERIFIED, 1),
    "committed, then 500": (lambda hub: FailAfter("Commit", 500, WORDS), VERIFIED, 1),
    "committed, then cut": (lambda hub: CutReply("Commit"), VERIFIED, 1),
    "committed, then 403": (lambda hub: FailAfter("Commit", 403, WORDS), VERIFIED, 1),
    "wrong bytes": (lambda hub: WrongBytes("GetFile"), UNVERIFIED, 1),
    "other digest": (lambda hub: OtherDigest(), UNVERIFIED, 1),
    "unseen": (lambda hub: Refuse("ListCommits", 500, WORDS, after=1), UNVERIFIED, 1),
    "not read back": (lambda hub: Refuse("HeadFile", 403, WORDS), UNVERIFIED, 1),
    "commit in between": (SomebodyElse, NOTHING, 0),
}


@pytest.mark.parametrize(("fault", "expected", "commits"), FAULTS.values(), ids=FAULTS)
def test_fault_ends_in_one_of_the_three_ends(push, hub, fault, expected, commits):
    hub.faults.append(fault(hub))

    end, words = end_of(push)

    assert (end, len(ours(hub))) == (expected, commits), words
    assert words.startswith(BEGINNINGS[end])


def test_long_history_is_read_no_further_than_needed(push, hub):
    hub.add("datasets/me/plates")
    for number in range(160):
        hub.change("datasets/me/plates", {"theirs.txt": bytes([number])})

    assert push()["end"] == VERIFIED
    # Pages of fifty: two to look at a hundred commits, and one that has the new one.
    assert hub.operations.count("ListCommits") == 3


def test_endpoint_that_holds_a_secret_stops_the_push(push, hub):
    end, words = end_of(push, endpoint=f"{hub.url}/{API_KEY}")

    assert (end, hub.calls) == (NOTHING, ())
    assert "holds the value of the secret" in words


def test_many_large_files_are_each_sent_once(push, hub):
    content = {f"part-{number}.bin": bytes([number]) * 5000 for number in range(8)}
    hub.faults.append(Cut("PutLfs", 100, after=4, times=1))

    assert push(content)["verified_by"] == "digest"
    assert ours(hub) == [content]
    assert len(set(hub.uploads)) == 8


def test_endpoint_may_come_from_the_environment(push, hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    assert push(endpoint=None)["end"] == VERIFIED
    assert ours(hub) == [PLATE]


@pytest.mark.parametrize("operation", ["CreateRepo", "Preupload", "Commit"])
def test_refusal_has_the_words_of_the_platform(push, hub, operation):
    hub.faults.append(Refuse(operation, 403, WORDS))
    assert f"the Hub says 403: {WORDS}" in end_of(push)[1]


def test_refusal_has_no_queries_of_addresses(push, hub):
    hub.faults.append(Refuse("Commit", 403, "see https://hub.test/page?token=abc"))
    assert end_of(push)[1].endswith("the Hub says 403: see https://hub.test/page")


def test_commit_that_finds_nobody_listening_was_certainly_not_taken(modules):
    import httpx2

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    commit = httpx2.Request("POST", f"http://127.0.0.1:{port}/api/datasets/me/plates/commit/main")
    connection = modules["connection"]

    with connection._Client() as client, pytest.raises(TryAgain) as told:
        client.send(commit)

    assert told.value.clear


def test_commit_in_between_is_named_and_kept(push, hub):
    push()
    hub.faults.append(SomebodyElse(hub))

    end, words = end_of(push, content=OTHER)

    assert end == NOTHING
    assert "the Hub says 412: A commit has happened since" in words
    assert [len(ours(hub)), "theirs.txt" in hub.datasets["me/plates"].head.files] == [1, True]


def test_answer_that_comes_too_late_makes_no_second_version(push, hub, modules, monkeypatch):
    monkeypatch.setattr(modules["connection"], "TIMEOUT_S", 0.3)
    slow = Slow("Commit", 0.8, times=1)
    hub.faults.append(slow)

    assert end_of(push) == (VERIFIED, "")
    assert slow.struck == 1
    assert ours(hub) == [PLATE]


@pytest.mark.parametrize(
    ("input", "words"),
    [
        ({"repo": "other/plates"}, "403: You don't have the rights to create a dataset"),
        ({"token": "wrong"}, "401: Invalid credentials in Authorization header"),
    ],
    ids=["somebody else's name", "wrong token"],
)
def test_account_without_rights_publishes_nothing(push, hub, secrets, input, words):
    secrets["wrong"] = "hf_wrong-token-0123"
    if input.get("token"):
        input = {"token": secrets.reference("wrong")}

    end, said = end_of(push, **input)

    assert (end, dict(hub.datasets)) == (NOTHING, {})
    assert words in said
    assert "hf_wrong" not in said


def test_file_that_goes_in_parts_is_verified_too(modules, push):
    weights = bytes(range(256)) * 100
    with HuggingFaceStandIn(accounts={"me": TOKEN}, part_size=10_000) as hub:
        hub.faults.append(Cut("PutLfs", 100, after=1, times=1))
        receipt = push({"weights.bin": weights}, endpoint=hub.url)

        assert ours(hub) == [{"weights.bin": weights}]
    assert (receipt["end"], receipt["verified_by"]) == (VERIFIED, "digest")
    assert hub.operations.count("CompleteLfs") == 1
