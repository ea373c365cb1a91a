"""Frames on a stream, and values that are too large for them."""

import os
import socket
import struct
import threading

import pytest

from stepline_sdk import wire


@pytest.fixture
def ends():
    """Both ends of a connection."""
    here, there = map(wire.Connection, socket.socketpair())
    yield here, there
    here.close()
    there.close()


@pytest.fixture
def raw():
    """A connection, and the plain socket at its other end."""
    here, there = socket.socketpair()
    yield wire.Connection(here), there
    here.close()
    there.close()


def framed(body):
    return struct.pack(">I", len(body)) + body


def test_connection_frames_arrive_whole_and_in_order(ends):
    here, there = ends
    frames = [{"type": "a", "text": "\N{SNOWMAN}\ud800"}, {"type": "b", "n": [1, None, 2.5]}]
    for frame in frames:
        here.send(frame)
    assert [there.receive(), there.receive()] == frames


def test_connection_end_of_stream_is_none(ends):
    here, there = ends
    here.send({"type": "last"})
    here.close()
    assert there.receive() == {"type": "last"}
    assert there.receive() is None


def test_connection_frames_read_with_another_are_taken_from_the_buffer(ends):
    here, there = ends
    here.send_encoded(b"".join(wire.encode({"type": name}) for name in "abc"))
    assert there.receive() == {"type": "a"}
    assert there.take_buffered() == [{"type": "b"}, {"type": "c"}]
    assert there.take_buffered() == []


def test_connection_frame_in_pieces_is_put_together(raw):
    connection, there = raw
    data = wire.encode({"type": "x", "text": "y" * 100_000})

    def trickle():
        for start in range(0, len(data), 9_999):
            there.sendall(data[start : start + 9_999])

    thread = threading.Thread(target=trickle)
    thread.start()
    assert len(connection.receive()["text"]) == 100_000
    thread.join()


def test_connection_several_frames_in_one_piece_come_one_by_one(raw):
    connection, there = raw
    there.sendall(b"".join(wire.encode({"type": name}) for name in "abc"))
    frames, alive = connection.receive_available()
    assert ([frame["type"] for frame in frames], alive) == (["a", "b", "c"], True)
    there.close()
    assert connection.receive_available() == ([], False)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"not json", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"[1]", "not an object with a type"),
        (b'{"n": 1}', "not an object with a type"),
        (b'{"type": 1}', "not an object with a type"),
        (b'{"type": "a", "n": NaN}', "NaN is not JSON"),
        (b'{"type": "a"} ', "something follows"),
        (b"", "cannot be read"),
        (b'{"type": "a", "v": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "cannot be read"),
    ],
    ids=["text", "bytes", "list", "no type", "odd type", "nan", "rest", "empty", "deep"],
)
def test_connection_what_is_no_frame_is_refused(raw, body, words):
    connection, there = raw
    threading.Thread(target=there.sendall, args=(framed(body),)).start()
    with pytest.raises(wire.WireError, match=words):
        connection.receive()


def test_connection_announced_frame_over_the_limit_is_refused_at_once(raw):
    connection, there = raw
    there.sendall(struct.pack(">I", wire.MAX_FRAME_BYTES + 1))
    with pytest.raises(wire.WireError, match="over the limit"):
        connection.receive()


def test_connection_stream_that_ends_within_a_frame_is_an_error(raw):
    connection, there = raw
    there.sendall(framed(b'{"type": "a"}')[:-1])
    there.close()
    with pytest.raises(wire.StreamCut, match="ended within a frame"):
        connection.receive()


def test_connection_end_that_read_nothing_has_refused_it(ends):
    here, there = ends
    here.send({"type": "unread"})
    assert not here.refused
    there.close()
    assert here.receive() is None
    assert here.refused


def test_connection_end_that_read_all_has_refused_nothing(ends):
    here, there = ends
    here.send({"type": "read"})
    there.receive()
    there.close()
    assert here.receive() is None
    assert not here.refused


def test_connection_send_some_takes_what_goes_and_never_waits(ends):
    here, there = ends
    data = wire.encode({"type": "x", "text": "y" * 5_000_000})
    sent = here.send_some(data)
    assert 0 < sent < len(data)
    assert here.send_some(data[sent:]) == 0
    there.close()
    with pytest.raises(OSError, match="Broken pipe"):
        here.send_some(b"more")
    assert here.refused


def test_connection_frames_of_several_threads_do_not_mix(ends):
    here, there = ends
    texts = [str(n) * 50_000 for n in range(8)]
    threads = [threading.Thread(target=here.send, args=({"type": t},)) for t in texts]
    for thread in threads:
        thread.start()
    assert sorted(there.receive()["type"] for _ in texts) == sorted(texts)
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, b"x"], ids=["nan", "set", "bytes"])
def test_encode_what_is_not_json_is_refused(value):
    with pytest.raises((ValueError, TypeError)):
        wire.encode({"type": "a", "value": value})


def test_encode_frame_over_the_limit_is_refused(monkeypatch):
    monkeypatch.setattr(wire, "MAX_FRAME_BYTES", 100)
    with pytest.raises(wire.WireError, match="a frame of 122 bytes is over the limit"):
        wire.encode({"type": "a", "text": "x" * 100})


VALUES = [None, 0, "", [], {"a": [1, 2.5, None, True, "\N{SNOWMAN}\ud800"]}, 10**30]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_spill_small_value_stays_in_the_frame(tmp_path, value):
    holder = wire.spill(value, str(tmp_path), "name")
    assert list(holder) == ["text"]
    assert wire.unspill(holder, str(tmp_path)) == value
    assert list(tmp_path.iterdir()) == []


def test_spill_large_value_goes_through_a_file_that_is_removed(tmp_path):
    value = ["\N{SNOWMAN}" * 10, "x" * wire.SPILL_BYTES]
    holder = wire.spill(value, str(tmp_path), "name")
    assert holder == {"file": "name"}
    assert os.listdir(tmp_path) == ["name"]
    assert wire.unspill(holder, str(tmp_path)) == value
    assert os.listdir(tmp_path) == []


def test_spill_does_not_write_through_a_link(tmp_path):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "name").symlink_to(tmp_path / "precious")
    wire.spill("x" * wire.SPILL_BYTES, str(tmp_path), "name")
    assert (tmp_path / "precious").read_text() == "kept"


def make_link(path):
    secret = path.with_name("secret")
    secret.write_text('"secret"')
    path.symlink_to(secret)


@pytest.mark.parametrize(
    "make",
    [make_link, os.mkfifo, os.mkdir, lambda path: path.write_text("{"), lambda path: None],
    ids=["link", "pipe", "folder", "damaged", "missing"],
)
def test_unspill_file_that_is_not_plain_json_is_refused(tmp_path, make):
    make(tmp_path / "name")
    with pytest.raises((ValueError, OSError)):
        wire.unspill({"file": "name"}, str(tmp_path))


@pytest.mark.parametrize(
    "holder", [{}, {"text": 5}, {"file": 5}, {"text": None, "file": None}], ids=str
)
def test_unspill_what_spill_never_returned_is_refused(tmp_path, holder):
    with pytest.raises(ValueError, match="neither a text nor the name of a file"):
        wire.unspill(holder, str(tmp_path))


def test_unspill_file_over_the_limit_is_not_read(tmp_path):
    path = tmp_path / "name"
    path.touch()
    os.truncate(path, 6 * 1024**3)
    with pytest.raises(ValueError, match="it is over 256 MiB"):
        wire.unspill({"file": "name"}, str(tmp_path))


def test_unspill_reads_only_in_its_folder(tmp_path):
    (tmp_path / "name").write_text('"outside"')
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(FileNotFoundError):
        wire.unspill({"file": "../name"}, str(inside))


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "1 2", "", "[1,]", "-Infinity"])
def test_from_json_what_is_not_strict_json_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011  (json's own words differ between Pythons)
        wire.from_json(text)
