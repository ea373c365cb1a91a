"""A loopback stand-in for Kaggle's service, for the real clients.

Use it in a test::

    with KaggleStandIn() as kaggle:
        subprocess.run(["kaggle", "datasets", "create", "-p", "."], env={..., **kaggle.env})
        dataset = kaggle.datasets["me/exampledataset"]

or as a process: ``python -m stepline.testing.kaggle_standin --record FOLDER``. It takes
both the 2.2 and the 1.6 line of the client, listens on 127.0.0.1 only, and needs no account.
"""

from __future__ import annotations

import argparse
import hmac
import json
import os
import signal
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

from stepline.testing.kaggle.answers import Answers
from stepline.testing.kaggle.faults import Fault, StatusError, with_faults
from stepline.testing.kaggle.listener import Listener
from stepline.testing.kaggle.record import Blob, Call, Dataset
from stepline.testing.kaggle.state import KaggleState, NewDataset
from stepline.testing.kaggle.wire import Reply, Request

__all__ = ["KaggleStandIn", "StatusError", "main"]


class KaggleStandIn:
    """The stand-in, serving while the ``with`` block lasts.

    Args:
        port: TCP port on 127.0.0.1; 0 takes a free one.
        accounts: User names with their keys; None lets any user with any key in.
        taken: Datasets, as ``owner/slug``, that exist from the start, with no files.
        faults: What goes wrong, see `stepline.testing.kaggle.faults`.
        record: Folder that gets ``record.json`` and ``blobs/<sha256>``, up to date
            before each answer leaves.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        accounts: Mapping[str, str] | None = None,
        taken: Iterable[str] = (),
        faults: Sequence[Fault] = (),
        record: Path | None = None,
    ) -> None:
        self._accounts = accounts
        self._lock = threading.Lock()
        self._state = KaggleState()
        self._answers = Answers(self._state)
        self._answer = with_faults(self._answer_locked, faults)
        self._record = record
        for ref in taken:
            self._seed(ref)
        self._listener = Listener(port, handle=self._handle, authorise=self._authorise)
        self._thread = threading.Thread(
            target=self._listener.serve_forever,
            kwargs={"poll_interval": 0.05},
            name="kaggle-stand-in",
            daemon=True,
        )

    def __enter__(self) -> KaggleStandIn:
        self._save()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        """Return the TCP port."""
        return self._listener.server_port

    @property
    def url(self) -> str:
        """Return the address, such as ``http://127.0.0.1:40123``."""
        return self._listener.url

    @property
    def env(self) -> dict[str, str]:
        """Return the variables that lead the 2.2 line here, and nowhere else.

        All its traffic, https too, is sent here as to a proxy, so that a mistake ends in
        a recorded refusal and never at the real service. `no_proxy` is emptied since an
        inherited ``localhost`` in it would undo this.
        """
        return {
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "http_proxy": self.url,
            "https_proxy": self.url,
            "no_proxy": "",
            "NO_PROXY": "",
        }

    @property
    def env_legacy(self) -> dict[str, str]:
        """Return the variables that lead the 1.6 line here."""
        return {
            "KAGGLE_API_ENDPOINT": self.url,
            "no_proxy": "127.0.0.1",
            "NO_PROXY": "127.0.0.1",
        }

    @property
    def calls(self) -> tuple[Call, ...]:
        """Return all calls, in the order in which they were answered."""
        with self._lock:
            return tuple(self._state.calls)

    @property
    def datasets(self) -> Mapping[str, Dataset]:
        """Return a snapshot of all datasets by ``owner/slug``."""
        with self._lock:
            return MappingProxyType(dict(self._state.datasets))

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Return all uploads, complete or not, in the order of their start."""
        with self._lock:
            return tuple(self._state.blobs.values())

    def blob(self, sha256: str) -> bytes:
        """Return the bytes of a complete upload.

        Raises:
            KeyError: No complete upload has that digest.
        """
        with self._lock:
            return self._state.content(sha256)

    def to_plain(self) -> dict[str, Any]:
        """Return the whole record but the blobs' bytes, as ``record.json`` holds it."""
        with self._lock:
            return self._plain()

    def _plain(self) -> dict[str, Any]:
        return {
            "url": self.url,
            "calls": [asdict(call) for call in self._state.calls],
            "blobs": [blob.to_plain() for blob in self._state.blobs.values()],
            "datasets": [asdict(dataset) for dataset in self._state.datasets.values()],
        }

    def _seed(self, ref: str) -> None:
        owner, _, slug = ref.partition("/")
        new = NewDataset(owner=owner, slug=slug, title=slug, licence="CC0-1.0", private=True)
        self._state.create_dataset(new, [])

    def _authorise(self, user: str | None, key: str) -> bool:
        if self._accounts is None:
            return True
        known = self._accounts.get(user or "")
        return known is not None and hmac.compare_digest(known.encode(), key.encode())

    def _answer_locked(self, request: Request) -> Reply:
        with self._lock:
            return self._answers(request)

    def _handle(self, request: Request) -> Reply:
        reply = self._answer(request)
        with self._lock:
            self._state.calls.append(
                Call(
                    number=len(self._state.calls) + 1,
                    operation=request.operation,
                    line=request.line,
                    method=request.method,
                    path=request.path,
                    user=request.user,
                    parameters=request.parameters,
                    status=reply.status,
                )
            )
            self._save()
        return reply

    def _save(self) -> None:
        if self._record is None:
            return
        folder = self._record / "blobs"
        folder.mkdir(parents=True, exist_ok=True)
        for blob in self._state.blobs.values():
            if blob.complete and not (folder / blob.sha256).exists():
                _write_whole(folder / blob.sha256, blob.data)
        text = json.dumps(self._plain(), indent=2, default=lambda moment: moment.isoformat())
        _write_whole(self._record / "record.json", text.encode() + b"\n")


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old or the new content, never a part."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    os.replace(part, path)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m stepline.testing.kaggle_standin",
        description="Stand in for Kaggle's service on a loopback port, and print its URL.",
    )
    parser.add_argument("--port", type=int, default=0, help="TCP port; by default a free one")
    parser.add_argument("--record", type=Path, metavar="DIR", help="folder for what it received")
    parser.add_argument("--pid-file", type=Path, metavar="F", help="gets the process id")
    parser.add_argument(
        "--lifetime", type=float, default=600.0, metavar="SECONDS", help="end after this time"
    )
    parser.add_argument(
        "--taken", action="append", default=[], metavar="OWNER/SLUG", help="exists from the start"
    )
    parser.add_argument(
        "--status-error",
        nargs=2,
        action="append",
        default=[],
        metavar=("OPERATION", "MESSAGE"),
        help='answer it with "status": "error"',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM, SIGINT or the end of the lifetime; return the exit code."""
    options = _parse(argv)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    faults = [StatusError(operation, message) for operation, message in options.status_error]
    with KaggleStandIn(
        port=options.port, taken=options.taken, faults=faults, record=options.record
    ) as kaggle:
        if options.pid_file is not None:
            _write_whole(options.pid_file, f"{os.getpid()}\n".encode())
        print(kaggle.url, flush=True)
        stop.wait(options.lifetime)
    if options.pid_file is not None:
        options.pid_file.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
