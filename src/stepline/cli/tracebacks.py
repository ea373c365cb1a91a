"""Tracebacks for people: the task script's own frames, and the exception."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

MOST_FRAME_LINES = 30
MOST_MESSAGE_LINES = 10
_LONGEST_LINE = 500
_FULL = "see --full"
# How the worker names the task script's files.
_OWN = re.compile(r'[ |]*File "func/')
_FRAME = re.compile(r'([ |]*)File "')


def shortened(text: str) -> list[str]:
    """Return the lines of a traceback that tell what went wrong.

    Frames of libraries are left out, and the first ones of many; so is the rest of a long
    message. Lines say how much that is.
    """
    found = list(_own_frames(text.split("\n")))
    end = max((at for at, (_, is_frame) in enumerate(found, 1) if is_frame), default=0)
    lines = [line for line, _ in found]
    frames, message = lines[:end], [line for line in lines[end:] if line]
    if len(frames) > MOST_FRAME_LINES:
        left_out = len(frames) - MOST_FRAME_LINES
        frames = [f"… {left_out} lines before; {_FULL}", *frames[left_out:]]
    return [_cut(line) for line in (*frames, *first_lines(message, MOST_MESSAGE_LINES))]


def first_lines(lines: Sequence[str], most: int) -> list[str]:
    """Return the first lines, and of many a line that says how many more there are."""
    if len(lines) <= most:
        return list(lines)
    return [*lines[:most], f"… {len(lines) - most} lines more; {_FULL}"]


def _own_frames(lines: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Yield lines, and whether they are of frames; frames elsewhere are counted instead."""
    depth, is_own, count = -1, True, 0
    for line in lines:
        indent = len(line) - len(line.lstrip(" |"))
        frame = _FRAME.match(line)
        if frame:
            depth, is_own = indent, _OWN.match(line) is not None
        elif depth >= 0 and not (indent > depth or line.lstrip(" |").startswith("[Previous line")):
            depth, is_own = -1, True
        if is_own and count:
            yield f"  … {_frames(count)} elsewhere; {_FULL}", True
            count = 0
        if is_own:
            yield line, depth >= 0
        elif frame:
            count += 1


def _frames(count: int) -> str:
    return f"{count} frame" + ("" if count == 1 else "s")


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…"
