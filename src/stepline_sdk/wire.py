"""The wire format between the platform and its workers.

A frame is a four-byte big-endian length and that many bytes of JSON, always an
object with a ``type``. Bulk bytes do not travel here: files, and JSON values over
`SPILL_BYTES`, go through the task's scratch folder and are named in the frame.

Platform to worker:

======== ==============================================================
load     ``code`` (folder of the script), ``modules`` (to import now)
task     ``id, token, target, input, context, limits, isolation, scratch, allowed``
answer   ``id, n`` and ``value`` or ``error`` ({"type", "message"})
cancel   ``id``
stop     nothing more follows; the worker ends
======== ==============================================================

Worker to platform:

======== ==============================================================
ready    ``pid, python``
started  ``id, at``: user code begins, seconds since the epoch
log      ``id, lines``: list of [seconds, "out" or "err", text, ended]
call     ``id, token, n, method, params``: a call of the task's Context
outcome  ``id, kind`` and the other fields of an outcome
======== ==============================================================
"""

from __future__ import annotations

import json
import os
import socket
import struct
import threading

MAX_FRAME_BYTES = 64 * 1024 * 1024
SPILL_BYTES = 256 * 1024

_LENGTH = struct.Struct(">I")
_CHUNK = 256 * 1024


class WireError(Exception):
    """The other end sent what is not a frame, or went away in the middle of one."""


def encode(frame: dict) -> bytes:
    """Return the bytes of one frame.

    Raises:
        WireError: The frame is over `MAX_FRAME_BYTES`.
        ValueError, TypeError: The frame is not strict JSON.
    """
    body = json.dumps(frame, allow_nan=False, separators=(",", ":")).encode("utf-8")
    if len(body) > MAX_FRAME_BYTES:
        raise WireError("a frame of %d bytes is over the limit" % len(body))
    return _LENGTH.pack(len(body)) + body


class Connection:
    """One end of a stream socket that carries frames.

    Sending is safe from several threads; receiving belongs to one.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = bytearray()
        self._sending = threading.Lock()

    def fileno(self) -> int:
        """Return the descriptor, for `select` and its kin."""
        return self._socket.fileno()

    def send(self, frame: dict) -> None:
        """Send one frame, waiting until all of it is out.

        Raises:
            OSError: The other end is gone.
        """
        data = encode(frame)
        with self._sending:
            self._socket.sendall(data)

    def receive(self) -> dict | None:
        """Wait for the next frame; None at the end of the stream.

        Raises:
            WireError: The stream ended within a frame, or is not of this format.
        """
        while True:
            frame = self._next_buffered()
            if frame is not None:
                return frame
            if not self._fill():
                return None

    def receive_available(self) -> tuple[list, bool]:
        """Read once, and return the complete frames and whether the stream goes on.

        Call it when the descriptor is readable; it does not wait then.
        """
        alive = self._fill()
        frames = []
        while True:
            frame = self._next_buffered()
            if frame is None:
                return frames, alive
            frames.append(frame)

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def _fill(self) -> bool:
        try:
            data = self._socket.recv(_CHUNK)
        except ConnectionResetError:
            data = b""
        if not data and self._buffer:
            raise WireError("the stream ended within a frame")
        self._buffer += data
        return bool(data)

    def _next_buffered(self) -> dict | None:
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
        frame = json.loads(body.decode("utf-8"))
        if not isinstance(frame, dict):
            raise WireError("a frame is not an object")
        return frame


def spill(value: object, folder: str, name: str) -> dict:
    """Return ``{"value": value}``, or ``{"file": name}`` after writing a large one.

    Args:
        value: Any JSON value.
        folder: Scratch folder that both ends see.
        name: File name to use in it.

    Raises:
        ValueError, TypeError: The value is not strict JSON.
    """
    text = json.dumps(value, allow_nan=False)
    if len(text) <= SPILL_BYTES:
        return {"value": value}
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(text)
    return {"file": name}


def unspill(holder: dict, folder: str) -> object:
    """Return the value of what `spill` returned; its file is removed."""
    if "file" not in holder:
        return holder.get("value")
    path = os.path.join(folder, os.path.basename(holder["file"]))
    with open(path, encoding="utf-8") as file:
        value = json.load(file)
    os.unlink(path)
    return value
