"""The stand-in's own rules: resumed uploads, versions, faults and paths."""

from datetime import UTC, datetime

import pytest

from stepline.testing.kaggle.answers import Answers
from stepline.testing.kaggle.faults import StatusError
from stepline.testing.kaggle.kernels import Kernels
from stepline.testing.kaggle.models import Models
from stepline.testing.kaggle.state import (
    DeclinedError,
    KaggleState,
    NewDataset,
)
from stepline.testing.kaggle.wire import KaggleRequest, identify
from stepline.testing.loopback import RefusedError, Reply
from stepline.testing.loopback.faults import FaultList

NEW = NewDataset(owner="me", slug="plates", title="Plates", licence="CC0-1.0", private=True)
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


@pytest.fixture
def state():
    return KaggleState(now=lambda: NOON)


def uploaded(state, data=b"abc"):
    blob = state.begin_upload(name="data.json", kind="DATASET", size=len(data))
    return state.receive(blob.token, data).token


def put(state, token, data=b"", content_range=""):
    request = KaggleRequest(
        operation="PutBlob",
        method="PUT",
        base="http://localhost",
        path=f"/storage/uploads/{token}",
        parameters={"token": token},
        data=data,
        headers={"content-range": content_range},
    )
    return Answers(state, Kernels(state), Models(state))(request)


def test_put_in_two_parts_tells_progress_and_ends_complete(state):
    token = state.begin_upload(name="a", kind="DATASET", size=6).token

    assert put(state, token, b"abc", "bytes 0-2/6") == Reply(308, headers={"Range": "bytes=0-2"})
    assert put(state, token, content_range="bytes */6").status == 308
    assert put(state, token, b"def", "bytes 3-5/6").status == 200
    assert put(state, token, content_range="bytes */6").status == 200
    assert state.blobs[token].data == b"abcdef"


@pytest.mark.parametrize("size", [0, 3], ids=["empty", "some-bytes"])
def test_progress_before_the_first_byte_is_never_complete(state, size):
    token = state.begin_upload(name="a", kind="DATASET", size=size).token

    assert put(state, token, content_range=f"bytes */{size}") == Reply(308)


@pytest.mark.parametrize(
    ("data", "offset", "message"),
    [
        pytest.param(b"abcd", 0, "3 bytes announced, more sent", id="too-long"),
        pytest.param(b"c", 2, "bytes 0-2 are missing", id="gap"),
    ],
)
def test_receive_wrong_bytes_is_refused(state, data, offset, message):
    token = state.begin_upload(name="a", kind="DATASET", size=3).token

    with pytest.raises(RefusedError, match=message):
        state.receive(token, data, offset=offset)


def test_receive_other_bytes_for_a_complete_upload_is_refused(state):
    token = uploaded(state)

    assert state.receive(token, b"abc").complete
    with pytest.raises(RefusedError, match="already complete"):
        state.receive(token, b"xyz")


def test_create_with_an_incomplete_upload_is_declined(state):
    token = state.begin_upload(name="a", kind="DATASET", size=3).token

    with pytest.raises(DeclinedError, match=f"{token} is not complete"):
        state.create_dataset(NEW, [token])
    assert not state.datasets


def test_create_taken_title_under_another_slug_is_declined(state):
    state.create_dataset(NEW, [uploaded(state)])

    other = NewDataset(owner="me", slug="dishes", title="Plates", licence="", private=True)
    with pytest.raises(DeclinedError, match='title "Plates" is already in use'):
        state.create_dataset(other, [])


def test_version_holds_only_its_own_files_and_the_clocks_time(state):
    state.create_dataset(NEW, [uploaded(state, b"one"), uploaded(state, b"two")])
    state.create_version("me/plates", notes="n", tokens=[uploaded(state, b"three")])

    assert [len(version.files) for version in state.dataset("me/plates").versions] == [2, 1]
    assert state.version("me/plates").created_at == NOON
    assert state.version("me/plates", 1).number == 1
    with pytest.raises(RefusedError, match="no version 3"):
        state.version("me/plates", 3)


def test_content_of_an_unknown_digest_is_a_key_error(state):
    uploaded(state)

    with pytest.raises(KeyError):
        state.content("0" * 64)


def test_faults_nest_with_the_first_outermost():
    request = KaggleRequest(operation="CreateDataset", line="2.2", method="POST", path="/")
    first, second = StatusError("CreateDataset", "first"), StatusError("CreateDataset", "second")

    assert b"first" in FaultList([first, second]).before(lambda _: Reply(200))(request).data
    assert FaultList().before(lambda _: Reply(204))(request) == Reply(204)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        pytest.param(
            "POST",
            "/v1/datasets.DatasetApiService/GetDataset",
            ("GetDataset", "2.2", {}),
            id="production-base",
        ),
        pytest.param(
            "GET",
            "/api/v1/datasets/download/me/plates/a%20b/c.csv",
            (
                "DownloadDataset",
                "1.6",
                {"ownerSlug": "me", "datasetSlug": "plates", "fileName": "a b/c.csv"},
            ),
            id="file-in-a-folder",
        ),
        pytest.param(
            "GET", "/api/v1/datasets.DatasetApiService/GetDataset", ("Unknown", "", {}), id="verb"
        ),
        pytest.param(
            "POST", "/v1/datasets.DatasetApiService/DeleteDataset", ("Unknown", "", {}), id="name"
        ),
    ],
)
def test_identify_path_gives_operation_line_and_parameters(method, path, expected):
    assert identify(method, path) == expected
