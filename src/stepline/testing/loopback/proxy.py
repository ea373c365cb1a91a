"""Faults in front of a real server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import httpx

from stepline.testing.loopback.faults import Fault
from stepline.testing.loopback.listener import MAX_BODY
from stepline.testing.loopback.messages import RefusedError, Reply, Request
from stepline.testing.loopback.standin import StandIn

# Headers that belong to one connection and not to the message.
_PER_CONNECTION = frozenset(
    "connection content-length expect keep-alive proxy-authenticate proxy-authorization "
    "proxy-connection te trailer transfer-encoding upgrade".split()
)

# What the listener says of itself.
_OWN = frozenset({"date", "server"})


class FaultProxy(StandIn):
    """Hands every request on to a real server, and goes wrong where a test asks for it.

    An operation is ``METHOD /path``, such as ``PUT /models/7``. The record holds all calls.

    Args:
        target: Address of the server, such as ``http://127.0.0.1:5000``.
        port: As in `StandIn`.
        faults: As in `StandIn`.
        record: As in `StandIn`.
        timeout: Seconds that the server may take for an answer.
        max_body: As in `StandIn`.
    """

    def __init__(
        self,
        target: str,
        *,
        port: int = 0,
        faults: Iterable[Fault] = (),
        record: Path | None = None,
        timeout: float = 120.0,
        max_body: int = MAX_BODY,
    ) -> None:
        super().__init__(port=port, faults=faults, record=record, max_body=max_body)
        self._target = target.rstrip("/")
        # Variables of the environment could lead the requests past the server.
        self._client = httpx.Client(trust_env=False, timeout=timeout)

    def __exit__(self, *details: object) -> None:
        super().__exit__(*details)
        self._client.close()

    def answer(self, request: Request) -> Reply:
        """Return the server's answer, its body as it came.

        Raises:
            RefusedError: 502; the server does not answer.
        """
        query = f"?{request.query}" if request.query else ""
        # No header is added, and the host's name stays as the client sent it: signatures
        # are made over them.
        sent = httpx.Request(
            request.method,
            f"{self._target}{request.path}{query}",
            headers=_without(_PER_CONNECTION, request.headers),
            content=request.data,
        )
        try:
            response = self._client.send(sent, stream=True)
            with contextlib.closing(response):
                data = b"".join(response.iter_raw())
        except httpx.HTTPError as error:
            raise RefusedError(502, f"no answer from {self._target}: {error}") from error
        headers = _without(_PER_CONNECTION | _OWN, response.headers)
        kept = _length(response.headers) if request.method == "HEAD" else {}
        return Reply(response.status_code, data, headers | kept)


def _without(names: frozenset[str], headers: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in headers.items() if name.lower() not in names}


def _length(headers: Mapping[str, str]) -> dict[str, str]:
    """Return what the answer to a HEAD says of the body that a GET would have."""
    length = headers.get("content-length")
    return {} if length is None else {"Content-Length": length}
