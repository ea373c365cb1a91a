"""What a test wants to go wrong.

A fault is called with each request and with the way to the proper answer. It may answer
itself and leave the service as it is (a refusal), let the answer happen and return another
one (an error after success, wrong bytes), or wait first. It runs outside of all locks, so
a slow one holds up its own request alone. Faults are asked in order; the first is outermost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import overload

from stepline.testing.loopback.messages import CutError, Reply, Request, error_reply

Answer = Callable[[Request], Reply]
Fault = Callable[[Request, Answer], Reply]

LONGEST_HOLD = 60.0  # seconds


class OperationFault:
    """Base of faults that strike some requests and let the others pass.

    Args:
        operation: Pattern of the operations it strikes, such as ``PutBlob``, ``Create*`` or
            ``PUT /models/*``; upper and lower case differ.
        after: How many requests of these operations pass before it strikes.
        times: How often it strikes; None: from then on always.
    """

    def __init__(self, operation: str, *, after: int = 0, times: int | None = None) -> None:
        self.operation = operation
        self.after = after
        self.times = times
        self._seen = 0
        self._counting = threading.Lock()

    def __call__(self, request: Request, answer: Answer) -> Reply:
        """Strike, or return the proper answer."""
        return self.strike(request, answer) if self._is_due(request) else answer(request)

    def strike(self, request: Request, answer: Answer) -> Reply:
        """Return what goes wrong; subclasses say it.

        Raises:
            CutError: The connection ends without an answer.
        """
        raise NotImplementedError

    def cut_after(self, request: Request) -> int | None:
        """Return after how many bytes of its body a request is cut; None: it is not."""
        return None

    @property
    def struck(self) -> int:
        """Return how often it struck so far."""
        with self._counting:
            due = max(0, self._seen - self.after)
        return due if self.times is None else min(due, self.times)

    def _is_due(self, request: Request) -> bool:
        if not fnmatchcase(request.operation, self.operation):
            return False
        with self._counting:
            self._seen += 1
            due = self._seen - self.after
        return due > 0 and (self.times is None or due <= self.times)


class Refuse(OperationFault):
    """Answer with an HTTP error, and do nothing.

    Args:
        operation: As in `OperationFault`.
        status: HTTP status.
        message: The service's words.
        retry_after: Seconds, sent as ``Retry-After``.
        form: Makes the error of a status and a message; by default JSON.
        after: As in `OperationFault`.
        times: As in `OperationFault`.
    """

    def __init__(
        self,
        operation: str,
        status: int,
        message: str,
        *,
        retry_after: int | None = None,
        form: Callable[[int, str], Reply] = error_reply,
        after: int = 0,
        times: int | None = None,
    ) -> None:
        super().__init__(operation, after=after, times=times)
        reply = form(status, message)
        wait = {} if retry_after is None else {"Retry-After": str(retry_after)}
        self.reply = Reply(reply.status, reply.data, {**reply.headers, **wait})

    def strike(self, request: Request, answer: Answer) -> Reply:
        """Return the error."""
        return self.reply


class FailAfter(OperationFault):
    """Do what is asked for, then answer with an HTTP error.

    Args:
        operation: As in `OperationFault`.
        status: HTTP status.
        message: The service's words.
        form: Makes the error of a status and a message; by default JSON.
        after: As in `OperationFault`.
        times: As in `OperationFault`.
    """

    def __init__(
        self,
        operation: str,
        status: int = 500,
        message: str = "something went wrong on our side",
        *,
        form: Callable[[int, str], Reply] = error_reply,
        after: int = 0,
        times: int | None = None,
    ) -> None:
        super().__init__(operation, after=after, times=times)
        self.reply = form(status, message)

    def strike(self, request: Request, answer: Answer) -> Reply:
        """Return the error, once the proper answer is there."""
        answer(request)
        return self.reply


class Cut(OperationFault):
    """Cut the connection in the midst of the request's body, and do nothing.

    Args:
        operation: As in `OperationFault`.
        after_bytes: How much of the body is read; the whole of a shorter one.
        after: As in `OperationFault`.
        times: As in `OperationFault`.
    """

    def __init__(
        self, operation: str, after_bytes: int = 0, *, after: int = 0, times: int | None = None
    ) -> None:
        super().__init__(operation, after=after, times=times)
        self.after_bytes = after_bytes

    def __call__(self, request: Request, answer: Answer) -> Reply:
        """Return the proper answer: who got here was not cut."""
        return answer(request)

    def cut_after(self, request: Request) -> int | None:
        """Return `after_bytes` where it strikes."""
        return self.after_bytes if self._is_due(request) else None


class CutReply(OperationFault):
    """Do what is asked for, then cut the connection without an answer."""

    def strike(self, request: Request, answer: Answer) -> Reply:
        """Cut, once the proper answer is there."""
        answer(request)
        raise CutError


class Slow(OperationFault):
    """Wait, then do what is asked for.

    Args:
        operation: As in `OperationFault`.
        seconds: How long.
        after: As in `OperationFault`.
        times: As in `OperationFault`.
    """

    def __init__(
        self, operation: str, seconds: float, *, after: int = 0, times: int | None = None
    ) -> None:
        super().__init__(operation, after=after, times=times)
        self.seconds = seconds

    def strike(self, request: Request, answer: Answer) -> Reply:
        """Return the proper answer, later."""
        time.sleep(self.seconds)
        return answer(request)


class Hold(OperationFault):
    """Hold requests until the test releases them, a minute at most.

    A released request goes its way, also if its client is gone by then: so a test that
    ends a client at ``reached`` sees what an upload in flight leaves behind.

    Args:
        operation: As in `OperationFault`.
        before_effect: Whether to hold a request before it does anything, or its answer.
        after: As in `OperationFault`.
        times: As in `OperationFault`.

    Attributes:
        reached: Set as soon as a request is held.
    """

    def __init__(
        self,
        operation: str,
        *,
        before_effect: bool = True,
        after: int = 0,
        times: int | None = None,
    ) -> None:
        super().__init__(operation, after=after, times=times)
        self.before_effect = before_effect
        self.reached = threading.Event()
        self._released = threading.Event()
        self._held = 0
        self._changed = threading.Condition()

    def strike(self, request: Request, answer: Answer) -> Reply:
        """Return the proper answer once released."""
        with self._changed:
            self._held += 1
        try:
            if self.before_effect:
                self._wait()
            reply = answer(request)
            if not self.before_effect:
                self._wait()
            return reply
        finally:
            with self._changed:
                self._held -= 1
                self._changed.notify_all()

    def release(self) -> None:
        """Let go of what is held, and of all that comes; return when the effects are there."""
        self._released.set()
        with self._changed:
            self._changed.wait_for(lambda: self._held == 0, timeout=LONGEST_HOLD)

    def _wait(self) -> None:
        self.reached.set()
        self._released.wait(LONGEST_HOLD)


class WrongBytes(OperationFault):
    """Give the proper answer with one byte of its body changed."""

    def strike(self, request: Request, answer: Answer) -> Reply:
        """Return the answer with another byte in its middle; an empty one as it is."""
        reply = answer(request)
        data = bytearray(reply.data)
        if data:
            data[len(data) // 2] ^= 1
        return Reply(reply.status, bytes(data), reply.headers)


class FaultList(Sequence[Fault]):
    """Faults that may be added and removed while others read them.

    Args:
        faults: Those at the start.
    """

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._faults = tuple(faults)
        self._changing = threading.Lock()

    @overload
    def __getitem__(self, index: int) -> Fault: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Fault]: ...

    def __getitem__(self, index: int | slice) -> Fault | Sequence[Fault]:
        return self._faults[index]

    def __len__(self) -> int:
        return len(self._faults)

    def append(self, fault: Fault) -> None:
        """Add a fault, innermost."""
        with self._changing:
            self._faults = (*self._faults, fault)

    def remove(self, fault: Fault) -> None:
        """Remove a fault.

        Raises:
            ValueError: It is not there.
        """
        with self._changing:
            if not any(known is fault for known in self._faults):
                raise ValueError(f"{fault!r} is none of the faults")
            self._faults = tuple(known for known in self._faults if known is not fault)

    def clear(self) -> None:
        """Remove all faults."""
        with self._changing:
            self._faults = ()

    def before(self, answer: Answer) -> Answer:
        """Return `answer` behind all faults of this moment."""
        for fault in reversed(self._faults):
            answer = _behind(fault, answer)
        return answer

    def cut_after(self, request: Request) -> int | None:
        """Return after how many bytes of its body a request is cut; None: it is not."""
        for fault in self._faults:
            limit = fault.cut_after(request) if isinstance(fault, OperationFault) else None
            if limit is not None:
                return limit
        return None


def _behind(fault: Fault, answer: Answer) -> Answer:
    return lambda request: fault(request, answer)
