"""Listening at a port, and serving until told to stop."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import uvicorn

from stepline.errors import PlatformError

_BACKLOG = 128
_GRACE_S = 10
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; clients wait until somebody serves.

    Args:
        host: Name or address.
        port: Port; 0 for a free one.

    Raises:
        PlatformError: There is no such address here, or the port is in use.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise PlatformError(
            f"nothing can listen at {host}:{port}: {error.strerror or error}",
            hint="choose another --port or --host, or stop what listens there",
        ) from error
    # Inherited by connections: without it, each short answer waits 40 ms for the client's
    # acknowledgement of its headers.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def url_of(listening: socket.socket) -> str:
    """Return the address of what a socket listens at."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    app: Any,
    listening: socket.socket,
    *,
    ready: Callable[[], None],
    stop: threading.Event | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, which must find this in the main thread, or ``stop``.

    Requests that are under way are finished first, for at most 10 seconds.

    Args:
        app: What `make_app` made.
        listening: What `listen` returned.
        ready: Called when the first request can be answered.
        stop: Set to stop.
    """
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    _Server(config, ready=ready, stop=stop or threading.Event()).run(sockets=[listening])


class _Server(uvicorn.Server):
    """A server that tells when it is ready, and does not pass signals on."""

    def __init__(
        self, config: uvicorn.Config, *, ready: Callable[[], None], stop: threading.Event
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._stop = stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def on_tick(self, counter: int) -> bool:
        ends = await super().on_tick(counter)
        return ends or self._stop.is_set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.app.state.stopping.set()  # type: ignore[union-attr]  # make_app's
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at a signal, and leave it at that: the caller has things to finish."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._end) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit and number == signal.SIGINT
        self.should_exit = True
