"""What a test wants to go wrong.

A fault is called with each request and with the way to the proper answer. It may answer
itself and leave the state as it is (a refusal), let the answer happen and return another
one (an error after success, wrong bytes), or wait first. It runs outside the state's lock,
so a slow one holds up its own request alone. Faults are asked in order; the first is outermost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stepline.frozen import frozen
from stepline.testing.kaggle.answers import status_reply
from stepline.testing.kaggle.wire import Reply, Request

Answer = Callable[[Request], Reply]
Fault = Callable[[Request, Answer], Reply]


@frozen
class StatusError:
    """Answer one operation with HTTP 200 and ``"status": "error"``, and do nothing.

    Attributes:
        operation: ``CreateDataset`` or ``CreateDatasetVersion``.
        message: The service's words.
    """

    operation: str
    message: str

    def __call__(self, request: Request, answer: Answer) -> Reply:
        """Return the error for this operation, and the proper answer for all others."""
        if request.operation != self.operation:
            return answer(request)
        return status_reply("error", error=self.message)


def with_faults(answer: Answer, faults: Sequence[Fault]) -> Answer:
    """Return `answer` behind all `faults`."""
    for fault in reversed(faults):
        answer = _behind(fault, answer)
    return answer


def _behind(fault: Fault, answer: Answer) -> Answer:
    return lambda request: fault(request, answer)
