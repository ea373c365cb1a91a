"""Answers that come in lines, a JSON object each, from a service that works meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from stepline.cli.client import RUNNING_HINT, Client
from stepline.cli.display import printable
from stepline.cli.session import Plain
from stepline.errors import PlatformError


def lines_of(client: Client, path: str, *, body: Any) -> Iterator[Plain]:
    """Ask for work, and yield the lines of the answer; the last one has ``done``.

    Raises:
        Answered: The service refused it.
        PlatformError: The service cannot be reached, failed, or broke off.
    """
    with client.stream(path, method="POST", body=body) as response:
        for text in response.iter_lines():
            line = _line(text)
            if "kind" not in line and "error" in line:
                raise failure(str(line["error"]))
            if line:
                yield line
            if line.get("done"):
                return
    raise PlatformError("the service broke off", hint=RUNNING_HINT, retryable=True)


def failure(said: str) -> PlatformError:
    """Return what a service said went wrong, with the hint that stands at its end."""
    what, _, hint = said.partition(". Hint: ")
    return PlatformError(printable(what), hint=printable(hint), retryable=True)


def _line(text: str) -> Plain:
    try:
        line = json.loads(text)
    except ValueError as error:
        raise PlatformError("what answers is no Stepline service") from error
    return line if isinstance(line, dict) else {}
