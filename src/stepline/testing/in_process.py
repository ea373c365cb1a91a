"""A Context and the platform in one process, as the test kit runs them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stepline.app.call_errors import CallRefused
from stepline.app.task_context import TaskContextService
from stepline_sdk.errors import CallError


class InProcessChannel:
    """Hands a Context's calls straight to the platform.

    Parameters and answers pass through JSON, so that neither end can change what the
    other holds, and what could not travel fails here too.

    Args:
        service: The platform's end.
    """

    def __init__(self, service: TaskContextService) -> None:
        self._service = service

    def call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Do one call and return its answer.

        Raises:
            CallError: The platform refused it.
        """
        try:
            answer = self._service.handle(method, _plain(params))
        except CallRefused as refusal:
            raise CallError(refusal.kind, refusal.message) from refusal
        return _plain(answer)


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, allow_nan=False))
