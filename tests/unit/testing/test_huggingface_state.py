"""The rules of the Hub's stand-in: commits, large files, and what requests say."""

import base64
import json
from datetime import UTC, datetime

import pytest

from stepline.testing.huggingface.state import (
    LARGEST_REGULAR,
    Change,
    HubError,
    HubState,
    is_ignored,
    is_large,
)
from stepline.testing.huggingface.wire import identify, read_change
from stepline.testing.loopback import RefusedError


@pytest.fixture
def state():
    state = HubState(now=lambda: datetime(2026, 1, 2, tzinfo=UTC))
    state.create("dataset", "me/plates", private=True)
    return state


def change(state, *, large=None, deleted=(), parent=None, **files):
    content = {name.replace("_", "/"): data for name, data in files.items()}
    made = Change(title="t", files=content, large=large or {}, deleted=deleted, parent=parent)
    return state.change(state.repo("dataset", "me/plates"), made, user="me")


def test_commit_keeps_files_that_it_does_not_name(state):
    change(state, a=b"1", d_b=b"2")
    commit = change(state, a=b"3")
    assert set(commit.files) == {".gitattributes", "a", "d/b"}
    assert state.blobs[commit.files["a"].sha256] == b"3"
    assert commit.files["d/b"].blob_id == "d8263ee9860594d2806b0dfd1bfd17528b0ba2a4"  # git's own


def test_commit_deletes_before_it_adds(state):
    change(state, a=b"1", d_b=b"2", d_c=b"3")
    commit = change(state, deleted=("d/", "a"), a=b"4")
    assert set(commit.files) == {".gitattributes", "a"}
    with pytest.raises(HubError, match="A file with this name doesn't exist: d/b"):
        change(state, deleted=("d/b",))


def test_commit_after_another_parent_changes_nothing(state):
    first = state.repo("dataset", "me/plates").head
    newest = change(state, a=b"1", parent=first.id)
    with pytest.raises(HubError, match="A commit has happened since") as raised:
        change(state, a=b"2", parent=first.id)
    assert raised.value.status == 412
    assert state.repo("dataset", "me/plates").head == newest


def test_large_file_must_have_been_uploaded_in_full(state):
    sha256 = "4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865"  # of b"1\n"
    with pytest.raises(HubError, match="was not uploaded"):
        change(state, large={"w.bin": (sha256, 2)})
    with pytest.raises(HubError, match="do not match"):
        state.upload(sha256, b"2\n")
    state.upload(sha256, b"1\n")
    with pytest.raises(HubError, match="was not uploaded"):
        change(state, large={"w.bin": (sha256, 3)})
    assert change(state, large={"w.bin": (sha256, 2)}).files["w.bin"].large


@pytest.mark.parametrize(
    ("path", "size", "sample", "large"),
    [
        ("a.csv", 10, b"a,b", False),
        ("a.CSV.GZ", 10, b"abc", True),
        ("a.csv", LARGEST_REGULAR + 1, b"a,b", True),
        ("a", 10, b"\x00\x01", True),
    ],
    ids=["text", "ending", "size", "binary"],
)
def test_large_files_are_known_by_name_size_and_beginning(path, size, sample, large):
    assert is_large(path, size=size, sample=sample) is large


@pytest.mark.parametrize(
    ("path", "ignored"), [("x/a.tmp", True), ("cache/b", True), ("tmp.txt", False), ("# c", False)]
)
def test_gitignore_leaves_out_what_its_lines_name(path, ignored):
    assert is_ignored(path, ["# c", "", "*.tmp", "/cache/"]) is ignored


def lines(*items):
    return b"\n".join(json.dumps({"key": k, "value": v}).encode() for k, v in items)


HEADER = ("header", {"summary": "s", "description": "d", "parentCommit": "p"})


def test_commit_is_read_line_by_line():
    content = base64.b64encode(b"x").decode()
    read = read_change(
        lines(
            HEADER,
            ("file", {"path": "a", "content": content, "encoding": "base64"}),
            ("lfsFile", {"path": "b", "algo": "sha256", "oid": "0", "size": 2}),
            ("deletedFile", {"path": "c"}),
            ("deletedFolder", {"path": "d"}),
        )
    )
    assert (read.title, read.description, read.parent) == ("s", "d", "p")
    assert (read.files, read.large, read.deleted) == ({"a": b"x"}, {"b": ("0", 2)}, ("c", "d/"))


@pytest.mark.parametrize(
    "data",
    [b"{", b"[]", lines(("file", {"path": "a", "content": "?"})), lines(("other", {})), b""],
    ids=["no JSON", "no object", "no base64", "unknown", "empty"],
)
def test_commit_that_makes_no_sense_is_refused(data):
    with pytest.raises(RefusedError) as raised:
        read_change(data)
    assert raised.value.status == 400


@pytest.mark.parametrize(
    ("method", "path", "operation", "said"),
    [
        ("GET", "/api/models/me/m", "RepoInfo", {"kind": "model", "id": "me/m"}),
        (
            "HEAD",
            "/datasets/me/p/resolve/main/d/a%20b.csv",
            "HeadFile",
            {"kind": "dataset", "id": "me/p", "revision": "main", "path": "d/a b.csv"},
        ),
        ("POST", "/me/m.git/info/lfs/objects/batch", "LfsBatch", {"id": "me/m"}),
        ("GET", "/api/spaces/me/s", "Unknown", {}),
        ("PUT", "/storage/short", "Unknown", {}),
    ],
)
def test_identify_names_operation_and_parts(method, path, operation, said):
    assert identify(method, path) == (operation, said)
