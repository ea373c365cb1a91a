"""What every request passes before and after the routes: access, limits, and faults.

This is plain ASGI, so that nothing is read of a body before it is known who sends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import traceback
import uuid
from collections.abc import Callable, Mapping

from starlette.datastructures import Headers, QueryParams
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stepline.app.masking import process_masker
from stepline.errors import SteplineError
from stepline.server.access import Access, Asked, Verdict
from stepline.server.faults import (
    Refused,
    body_of,
    body_of_error,
    encoded,
    headers_of,
    status_of,
)
from stepline.server.streams import in_thread

MB = 1_000_000
JSON_BYTES = 10 * MB
ARCHIVE_BYTES = 50 * 1024 * 1024
STALLED_S = 60.0
_DRAINED_BYTES = 64 * 1024 * 1024
_DRAINED_S = 5.0

# Bodies that are no JSON: method, path, and most bytes; None for any number.
_RAW: tuple[tuple[str, re.Pattern[str], int | None], ...] = (
    ("POST", re.compile(r"/v1/files"), None),
    ("PATCH", re.compile(r"/v1/uploads/[^/]+"), None),
    ("POST", re.compile(r"/v1/artifact/.+"), ARCHIVE_BYTES),
    ("PUT", re.compile(r"/v1/pipelines"), JSON_BYTES),
)

_VERDICTS = {
    Verdict.NO_TOKEN: (401, "a token is missing: send it in ts-auth-token"),
    Verdict.WRONG_TOKEN: (401, "the token is not known"),
    Verdict.WRONG_ORG: (403, "x-org-slug names another organisation than that of the service"),
    Verdict.BAD_LINK: (403, "the link is not valid, or not any more"),
}


class Border:
    """Lets a request in, and turns whatever goes wrong into an answer.

    Args:
        app: The routes.
        access: Decides who may do what.
        org: Organisation of the service.
        report: Takes a line about a fault of the service.
    """

    def __init__(
        self, app: ASGIApp, *, access: Access, org: str, report: Callable[[str], None]
    ) -> None:
        self._app = app
        self._access = access
        self._org = org
        self._report = report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = re.sub("/{2,}", "/", scope["path"])
        scope = {**scope, "path": path, "raw_path": path.encode("utf-8", "replace")}
        exchange = Exchange(scope, receive, send)
        try:
            await self._let_in(scope)
            exchange.limit()
            await self._app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            return  # nobody is there to be answered
        except Refused as refused:
            body = encoded(body_of(refused.status_code, refused.detail))
            await exchange.answer(refused.status_code, body, headers=refused.headers)
        except SteplineError as error:
            await self._answer_error(exchange, scope, error)
        except Exception as error:
            await self._answer_fault(exchange, scope, error)

    async def _let_in(self, scope: Scope) -> None:
        query = dict(QueryParams(scope["query_string"]))
        asked = Asked(
            method=scope["method"],
            path=scope["path"],
            query=query,
            headers=dict(Headers(scope=scope)),
        )
        verdict = await in_thread(lambda: self._access.decide(asked, org=self._org))
        if verdict is not Verdict.ALLOWED:
            status, message = _VERDICTS[verdict]
            raise Refused(status, message)

    async def _answer_error(self, exchange: Exchange, scope: Scope, error: SteplineError) -> None:
        status = status_of(error)
        if status is None:
            await self._answer_fault(exchange, scope, error)
            return
        body = encoded(body_of_error(error, status))
        await exchange.answer(status, body, headers=headers_of(error))

    async def _answer_fault(self, exchange: Exchange, scope: Scope, error: Exception) -> None:
        """Say nothing of a fault but its number; the report has the rest."""
        number = uuid.uuid4().hex[:12]
        text = process_masker().text("".join(traceback.format_exception(error)))
        self._report(f"fault {number} at {scope['method']} {scope['path']}: {text}")
        message = f"the service has a fault; its log has it under the number {number}"
        await exchange.answer(500, encoded(body_of(500, message)))


class Exchange:
    """One request's body on its way in, and the answer on its way out.

    Args:
        scope: The request.
        receive: Gives its body.
        send: Takes the answer.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._headers = Headers(scope=scope)
        self._most: int | None = JSON_BYTES
        self._got = 0
        self._whole = False
        self._begun = False

    def limit(self) -> None:
        """Find out how long the body may be, and refuse what says that it is longer.

        Raises:
            Refused: It is too long, or should be JSON and is not.
        """
        raw = [
            most
            for method, path, most in _RAW
            if method == self._scope["method"] and path.fullmatch(self._scope["path"])
        ]
        self._most = raw[0] if raw else JSON_BYTES
        length = self._headers.get("content-length", "0")
        if self._most is not None and length.isdigit() and int(length) > self._most:
            raise self._too_long()
        if not raw and (length != "0" or "transfer-encoding" in self._headers):
            _check_json(self._headers.get("content-type", ""))

    async def receive(self) -> Message:
        """Give the next part of the body.

        Raises:
            Refused: The body is too long, or does not go on.
        """
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout(STALLED_S):
                message = await self._receive()
        except TimeoutError:
            raise Refused(408, f"nothing of the body came for {STALLED_S:g} s") from None
        self._note(message)
        if self._most is not None and self._got > self._most:
            raise self._too_long()
        return message

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on."""
        self._begun = True
        if message["type"] == "http.response.body" and not message.get("more_body"):
            await self._drain()
        await self._send(message)

    async def answer(
        self, status: int, body: bytes, *, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a whole answer, unless one was begun: then the connection breaks.

        Raises:
            ConnectionAbortedError: An answer was begun.
        """
        if self._begun:
            raise ConnectionAbortedError("the answer cannot be finished")
        fields = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            **(headers or {}),
        }
        raw = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        content = b"" if self._scope["method"] == "HEAD" else body
        await self.send({"type": "http.response.body", "body": content})

    async def _drain(self) -> None:
        """Take in what the client still sends, so that it comes to read the answer."""
        length = self._headers.get("content-length", "0")
        if self._whole or (length == "0" and "transfer-encoding" not in self._headers):
            return
        if self._got == 0 and "expect" in self._headers:
            return  # the client waits for leave to send
        most = self._got + _DRAINED_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAINED_S):
                while await self._take_in() < most:
                    pass

    async def _take_in(self) -> float:
        """Drop the next part; return how many bytes came so far, infinity behind the last."""
        self._note(await self._receive())
        return math.inf if self._whole else self._got

    def _note(self, message: Message) -> None:
        self._got += len(message.get("body", b""))
        self._whole = message["type"] != "http.request" or not message.get("more_body")

    def _too_long(self) -> Refused:
        return Refused(413, f"the body is too long: at most {self._most:,} bytes are taken here")


def _check_json(content_type: str) -> None:
    kind = content_type.partition(";")[0].strip().lower()
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise Refused(415, f"the body must be application/json, not {kind}")
