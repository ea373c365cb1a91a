"""What a worker runs in: a process of this machine, a sandbox, a container."""

from __future__ import annotations

import socket
from typing import Protocol


class WorkerHost(Protocol):
    """One started worker program, as the platform's end of it needs it.

    Attributes:
        socket: Connected to the worker; owned by the `Worker`.
        python: Its interpreter, for messages.
        mark: What tells this worker's cgroup from all others.
    """

    socket: socket.socket
    python: str
    mark: str

    def ended(self, *, within_s: float) -> bool:
        """Wait for the program's end for at most so long; tell whether it has come."""

    def kill(self) -> None:
        """End the program by force; from any thread, also when it has ended."""

    def out_of_memory(self) -> bool:
        """Tell, after the program's end, whether it was ended for too little memory."""

    def words(self) -> str:
        """Return the last that the program said."""

    def remove(self, cgroup: str | None) -> None:
        """Remove what the program could not, after its end.

        Args:
            cgroup: The cgroup that the worker made, if it said so.
        """
