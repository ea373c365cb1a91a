"""Listening to several ends at once, and sending to them without waiting."""

from __future__ import annotations

import select

from stepline_sdk import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Iterable

    from stepline_sdk.wire import Connection, Frame

    Handler = Callable[[], bool]


class Outbox:
    """Frames on their way to an end that may be slow.

    Args:
        connection: Where they go.
        watch_room: Is told whether to `flush` again when there is room.
    """

    def __init__(self, connection: Connection, watch_room: Callable[[bool], None]) -> None:
        self._connection = connection
        self._watch_room = watch_room
        self._data = bytearray()
        self._watched = False

    @property
    def size(self) -> int:
        """Bytes that have not gone out yet."""
        return len(self._data)

    def put(self, frame: Frame) -> None:
        """Add a frame, to go with the next `flush`."""
        self._data += wire.encode(frame)

    def flush(self) -> None:
        """Send what goes out at once; the rest follows when there is room.

        Nothing is left for an end that is gone: who reads from it finds that out.
        """
        try:
            while self._data:
                sent = self._connection.send_some(self._data)
                if not sent:
                    break
                del self._data[:sent]
        except OSError:
            self._data.clear()
        if bool(self._data) != self._watched:
            self._watched = bool(self._data)
            self._watch_room(self._watched)


class Lines:
    """What one attempt listens to, and what it has to send."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._handlers: dict[int, Handler] = {}
        self._outboxes: dict[int, Outbox] = {}
        self._paused: set[int] = set()

    def listen(self, fd: int, handler: Handler) -> None:
        """Call ``handler`` when there is something to read, until it returns False."""
        self._handlers[fd] = handler
        self._poll.register(fd, select.POLLIN)

    def outbox(self, connection: Connection) -> Outbox:
        """Return a way to send on a connection that is listened to."""
        fd = connection.fileno()

        def watch_room(wanted: bool) -> None:
            if fd in self._handlers and fd not in self._paused:
                self._poll.modify(fd, select.POLLIN | (select.POLLOUT if wanted else 0))

        self._outboxes[fd] = Outbox(connection, watch_room)
        return self._outboxes[fd]

    def wait(self, timeout_ms: int | None) -> None:
        """Wait for something to happen, and handle it."""
        for fd, events in self._poll.poll(timeout_ms):
            if fd in self._paused:
                continue  # since this very round
            if events & select.POLLOUT:
                self._outboxes[fd].flush()
            if events & ~select.POLLOUT and fd in self._handlers and not self._handlers[fd]():
                self._forget(fd)

    def pause(self, fds: Iterable[int]) -> None:
        """Leave some unread, and what they have to get unsent, for now."""
        for fd in self._handlers.keys() & set(fds) - self._paused:
            self._poll.unregister(fd)
            self._paused.add(fd)

    def resume(self) -> None:
        """Read, and send, again what was paused."""
        for fd in self._paused:
            unsent = fd in self._outboxes and self._outboxes[fd].size
            self._poll.register(fd, select.POLLIN | (select.POLLOUT if unsent else 0))
        self._paused.clear()

    def _forget(self, fd: int) -> None:
        del self._handlers[fd]
        if fd not in self._paused:  # the handler itself may have paused it
            self._poll.unregister(fd)
        self._paused.discard(fd)
