"""Terminals of containers, connected to one of this machine's."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_BLOCK = 64 * 1024
Resize = Callable[[int, int], None]
"""Takes height and width of a terminal, in characters."""


def connect(channel: socket.socket, *, keyboard: int, screen: int, resize: Resize) -> None:
    """Pass on what is typed and what is shown, until the container's end.

    Args:
        channel: The container's terminal.
        keyboard: Descriptor of a terminal to read from; raw meanwhile.
        screen: Descriptor to write to.
        resize: Tells the container how large the terminal is.
    """
    with _raw(keyboard), _resized(resize):
        watched = [channel.fileno(), keyboard]
        while True:
            ready, _, _ = select.select(watched, [], [])
            if channel.fileno() in ready and not _show(channel, screen):
                return
            if keyboard in ready and not _type(channel, keyboard):
                watched.remove(keyboard)


def _show(channel: socket.socket, screen: int) -> bool:
    """Pass on what is shown; return whether there may be more."""
    shown = channel.recv(_BLOCK)
    _write(screen, shown)
    return bool(shown)


def _type(channel: socket.socket, keyboard: int) -> bool:
    """Pass on what is typed; return whether there may be more."""
    typed = os.read(keyboard, _BLOCK)
    if typed:
        channel.sendall(typed)
    else:
        channel.shutdown(socket.SHUT_WR)
    return bool(typed)


def _write(screen: int, shown: bytes) -> None:
    while shown:
        shown = shown[os.write(screen, shown) :]


@contextmanager
def _raw(keyboard: int) -> Iterator[None]:
    """Have each key passed on as it is, Ctrl-C too."""
    if not os.isatty(keyboard):
        yield
        return
    before = termios.tcgetattr(keyboard)
    tty.setraw(keyboard)
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


@contextmanager
def _resized(resize: Resize) -> Iterator[None]:
    """Pass on the size of the terminal, now and whenever it changes."""

    def tell(number: int = 0, frame: FrameType | None = None) -> None:
        size = shutil.get_terminal_size()
        resize(size.lines, size.columns)

    tell()
    before = signal.signal(signal.SIGWINCH, tell)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
