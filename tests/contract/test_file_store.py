"""What every file store promises; an adapter joins by one line in `STORES`."""

import hashlib
import mmap
import os
from contextlib import suppress

import pytest

from stepline.errors import PlatformError, UploadError
from stepline.plugins.files_local.store import FolderStore
from stepline.testing.kit.memory_store import MemoryStore

STORES = {
    "folder": lambda path: FolderStore(str(path / "store")),
    "durable folder": lambda path: FolderStore(str(path / "store"), durable=True),
    "memory": lambda path: MemoryStore(),
}
CONTENT = b"abc" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    """An empty store."""
    return STORES[request.param](tmp_path)


@pytest.fixture
def path(tmp_path):
    """A file to take in."""
    made = tmp_path / "content"
    made.write_bytes(CONTENT)
    return made


def read(reader, name):
    with reader.open(name) as file:
        return file.read()


@pytest.mark.parametrize("move", [True, False])
def test_added_bytes_are_read_from_the_staging_area(store, path, move):
    area = store.staging()
    blob = area.add(str(path), move=move)
    assert (blob.size, blob.sha256) == (len(CONTENT), DIGEST)
    assert read(area, blob.name) == CONTENT
    assert move or path.read_bytes() == CONTENT


def test_added_bytes_are_not_in_the_store_before_they_are_published(store, path):
    area = store.staging()
    blob = area.add(str(path))
    for reader in (store, store.staging()):
        with pytest.raises(PlatformError):
            reader.open(blob.name)
    area.publish()
    for reader in (store, area, store.staging()):
        assert read(reader, blob.name) == CONTENT
    assert store.digest(blob.name) == DIGEST


def test_discarded_bytes_are_gone(store, path):
    area = store.staging()
    blob = area.add(str(path))
    area.discard()
    area.publish()
    for reader in (store, area):
        with pytest.raises(PlatformError):
            reader.open(blob.name)


def test_discard_after_publish_keeps_what_was_published(store, path):
    area = store.staging()
    blob = area.add(str(path))
    area.publish()
    area.discard()
    assert read(store, blob.name) == CONTENT


def test_discard_of_one_area_leaves_equal_bytes_of_another(store, path):
    one, other = store.staging(), store.staging()
    blob = one.add(str(path))
    assert other.add(str(path)) == blob
    other.discard()
    assert read(one, blob.name) == CONTENT


def test_equal_bytes_have_one_name(store, path, tmp_path):
    twin = tmp_path / "twin"
    twin.write_bytes(CONTENT)
    area = store.staging()
    assert area.add(str(path)) == area.add(str(twin))
    area.publish()
    later = store.staging()
    blob = later.add(str(path))
    later.publish()
    assert read(store, blob.name) == CONTENT


def test_empty_file_is_kept(store, tmp_path):
    (tmp_path / "empty").touch()
    area = store.staging()
    blob = area.add(str(tmp_path / "empty"))
    area.publish()
    assert (blob.size, read(store, blob.name)) == (0, b"")


def test_local_path_where_there_is_one_leads_to_the_bytes(store, path):
    area = store.staging()
    blob = area.add(str(path))
    staged = area.local_path(blob.name)
    area.publish()
    published = store.local_path(blob.name)
    assert staged is None or not os.path.exists(staged) or staged == published
    if published is not None:
        with open(published, "rb") as file:
            assert file.read() == CONTENT


@pytest.mark.parametrize("kind", ["symlink", "hard link", "folder", "pipe", "missing"])
@pytest.mark.parametrize("move", [True, False])
def test_what_is_no_plain_file_is_refused(store, path, tmp_path, kind, move):
    odd = tmp_path / "odd"
    if kind == "symlink":
        odd.symlink_to(path)
    elif kind == "hard link":
        os.link(path, odd)
    elif kind == "folder":
        odd.mkdir()
    elif kind == "pipe":
        os.mkfifo(odd)
    area = store.staging()
    if kind == "hard link" and not move:
        # A copy is a file of its own.
        assert area.add(str(odd)).sha256 == DIGEST
        return
    with pytest.raises(UploadError):
        area.add(str(odd), move=move)
    assert path.read_bytes() == CONTENT


def test_name_that_is_none_of_the_stores_is_refused(store):
    with pytest.raises(PlatformError):
        store.open("nonsense")


def test_presigned_url_is_an_address_or_none(store, path):
    area = store.staging()
    blob = area.add(str(path))
    area.publish()
    url = store.presigned_url(blob.name, ttl_s=60)
    assert url is None or "://" in url


def change_by_descriptor(path):
    with open(path, "r+b") as file:
        yield
        file.write(b"other")
        file.flush()
        yield


def change_by_mapping(path):
    with open(path, "r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    mapped[0:1] = b"0"
    yield
    mapped[0:5] = b"other"
    yield
    mapped.close()


@pytest.mark.parametrize("change", [change_by_descriptor, change_by_mapping])
def test_bytes_changed_after_they_were_added_never_get_the_old_name(store, path, change):
    steps = change(path)
    next(steps)
    area = store.staging()
    blob = area.add(str(path), move=True)
    next(steps)
    with suppress(UploadError):
        area.publish()
    with suppress(PlatformError):
        assert hashlib.sha256(read(store, blob.name)).hexdigest() == blob.sha256
    assert next(steps, None) is None


def test_bytes_added_while_a_writer_is_open_are_kept_when_it_changes_nothing(store, path):
    with open(path, "r+b"):
        area = store.staging()
        blob = area.add(str(path), move=True)
        area.publish()
    assert read(store, blob.name) == CONTENT
