"""A sandbox that a worker runs in."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from stepline.plugins.executor_sandbox.cgroups import Cgroup
from stepline.workers.program import Program, Start

_GRACE_SECONDS = 10.0
_WORDS = 2000


class SandboxHost:
    """A worker's program in a sandbox.

    Args:
        command: What starts the sandbox.
        given: What the command finds at the descriptor `stepline.workers.program.GIVEN`.
        python: The worker's interpreter, for messages.
        cgroup: What is around it; None where there is no such thing.
        start: Chooses the thread with whose end the sandbox is to end.

    Raises:
        PlatformError: It cannot be started.
    """

    mark = ""

    def __init__(
        self,
        command: Sequence[str],
        *,
        given: bytes,
        python: str,
        cgroup: Cgroup | None,
        start: Start,
    ) -> None:
        self.python = python
        self._cgroup = cgroup
        self._left = ExitStack()
        self._said = os.memfd_create("worker's words")
        self.socket, there = socket.socketpair()
        try:
            with there, _file_of(given) as file:
                self._program = Program(
                    command if cgroup is None else cgroup.entered_by(command),
                    environ={"PATH": os.defpath},
                    output=f"/proc/{os.getpid()}/fd/{self._said}",
                    connection=there.fileno(),
                    given=file,
                    start=start,
                )
        except BaseException:
            self.socket.close()
            os.close(self._said)
            raise
        self._left.callback(os.close, self._said)

    def take(self, left: ExitStack) -> None:
        """Take over what is to be removed after the sandbox's end."""
        self._left.push(left)

    def ended(self, *, within_s: float) -> bool:
        """Wait for the sandbox's end for at most so long; tell whether it has come."""
        return self._program.ended(within_s=within_s)

    def kill(self) -> None:
        """End the sandbox by force.

        With its first process, all others end before the program that made it does.
        """
        self._program.kill(lambda pid: _children(pid) or [pid])

    def out_of_memory(self) -> bool:
        """Tell, after the end, whether somebody was ended for too little memory."""
        return self._cgroup is not None and self._cgroup.out_of_memory()

    def words(self) -> str:
        """Return the last that the sandbox or the worker said."""
        size = os.fstat(self._said).st_size
        said = os.pread(self._said, _WORDS, max(0, size - _WORDS))
        return said.decode(errors="replace").strip()

    def remove(self, cgroup: str | None) -> None:
        """Remove all that was there for the sandbox."""
        if not self._program.ended(within_s=_GRACE_SECONDS):
            self._program.kill()
        self._left.close()


def hold(root: Callable[[], Path]) -> tuple[Path, int]:
    """Return a root and a descriptor of it, with the lock that keeps it from being removed.

    Args:
        root: Returns the root, made anew if need be.

    Raises:
        PlatformError: It cannot be made.
    """
    while True:
        path = root()
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # removed by somebody since
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.stat(path), os.fstat(descriptor)):
                return path, descriptor
        os.close(descriptor)


@contextmanager
def _file_of(content: bytes) -> Iterator[int]:
    """Give a descriptor, not below 10, of a file in memory."""
    made = os.memfd_create("given")
    try:
        os.write(made, content)
        os.lseek(made, 0, os.SEEK_SET)
        given = fcntl.fcntl(made, fcntl.F_DUPFD_CLOEXEC, 10)
    finally:
        os.close(made)
    try:
        yield given
    finally:
        os.close(given)


def _children(pid: int) -> list[int]:
    try:
        told = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []  # an older kernel, or it has just ended
    return [int(child) for child in told.split()]
