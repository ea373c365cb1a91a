"""The base of all stand-ins: serving, faults and the record of calls."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from stepline.frozen import frozen
from stepline.testing.loopback.faults import Fault, FaultList
from stepline.testing.loopback.listener import ELSEWHERE, MAX_BODY, Listener
from stepline.testing.loopback.messages import (
    CutError,
    RefusedError,
    Reply,
    Request,
    error_reply,
)


@frozen
class Call:
    """One request that was answered, or cut.

    Attributes:
        number: Place in the order of answers, from 1.
        operation: Name of what was asked for, as faults call it.
        method: HTTP method.
        path: Path as sent, without host and query.
        user: User name of the credentials, None if there was none. Keys and tokens are
            never kept.
        status: HTTP status of the answer; None where the connection was cut instead.
    """

    number: int
    operation: str
    method: str
    path: str
    user: str | None
    status: int | None


class StandIn:
    """A service on a loopback port, serving while the ``with`` block lasts.

    A stand-in of one's own is a subclass with an `answer`; most have a `name` too. Both are
    called from several threads: what the service remembers is changed under `lock`.

    Args:
        port: TCP port on 127.0.0.1; 0 takes a free one.
        faults: What goes wrong, see `stepline.testing.loopback.faults`; more may be added
            and removed while it serves.
        record: Folder that gets ``record.json``, up to date before each answer leaves.
        max_body: Largest body taken, in bytes.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        faults: Iterable[Fault] = (),
        record: Path | None = None,
        max_body: int = MAX_BODY,
    ) -> None:
        self.faults = FaultList(faults)
        self.lock = threading.RLock()
        self._calls: list[Call] = []
        self._record = record
        self._listener = Listener(port, _Served(self), max_body=max_body)
        self._thread = threading.Thread(
            target=self._listener.serve_forever,
            kwargs={"poll_interval": 0.05},
            name=type(self).__name__,
            daemon=True,
        )

    def __enter__(self) -> Self:
        with self.lock:
            self._save()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()

    def name(self, request: Request) -> str:
        """Return the operation of a request, whose body was not read yet."""
        return f"{request.method} {request.path}"

    def read(self, request: Request) -> Request:
        """Return a whole request in the form that faults and `answer` get; as it is.

        Raises:
            RefusedError: It cannot be understood.
        """
        return request

    def answer(self, request: Request) -> Reply:
        """Return the proper answer.

        Raises:
            RefusedError: The service refuses.
        """
        raise NotImplementedError

    def user(self, request: Request) -> str | None:
        """Return the user name of the credentials; of basic authentication."""
        return request.credentials[0]

    def call(self, request: Request, *, number: int, status: int | None) -> Call:
        """Return the record of a call."""
        return Call(
            number=number,
            operation=request.operation,
            method=request.method,
            path=request.path,
            user=self.user(request),
            status=status,
        )

    def to_plain(self) -> dict[str, Any]:
        """Return what ``record.json`` holds."""
        with self.lock:
            return {"url": self.url, "calls": [asdict(call) for call in self._calls]}

    def save_more(self, folder: Path) -> None:
        """Write more than ``record.json`` to the folder of the record; called under `lock`."""

    @property
    def port(self) -> int:
        """Return the TCP port."""
        return self._listener.server_port

    @property
    def url(self) -> str:
        """Return the address, such as ``http://127.0.0.1:40123``."""
        return self._listener.url

    @property
    def calls(self) -> tuple[Call, ...]:
        """Return all calls, in the order in which they were answered."""
        with self.lock:
            return tuple(self._calls)

    @property
    def operations(self) -> list[str]:
        """Return the operations of all calls, in order."""
        return [call.operation for call in self.calls]

    def note(self, request: Request, *, status: int | None) -> None:
        """Add a call to the record; the listener does so for each request."""
        with self.lock:
            self._calls.append(self.call(request, number=len(self._calls) + 1, status=status))
            self._save()

    def _save(self) -> None:
        if self._record is None:
            return
        self._record.mkdir(parents=True, exist_ok=True)
        self.save_more(self._record)
        text = json.dumps(self.to_plain(), indent=2, default=lambda moment: moment.isoformat())
        write_whole(self._record / "record.json", text.encode() + b"\n")


class _Served:
    """A stand-in as its listener sees it: behind its faults, with a record of all calls."""

    def __init__(self, standin: StandIn) -> None:
        self._standin = standin
        self.name = standin.name

    def cut_after(self, request: Request) -> int | None:
        limit = self._standin.faults.cut_after(request)
        if limit is not None:
            self._standin.note(request, status=None)
        return limit

    def handle(self, request: Request) -> Reply:
        request = self._standin.read(request)
        try:
            reply = self._standin.faults.before(self._answer)(request)
        except CutError:
            self._standin.note(request, status=None)
            raise
        self._standin.note(request, status=reply.status)
        return reply

    def _answer(self, request: Request) -> Reply:
        if request.operation == ELSEWHERE:
            return error_reply(403, f"this stand-in leads nowhere else: {request.path}")
        try:
            return self._standin.answer(request)
        except RefusedError as refused:
            return error_reply(refused.status, refused.message)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old or the new content, never a part."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    os.replace(part, path)
