"""The one module that crosses between asynchronous bodies and synchronous use cases.

No thread waits for a slow client: bytes are collected here and handed over a mebibyte at
a time, and what is sent is read a piece at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

T = TypeVar("T")

PIECE_BYTES = 1024 * 1024


async def in_thread(act: Callable[[], T]) -> T:
    """Do something that may block in a thread."""
    return await run_in_threadpool(act)


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """Give a request's body in pieces of about a mebibyte.

    Raises:
        ClientDisconnect: The client went away; all that it sent was given before.
    """
    collected = bytearray()
    try:
        async for chunk in request.stream():
            collected += chunk
            if len(collected) >= PIECE_BYTES:
                yield bytes(collected)
                collected.clear()
    except ClientDisconnect:
        if collected:
            yield bytes(collected)
        raise
    if collected:
        yield bytes(collected)


async def text_of(request: Request) -> bytes:
    """Return a whole body, which the limit for all bodies keeps small."""
    return await request.body()


async def to_file(request: Request, path: Path) -> None:
    """Write a request's body to a new file."""
    with path.open("xb", buffering=0) as file:
        async for piece in pieces(request):
            await in_thread(lambda piece=piece: _write_all(file, piece))  # type: ignore[misc]


async def items_of(items: Iterator[T], *, beat_s: float) -> AsyncGenerator[T | None]:
    """Give what an iterator gives, made in a thread; None now and then while nothing comes.

    Args:
        items: Closed at the end, also if nobody wants the rest.
        beat_s: Seconds after which None is given.
    """
    following: asyncio.Future[T | None] | None = None
    try:
        while True:
            following = asyncio.ensure_future(in_thread(lambda: next(items, None)))
            while not (await asyncio.wait({following}, timeout=beat_s))[0]:
                yield None
            found = following.result()
            if found is None:
                return
            yield found
    finally:
        _close_after(following, items)


def _close_after(following: asyncio.Future[Any] | None, items: Iterator[Any]) -> None:
    """Close an iterator, which no thread may be within, when its next item is made."""
    if not isinstance(items, Generator):
        return

    def close(done: asyncio.Future[Any]) -> None:
        done.exception()  # nobody is there to be told
        items.close()

    if following is None or following.done():
        items.close()
    else:
        following.add_done_callback(close)


def _write_all(file: RawIOBase, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) or 0 :]


async def from_file(file: BinaryIO, *, count: int) -> AsyncIterator[bytes]:
    """Give so many bytes of an open file, and close it at the end."""
    left = count
    try:
        while left > 0:
            size = min(left, PIECE_BYTES)
            chunk = await in_thread(lambda size=size: file.read(size))  # type: ignore[misc]
            if not chunk:
                raise EOFError("the file is shorter than it was")
            left -= len(chunk)
            yield chunk
    finally:
        file.close()
