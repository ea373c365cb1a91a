"""The store of a folder: what its disk does to it."""

import os

import pytest

from stepline.errors import PlatformError, UploadError
from stepline.plugins.files_local.store import FolderStore


@pytest.fixture
def path(tmp_path):
    """A file to take in."""
    made = tmp_path / "content"
    made.write_bytes(b"abc")
    return made


def test_publish_keeps_bytes_that_the_store_has(tmp_path, path):
    store = FolderStore(str(tmp_path / "store"))
    numbers = set()
    for _ in range(2):
        area = store.staging()
        blob = area.add(str(path))
        area.publish()
        numbers.add(os.stat(store.path_of(blob.sha256)).st_ino)
    assert len(numbers) == 1


def test_publish_of_a_file_that_got_another_name_is_refused(tmp_path, path):
    area = FolderStore(str(tmp_path / "store")).staging()
    blob = area.add(str(path), move=True)
    os.link(area.local_path(blob.name), tmp_path / "other")
    with pytest.raises(UploadError, match="changed after"):
        area.publish()


def test_add_where_the_store_has_no_place_is_retryable_and_has_a_hint(tmp_path, path):
    (tmp_path / "store").touch()
    area = FolderStore(str(tmp_path / "store")).staging()
    with pytest.raises(PlatformError, match="cannot be kept") as caught:
        area.add(str(path))
    assert (caught.value.retryable, bool(caught.value.hint)) == (True, True)


def test_publish_where_the_store_has_no_place_is_retryable_and_has_a_hint(tmp_path, path):
    area = FolderStore(str(tmp_path / "store")).staging()
    area.add(str(path))
    (tmp_path / "store" / "blobs").touch()
    with pytest.raises(PlatformError, match="cannot be kept") as caught:
        area.publish()
    assert (caught.value.retryable, bool(caught.value.hint)) == (True, True)


def test_publish_of_a_file_that_was_written_to_afterwards_is_refused(tmp_path, path):
    store = FolderStore(str(tmp_path / "store"))
    area = store.staging()
    with open(path, "r+b", buffering=0) as writer:
        blob = area.add(str(path), move=True)
        writer.write(b"xyz")
    with pytest.raises(UploadError, match="changed after") as caught:
        area.publish()
    assert caught.value.hint
    assert not os.path.exists(store.path_of(blob.sha256))
