"""The wire format between the platform and its workers.

A frame is a four-byte big-endian length and that many bytes of JSON, always an
object with a ``type``. Bulk bytes do not travel here: files go through the task's
scratch folder, and so do JSON values over `SPILL_BYTES`. A smaller value travels as
a text of JSON within the frame, which only its reader takes apart (`spill`).

Platform to worker:

======== ==============================================================
load     ``code`` (folder of the script), ``isolation``, ``modules`` (to
         import ahead of tasks), ``memory`` (how it is limited: None for
         the strongest way, or ``watch``), ``mark`` (names the worker's
         cgroup, which the platform removes after ``stop``; may be left out),
         ``temporary`` (folders of tasks alone, to be emptied after each;
         may be left out)
task     ``token, target, function, data, limits, scratch``; ``data`` holds
         ``input`` and ``context``
answer   ``token, n`` and ``value`` or ``error`` ({"type", "message"})
cancel   ``token``
stop     nothing more follows; the worker ends
======== ==============================================================

Worker to platform, all but ``ready`` with the ``token`` of the attempt:

======== ==============================================================
ready    ``pid, python, cgroup``: the worker has started; ``memory`` names
         what holds the limit: cgroup v1, cgroup v2, or watched
started  ``at``: user code begins, seconds since the epoch
log      ``lines``: list of [seconds, "out" or "err", text, ended]
call     ``n, method, params``: a call of the task's Context
outcome  ``kind`` and the other fields of an outcome; ``spent`` where the
         worker must have no other task
======== ==============================================================
"""

from __future__ import annotations

import _thread
import json
import os
import socket
import stat
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Frame = dict[str, Any]

MAX_FRAME_BYTES = 64 * 1024 * 1024
SPILL_BYTES = 64 * 1024
MAX_VALUE_BYTES = 256 * 1024 * 1024

_LENGTH = struct.Struct(">I")


def _refuse(name: str) -> None:
    raise ValueError("%s is not JSON" % name)


_TO_JSON = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_FROM_JSON = json.JSONDecoder(parse_constant=_refuse).raw_decode
_CHUNK = 64 * 1024


class WireError(Exception):
    """The other end sent what is not a frame, or went away in the middle of one."""


class StreamCut(WireError):
    """The other end went away in the middle of a frame."""


def encode(frame: Frame) -> bytes:
    """Return the bytes of one frame.

    Raises:
        WireError: The frame is over `MAX_FRAME_BYTES`.
        ValueError, TypeError, RecursionError: The frame is not strict JSON.
    """
    body = _TO_JSON(frame).encode("ascii")
    if len(body) > MAX_FRAME_BYTES:
        raise WireError("a frame of %d bytes is over the limit" % len(body))
    return _LENGTH.pack(len(body)) + body


class Connection:
    """One end of a stream socket that carries frames.

    Sending is safe from several threads; receiving belongs to one.

    Attributes:
        refused: Whether the other end went away without reading all that was sent.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.refused = False
        self._buffer = bytearray()
        self._sending = _thread.allocate_lock()

    def fileno(self) -> int:
        """Return the descriptor, for `select` and its kin."""
        return self._socket.fileno()

    def send(self, frame: Frame) -> None:
        """Send one frame, waiting until all of it is out.

        Raises:
            OSError: The other end is gone.
        """
        self.send_encoded(encode(frame))

    def send_encoded(self, data: bytes) -> None:
        """Send a frame that is encoded already, waiting until all of it is out.

        Raises:
            OSError: The other end is gone.
        """
        with self._sending:
            self._socket.sendall(data)

    def send_some(self, data: bytes | bytearray) -> int:
        """Send what goes out without waiting, of frames from `encode`; return how much.

        For an owner that never waits, and so never uses `send` in between.

        Raises:
            OSError: The other end is gone.
        """
        try:
            return self._socket.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        except OSError:
            self.refused = True
            raise

    def receive(self) -> Frame | None:
        """Wait for the next frame; None at the end of the stream.

        Raises:
            StreamCut: The stream ended within a frame.
            WireError: It is not of this format.
        """
        while True:
            frame = self._next_buffered()
            if frame is not None:
                return frame
            if not self._fill():
                return None

    def receive_available(self) -> tuple[list[Frame], bool]:
        """Read once, and return the complete frames and whether the stream goes on.

        Call it when the descriptor is readable; it does not wait then.

        Raises:
            WireError: As `receive` does.
        """
        alive = self._fill()
        return self.take_buffered(), alive

    def take_buffered(self) -> list[Frame]:
        """Return the complete frames that were read already; no descriptor tells of them.

        Raises:
            WireError: What was read is not of this format.
        """
        frames: list[Frame] = []
        while True:
            frame = self._next_buffered()
            if frame is None:
                return frames
            frames.append(frame)

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def _fill(self) -> bool:
        try:
            data = self._socket.recv(_CHUNK)
        except ConnectionResetError:
            self.refused = True
            data = b""
        if not data and self._buffer:
            raise StreamCut("the stream ended within a frame")
        self._buffer += data
        return bool(data)

    def _next_buffered(self) -> Frame | None:
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        if length > MAX_FRAME_BYTES:
            raise WireError("a frame of %d bytes is over the limit" % length)
        end = _LENGTH.size + length
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[_LENGTH.size : end])
        del self._buffer[:end]
        return _decode(body)


def _decode(body: bytes) -> Frame:
    try:
        frame = from_json(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise WireError("a frame cannot be read: %s" % error) from None
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise WireError("a frame is not an object with a type")
    return frame


def from_json(text: str) -> Any:
    """Return the value of a text of strict JSON without space around it.

    Raises:
        ValueError: It is not such a text.
        RecursionError: It is nested more deeply than this Python can take.
    """
    value, end = _FROM_JSON(text)
    if end != len(text):
        raise ValueError("something follows the JSON, at %d" % end)
    return value


def spill(value: object, folder: str, name: str) -> dict[str, str]:
    """Return ``{"text": JSON}``, or ``{"file": name}`` after writing a large value.

    Args:
        value: Any JSON value.
        folder: Scratch folder that both ends see.
        name: File name to use in it.

    Raises:
        ValueError, TypeError, RecursionError: The value is not strict JSON.
        OSError: The file cannot be written.
    """
    text = _TO_JSON(value)
    if len(text) <= SPILL_BYTES:
        return {"text": text}
    path = os.path.join(folder, name)
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    with open(path, "x", encoding="ascii") as file:
        file.write(text)
        os.fchmod(file.fileno(), 0o644)  # the other end may be another user; the folder is theirs
    return {"file": name}


def unspill(holder: dict[str, Any], folder: str) -> Any:
    """Return the value of what `spill` returned; its file is removed.

    The other end may be no friend: a file that is a link, a pipe or the like is not
    opened, and no more is read than `MAX_VALUE_BYTES`.

    Raises:
        ValueError: It is not JSON, too large, not a plain file, or not of `spill`.
        RecursionError: It is nested more deeply than this Python can take.
        OSError: The file cannot be read.
    """
    text, name = holder.get("text"), holder.get("file")
    if isinstance(text, str):
        return from_json(text)
    if not isinstance(name, str):
        raise ValueError("there is neither a text nor the name of a file")
    path = os.path.join(folder, os.path.basename(name))
    value = from_json(_read_value(path))
    os.unlink(path)
    return value


def _read_value(path: str) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("%s is not a plain file" % path)
        if found.st_size > MAX_VALUE_BYTES:
            raise ValueError("it is over %g MiB" % (MAX_VALUE_BYTES / 1024 / 1024))
        return file.read(found.st_size).decode("utf-8")
