"""How a call of a task's Context is refused."""

from __future__ import annotations

from stepline.errors import TaskError


class CallRefused(TaskError):
    """A call is not allowed, or makes no sense.

    Args:
        kind: Name of the exception that the task script is to see, such as ``ValueError``.
        message: What is wrong, in words for the author of the task script.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def refuse_if(problem: str, *, kind: str = "ValueError") -> None:
    """Refuse the call if there is a problem."""
    if problem:
        raise CallRefused(kind, problem)
