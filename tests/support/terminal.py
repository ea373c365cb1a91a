"""Commands on a terminal of their own, as a person has them."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

TIMEOUT_SECONDS = 60.0
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Shown(NamedTuple):
    """What came of a command.

    Attributes:
        code: Exit code.
        raw: All that was written to the terminal, with its control sequences.
        text: The same without them.
    """

    code: int
    raw: str
    text: str


def run_on_terminal(
    command: Sequence[str],
    *,
    cwd: Path,
    environ: Mapping[str, str],
    answers: Sequence[tuple[str, str]] = (),
) -> Shown:
    """Run a command on a new terminal of 100 columns, to its end.

    Args:
        command: Words.
        cwd: Folder to run it in.
        environ: Its environment.
        answers: What is typed once some text was shown, in order.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env={**environ, "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        # Makes it the controlling terminal, which is where passwords are asked for.
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
    )
    os.close(theirs)
    try:
        raw = _talk(ours, list(answers))
        code = process.wait(TIMEOUT_SECONDS)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return Shown(code, raw, _CONTROL.sub("", raw))


def _talk(terminal: int, answers: list[tuple[str, str]]) -> str:
    seen = b""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        ready, _, _ = select.select([terminal], [], [], deadline - time.monotonic())
        assert ready, f"no end after {TIMEOUT_SECONDS} s: {seen!r}"
        try:
            chunk = os.read(terminal, 65536)
        except OSError as error:  # how Linux says that the other end is closed
            if error.errno != errno.EIO:
                raise
            chunk = b""
        if not chunk:
            return seen.decode(errors="replace")
        seen += chunk
        if answers and answers[0][0].encode() in seen:
            os.write(terminal, f"{answers.pop(0)[1]}\n".encode())
