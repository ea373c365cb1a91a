"""What goes wrong at this service alone; all else is in `stepline.testing.loopback`."""

from __future__ import annotations

from stepline.testing.kaggle.replies import status_reply
from stepline.testing.loopback.faults import Answer, OperationFault
from stepline.testing.loopback.messages import Reply, Request


class StatusError(OperationFault):
    """Answer with HTTP 200 and ``"status": "error"``, and do nothing.

    Args:
        operation: Of those that create, such as ``CreateDatasetVersion`` or ``SaveKernel``.
        message: The service's words.
        after: As in `OperationFault`.
        times: As in `OperationFault`.
    """

    def __init__(
        self, operation: str, message: str, *, after: int = 0, times: int | None = None
    ) -> None:
        super().__init__(operation, after=after, times=times)
        self.message = message

    def strike(self, request: Request, answer: Answer) -> Reply:
        """Return the error."""
        return status_reply("error", error=self.message)
