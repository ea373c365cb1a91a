"""Resumable uploads in a folder."""

import hashlib
import io
import os
import threading
import time
from pathlib import Path

import pytest

from stepline.errors import PlatformError, UploadError
from stepline.plugins.files_local.store import FolderStore
from stepline.ports.freed import Freed
from stepline.ports.uploads import DigestMismatch, UnknownUpload, UploadInUse, WrongOffset

CONTENT = b"0123456789" * 300_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
HALF = len(CONTENT) // 2 + 1
DAY_S = 24 * 3600


@pytest.fixture
def make(tmp_path):
    """Make a store over the same folder, as a restart does."""
    return lambda: FolderStore(str(tmp_path / "store"), durable=True)


@pytest.fixture
def store(make):
    return make()


@pytest.fixture
def uploads(store):
    return store.uploads


class Blocked:
    """A source that waits, once it has been read from, until it is let go."""

    def __init__(self):
        self.reading, self.go_on = threading.Event(), threading.Event()

    def read(self, _size):
        self.reading.set()
        assert self.go_on.wait(10)
        return b""


class Broken(io.BytesIO):
    """A connection that breaks after its first bytes."""

    def read(self, size=-1):
        if chunk := super().read(size):
            return chunk
        raise ConnectionResetError


def send(uploads, upload_id, content, offset=0, **options):
    return uploads.append(upload_id, offset, source=io.BytesIO(content), **options)


def test_finished_upload_is_a_durable_blob(store, uploads):
    upload_id = uploads.begin(len(CONTENT), {"path": "a/b", "labels": [1, None]})
    assert send(uploads, upload_id, CONTENT[:HALF]) == HALF
    assert send(uploads, upload_id, CONTENT[HALF:], HALF) == len(CONTENT)
    upload = uploads.get(upload_id)
    assert (upload.offset, upload.size) == (len(CONTENT), len(CONTENT))
    assert upload.about == {"path": "a/b", "labels": [1, None]}
    blob = uploads.finish(upload_id, DIGEST.upper())
    assert (blob.size, blob.sha256) == (len(CONTENT), DIGEST)
    assert store.verify(blob.name)


@pytest.mark.parametrize("size", [None, 0], ids=["size unknown", "size known"])
def test_empty_upload_is_an_empty_blob(store, uploads, size):
    blob = uploads.finish(uploads.begin(size, {}))
    assert (blob.size, blob.sha256) == (0, hashlib.sha256().hexdigest())
    assert store.verify(blob.name)


def test_append_at_another_offset_is_refused_and_names_the_right_one(uploads):
    upload_id = uploads.begin(None, {})
    send(uploads, upload_id, b"abc")
    for wrong in (0, 2, 4):
        with pytest.raises(WrongOffset, match="3 bytes are here") as caught:
            send(uploads, upload_id, b"x", wrong)
        assert (caught.value.offset, "from byte 3" in caught.value.hint) == (3, True)
    assert uploads.offset(upload_id) == 3


def test_upload_goes_on_after_a_connection_broke(store, uploads):
    upload_id = uploads.begin(len(CONTENT), {})
    with pytest.raises(ConnectionResetError):
        uploads.append(upload_id, 0, source=Broken(CONTENT[:HALF]))
    assert uploads.offset(upload_id) == HALF
    send(uploads, upload_id, CONTENT[HALF:], HALF)
    assert store.verify(uploads.finish(upload_id, DIGEST).name)


def test_upload_goes_on_after_a_restart(make):
    upload_id = make().uploads.begin(len(CONTENT), {"a": 1})
    send(make().uploads, upload_id, CONTENT[:HALF])
    uploads = make().uploads
    assert (uploads.offset(upload_id), uploads.get(upload_id).about) == (HALF, {"a": 1})
    send(uploads, upload_id, CONTENT[HALF:], HALF)
    store = make()
    assert store.verify(store.uploads.finish(upload_id, DIGEST).name)


@pytest.mark.parametrize("size", [None, 8], ids=["limit", "size"])
def test_part_that_is_too_long_is_refused_whole(uploads, size):
    upload_id = uploads.begin(size, {})
    send(uploads, upload_id, b"abc")
    for content in (b"defghi", CONTENT):
        with pytest.raises(UploadError, match="more than the 5 bytes"):
            send(uploads, upload_id, content, 3, limit=5 if size is None else 100)
        assert uploads.offset(upload_id) == 3
    assert send(uploads, upload_id, b"defgh", 3, limit=5) == 8
    assert uploads.finish(upload_id).sha256 == hashlib.sha256(b"abcdefgh").hexdigest()


def test_long_part_beyond_its_limit_leaves_the_digest_right(uploads):
    upload_id = uploads.begin(None, {})
    send(uploads, upload_id, b"abc")
    with pytest.raises(UploadError, match="more than"):
        send(uploads, upload_id, CONTENT, 3, limit=len(CONTENT) - 1)
    assert uploads.finish(upload_id).sha256 == hashlib.sha256(b"abc").hexdigest()


def test_finish_before_all_bytes_are_here_is_refused_and_can_be_done_later(uploads):
    upload_id = uploads.begin(6, {})
    send(uploads, upload_id, b"abc")
    with pytest.raises(UploadError, match="3 of 6 bytes") as caught:
        uploads.finish(upload_id)
    assert caught.value.hint
    send(uploads, upload_id, b"def", 3)
    assert uploads.finish(upload_id).size == 6


def test_finish_with_another_digest_is_refused_and_keeps_the_upload(store, uploads):
    upload_id = uploads.begin(None, {})
    send(uploads, upload_id, CONTENT)
    wrong = hashlib.sha256(b"").hexdigest()
    with pytest.raises(DigestMismatch, match=f"{DIGEST}, not {wrong}"):
        uploads.finish(upload_id, wrong)
    assert not store.verify(f"sha256:{DIGEST}")
    assert uploads.finish(upload_id, DIGEST).sha256 == DIGEST


def test_finish_again_gives_the_same_blob_also_after_a_restart(make, uploads):
    upload_id = uploads.begin(3, {"a": 1})
    send(uploads, upload_id, b"abc")
    blob = uploads.finish(upload_id)
    later = make().uploads
    assert [uploads.finish(upload_id, blob.sha256), later.finish(upload_id)] == [blob, blob]
    assert (later.get(upload_id).offset, later.get(upload_id).about) == (3, {"a": 1})
    with pytest.raises(UploadError, match="finished already"):
        send(later, upload_id, b"x", 3)
    with pytest.raises(DigestMismatch):
        later.finish(upload_id, DIGEST)


def test_finish_again_publishes_again_as_far_as_upkeep_is_concerned(store, uploads):
    upload_id = uploads.begin(None, {})
    blob = uploads.finish(upload_id)
    os.utime(store.local_path(blob.name), (1, 1))
    uploads.finish(upload_id)
    assert store.delete_unreferenced(lambda _: frozenset(), older_than_s=DAY_S).count == 0
    os.unlink(store.local_path(blob.name))
    with pytest.raises(UnknownUpload):
        uploads.finish(upload_id)


def test_upload_of_bytes_that_the_store_has_shares_them(store, uploads):
    blobs = set()
    for _ in range(2):
        upload_id = uploads.begin(None, {})
        send(uploads, upload_id, CONTENT)
        blob = uploads.finish(upload_id)
        blobs.add((blob.name, os.stat(store.local_path(blob.name)).st_ino))
    assert len(blobs) == 1


def test_aborted_upload_is_gone_but_not_its_blob(store, uploads, tmp_path):
    unfinished, finished = uploads.begin(None, {}), uploads.begin(None, {})
    blob = uploads.finish(finished)
    for upload_id in (unfinished, finished, unfinished):
        uploads.abort(upload_id)
        with pytest.raises(UnknownUpload, match="no upload"):
            uploads.offset(upload_id)
    assert store.verify(blob.name)
    assert list((tmp_path / "store" / "uploads").iterdir()) == []


def test_second_append_at_once_is_told_so(make, uploads):
    upload_id, source = uploads.begin(None, {}), Blocked()
    first = threading.Thread(target=uploads.append, args=(upload_id, 0), kwargs={"source": source})
    first.start()
    assert source.reading.wait(10)
    for other in (uploads, make().uploads):
        for act in (lambda u: send(u, upload_id, b"x"), lambda u: u.finish(upload_id)):
            with pytest.raises(UploadInUse, match="in use"):
                act(other)
        with pytest.raises(UploadInUse):
            other.abort(upload_id)
    source.go_on.set()
    first.join(10)
    assert send(uploads, upload_id, b"abc") == 3


@pytest.mark.parametrize("odd", ["", ".", "..", "../blobs", "a" * 32 + "\n", "A" * 32, "0" * 32])
def test_unknown_upload_is_refused_everywhere(uploads, odd, tmp_path):
    uploads.begin(None, {})
    before = sorted(tmp_path.rglob("*"))
    for act in (uploads.get, uploads.offset, uploads.finish, lambda i: send(uploads, i, b"x")):
        with pytest.raises(UnknownUpload) as caught:
            act(odd)
        assert "begin a new one" in caught.value.hint
    uploads.abort(odd)
    assert sorted(tmp_path.rglob("*")) == before


def test_upload_of_negative_size_is_refused(uploads):
    with pytest.raises(UploadError, match="-1 bytes"):
        uploads.begin(-1, {})


@pytest.mark.parametrize(("days", "kept"), [(8, False), (6, True)])
@pytest.mark.parametrize("state", ["begun", "finished", "half-made"])
def test_clean_removes_uploads_that_nobody_touched_for_a_week(
    store, uploads, tmp_path, days, kept, state
):
    upload_id = uploads.begin(None, {})
    folder = tmp_path / "store" / "uploads" / upload_id
    if state == "finished":
        uploads.finish(upload_id)
    elif state == "half-made":
        (folder / "content").unlink()
    for path in (*folder.iterdir(), folder):
        os.utime(path, (time.time() - days * DAY_S,) * 2)
    store.clean()
    assert folder.exists() == kept


def test_clean_leaves_an_old_upload_that_is_under_way(store, uploads, tmp_path):
    upload_id, source = uploads.begin(None, {}), Blocked()
    first = threading.Thread(target=uploads.append, args=(upload_id, 0), kwargs={"source": source})
    first.start()
    assert source.reading.wait(10)
    folder = tmp_path / "store" / "uploads" / upload_id
    for path in (*folder.iterdir(), folder):
        os.utime(path, (1, 1))
    store.clean()
    source.go_on.set()
    first.join(10)
    assert uploads.offset(upload_id) == 0


def age_upload(tmp_path, upload_id, days):
    folder = tmp_path / "store" / "uploads" / upload_id
    for path in (*folder.iterdir(), folder):
        os.utime(path, (time.time() - days * DAY_S,) * 2)


def test_delete_given_up_tells_what_it_freed_and_a_dry_run_removes_nothing(uploads, tmp_path):
    old, young, finished = (uploads.begin(None, {}) for _ in range(3))
    for upload_id in (old, young, finished):
        send(uploads, upload_id, CONTENT)
    uploads.finish(finished)
    age_upload(tmp_path, old, 8)
    age_upload(tmp_path, finished, 8)
    # The bytes of the finished one are a blob by now.
    assert uploads.delete_given_up(dry_run=True) == Freed(2, len(CONTENT))
    assert uploads.offset(old) == len(CONTENT)
    assert uploads.delete_given_up() == Freed(2, len(CONTENT))
    assert uploads.delete_given_up() == Freed()
    assert uploads.offset(young) == len(CONTENT)


def test_blob_of_a_finished_upload_is_in_use_until_that_is_forgotten(store, uploads):
    upload_id = uploads.begin(None, {})
    send(uploads, upload_id, CONTENT)
    blob = uploads.finish(upload_id)
    os.utime(store.local_path(blob.name), (1, 1))
    assert store.delete_unreferenced(lambda _: frozenset(), older_than_s=DAY_S) == Freed()
    assert store.verify(blob.name)
    uploads.abort(upload_id)
    assert store.delete_unreferenced(lambda _: frozenset(), older_than_s=DAY_S).count == 1


def test_begin_where_there_is_no_place_is_retryable(store, tmp_path):
    (tmp_path / "store").write_text("")
    with pytest.raises(PlatformError, match="cannot be kept") as caught:
        store.uploads.begin(None, {})
    assert (caught.value.retryable, bool(caught.value.hint)) == (True, True)


def test_upload_whose_bytes_the_disk_lost_has_to_be_sent_again(uploads, monkeypatch):
    upload_id = uploads.begin(None, {})

    def fail(descriptor):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(PlatformError, match="lost bytes"):
            uploads.finish(upload_id)
    with pytest.raises(UnknownUpload):
        uploads.finish(upload_id)


def test_digests_in_progress_do_not_pile_up(uploads, monkeypatch):
    monkeypatch.setattr("stepline.plugins.files_local.uploads._DIGESTS", 2)
    ids = [uploads.begin(None, {}) for _ in range(4)]
    for upload_id in ids:
        send(uploads, upload_id, upload_id.encode())
    for upload_id in ids:
        digest = hashlib.sha256(upload_id.encode()).hexdigest()
        assert uploads.finish(upload_id).sha256 == digest
        assert not Path(uploads._root, upload_id, "content").exists()
