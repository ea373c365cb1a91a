"""Lines out of a stream of bytes."""

import pytest

from stepline_sdk.worker import capture
from stepline_sdk.worker.capture import LONGEST_LINE_BYTES, Log, Stream


@pytest.fixture
def clock(monkeypatch):
    """The times that the log will take, in turn; the last one stays."""
    times = [1.0]
    monkeypatch.setattr(capture.time, "time", lambda: times.pop(0) if len(times) > 1 else times[0])
    return times


def captured(*chunks, limit=None):
    """Feed chunks to a stream; return its log."""
    log = Log(limit)
    stream = Stream(-1, "out", log)
    for chunk in chunks:
        stream.feed(chunk)
    stream.finish()
    return log


def texts(log):
    return [(text, ended) for _, _, text, ended in log.lines]


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([b"a\nb\n"], ["a", "b"], id="lines"),
        pytest.param([b"a", b"b\nc", b"\n"], ["ab", "c"], id="pieces"),
        pytest.param([b"a\nb"], ["a", "b"], id="unfinished"),
        pytest.param([b"\n\n"], ["", ""], id="empty lines"),
        pytest.param([b"a\r\nb\rc\n"], ["a\r", "b\rc"], id="carriage returns"),
        pytest.param([b"caf\xc3", b"\xa9\n"], ["caf\u00e9"], id="character in pieces"),
        pytest.param([b"\xff\xfe\n"], ["\ufffd\ufffd"], id="not utf-8"),
        pytest.param([b"a\0b\n"], ["a\0b"], id="null"),
    ],
)
def test_stream_bytes_become_lines(chunks, lines):
    assert texts(captured(*chunks)) == [(line, True) for line in lines]


@pytest.mark.parametrize("character", ["x", "\u00e9", "\N{SNOWMAN}", "\N{SLICE OF PIZZA}"])
@pytest.mark.parametrize("shift", range(4))
def test_stream_long_line_is_cut_between_characters(character, shift):
    line = "a" * shift + character * (3 * LONGEST_LINE_BYTES)
    data = line.encode()
    log = captured(*(data[i : i + 60_000] for i in range(0, len(data), 60_000)), b"\nb\n")
    parts = texts(log)
    assert "".join(text for text, _ in parts[:-1]) == line
    assert [ended for _, ended in parts[:-1]] == [False] * (len(parts) - 2) + [True]
    assert parts[-1] == ("b", True)
    assert max(len(text.encode()) for text, _ in parts) <= LONGEST_LINE_BYTES


def test_stream_long_line_that_is_not_utf_8_is_cut_all_the_same():
    log = captured(b"\x80" * (2 * LONGEST_LINE_BYTES) + b"\n")
    assert sum(len(text) for text, _ in texts(log)) == 2 * LONGEST_LINE_BYTES


def test_stream_line_of_just_the_longest_length_is_whole():
    assert texts(captured(b"x" * LONGEST_LINE_BYTES + b"\n")) == [("x" * LONGEST_LINE_BYTES, True)]


@pytest.mark.parametrize(
    ("chunks", "limit", "kept", "dropped"),
    [
        pytest.param([b"aa\nbb\n"], 132, ["aa", "bb"], 0, id="fits"),
        pytest.param([b"aa\nbb\n"], 131, ["aa"], 3, id="one too many"),
        pytest.param([b"aaaa\nb\n"], 67, [], 7, id="nothing after the first that does not fit"),
        pytest.param([b"aa\n", b"b", b"bb\n", b"c"], 66, ["aa"], 5, id="in pieces"),
        pytest.param([b"aa\n"], 0, [], 3, id="no room at all"),
        pytest.param([b"\n" * 1000], 640, [""] * 10, 990, id="empty lines"),
    ],
)
def test_log_over_its_limit_counts_bytes(chunks, limit, kept, dropped):
    log = captured(*chunks, limit=limit)
    assert texts(log) == [(text, True) for text in kept]
    assert log.dropped == dropped


def test_log_notes_what_was_dropped():
    log = captured(b"aa\nbb\n", limit=66)
    log.note_dropped()
    assert log.lines[-1][1:] == ["err", "output over the limit: 3 bytes were dropped", True]


def test_log_that_dropped_nothing_notes_nothing():
    log = captured(b"aa\n", limit=66)
    log.note_dropped()
    assert len(log.lines) == 1


def test_log_take_forgets():
    log = captured(b"aa\n")
    assert len(log.take()) == 1
    assert log.take() == []


def test_log_times_never_go_backwards(clock):
    clock[:] = [5.0, 3.0, 7.0]
    log = captured(b"a\n", b"b\n", b"c\n")
    assert [line[0] for line in log.lines] == [5.0, 5.0, 7.0]


def test_log_limit_is_shared_by_streams():
    log = Log(132)
    out, err = Stream(-1, "out", log), Stream(-1, "err", log)
    out.feed(b"aa\n")
    err.feed(b"bb\n")
    out.feed(b"c\n")
    assert [line[1:3] for line in log.lines] == [["out", "aa"], ["err", "bb"]]
    assert log.dropped == 2
