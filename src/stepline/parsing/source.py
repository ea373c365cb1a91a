"""Bytes of a file to text, within bounds, and places in that text."""

from __future__ import annotations

from stepline.errors import Location, Problem

MAX_BYTES = 1024 * 1024
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_BOM = "\ufeff"
_SAVE_HINT = "save the file as UTF-8"


def too_large(path: str, size: int) -> Problem | None:
    """Return the problem of a file of `size` bytes that is too large to be read."""
    if size <= MAX_BYTES:
        return None
    limit = MAX_BYTES // (1024 * 1024)
    message = f"the file has {size:,} bytes; at most {limit} MiB are read"
    hint = "put data into files of their own and read them from a task script"
    return Problem("file-too-large", message, Location(path, 1, 1), hint)


def decode_source(data: bytes, *, path: str) -> tuple[str, Problem | None]:
    """Decode a file's bytes.

    Returns:
        The text without byte order mark, and the problem that forbids to use it.
    """
    problem = too_large(path, len(data))
    if problem is not None:
        return "", problem
    if data.startswith(_UTF16_MARKS):
        message = "the file is UTF-16, not UTF-8"
        return "", Problem("not-utf8", message, Location(path, 1, 1), _SAVE_HINT)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = place(data[: error.start].decode("utf-8"), error.start)
        message = f"byte 0x{data[error.start]:02x} is not valid UTF-8"
        return "", Problem("not-utf8", message, Location(path, line, column), _SAVE_HINT)
    return text.removeprefix(_BOM), unreadable(text, path=path)


def unreadable(text: str, *, path: str) -> Problem | None:
    """Return the problem of text that no document may hold: NUL, or half a character."""
    found, what = text.find("\0"), "a NUL character"
    if found < 0:
        found, what = first_surrogate(text), "half of a surrogate pair"
    if found < 0:
        return None
    line, column = place(text, found)
    hint = "is this a text file?"
    return Problem("not-text", f"the file holds {what}", Location(path, line, column), hint)


def lines_of(text: str) -> list[str]:
    """Return a text's lines without their ends, which are the ends that places count."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def place(text: str, offset: int) -> tuple[int, int]:
    """Return line and column, from 1, of an offset in characters."""
    before = text[:offset].replace("\r\n", "\n").replace("\r", "\n")
    start = before.rfind("\n") + 1
    return before.count("\n") + 1, len(before) - start + 1


def first_surrogate(text: str) -> int:
    """Return the offset of the first half of a surrogate pair, -1 if there is none."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return error.start
    return -1
