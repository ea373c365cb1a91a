"""A loopback stand-in for Kaggle's service, for the real clients.

Use it in a test::

    with KaggleStandIn() as kaggle:
        subprocess.run(["kaggle", "datasets", "create", "-p", "."], env={..., **kaggle.env})
        dataset = kaggle.datasets["me/exampledataset"]

or as a process: ``python -m stepline.testing.kaggle_standin --record FOLDER``. It takes
both the 2.2 and the 1.6 line of the client, listens on 127.0.0.1 only, and needs no account.
"""

from __future__ import annotations

import hmac
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from stepline.testing.kaggle.answers import Answers
from stepline.testing.kaggle.faults import StatusError
from stepline.testing.kaggle.kernels import Kernels
from stepline.testing.kaggle.models import Models
from stepline.testing.kaggle.record import Blob, Dataset, KaggleCall, Kernel, Model
from stepline.testing.kaggle.state import KaggleState, NewDataset
from stepline.testing.kaggle.wire import KaggleRequest, identify, said
from stepline.testing.loopback.command import serve, standin_parser
from stepline.testing.loopback.faults import Fault
from stepline.testing.loopback.messages import Reply, Request
from stepline.testing.loopback.standin import StandIn, write_whole

__all__ = ["KaggleStandIn", "StatusError", "main"]


class KaggleStandIn(StandIn):
    """The stand-in, serving while the ``with`` block lasts.

    Args:
        port: TCP port on 127.0.0.1; 0 takes a free one.
        accounts: User names with their keys, which are good as tokens too; None lets any user
            with any key in.
        taken: Datasets, as ``owner/slug``, that exist from the start, with no files.
        processing: How often a client asks before what it made is done: a dataset's version
            READY, a kernel's run COMPLETE, the files of a model's version listed.
        failure: Words with which processing ends: a dataset's version FAILED, a kernel's run
            ERROR; a model's version is declined at once. None: all ends well.
        faults: What goes wrong, see `stepline.testing.loopback.faults`.
        record: Folder that gets ``record.json`` and ``blobs/<sha256>``, up to date
            before each answer leaves.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        accounts: Mapping[str, str] | None = None,
        taken: Iterable[str] = (),
        processing: int = 0,
        failure: str | None = None,
        faults: Iterable[Fault] = (),
        record: Path | None = None,
    ) -> None:
        super().__init__(port=port, faults=faults, record=record)
        self._accounts = accounts
        self._state = KaggleState()
        self._kernels = Kernels(self._state)
        self._models = Models(self._state)
        self._answers = Answers(self._state, self._kernels, self._models)
        self.processing, self.failure = processing, failure
        for ref in taken:
            self.add_dataset(ref)

    @property
    def env(self) -> dict[str, str]:
        """Return the variables that lead the 2.2 line here, and nowhere else.

        All its traffic, https too, is sent here as to a proxy, so that a mistake ends in
        a recorded refusal and never at the real service. `no_proxy` is emptied since an
        inherited ``localhost`` in it would undo this.
        """
        return self.env_of(self.port)

    @staticmethod
    def env_of(port: int) -> dict[str, str]:
        """Return the variables that lead the 2.2 line to a stand-in on that port."""
        url = f"http://127.0.0.1:{port}"
        return {
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "http_proxy": url,
            "https_proxy": url,
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
    def datasets(self) -> Mapping[str, Dataset]:
        """Return a snapshot of all datasets by ``owner/slug``."""
        with self.lock:
            return MappingProxyType(dict(self._state.datasets))

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Return all uploads, complete or not, in the order of their start."""
        with self.lock:
            return tuple(self._state.blobs.values())

    @property
    def kernels(self) -> Mapping[str, Kernel]:
        """Return a snapshot of all kernels by ``owner/slug``."""
        with self.lock:
            return MappingProxyType(dict(self._kernels.by_ref))

    @property
    def models(self) -> Mapping[str, Model]:
        """Return a snapshot of all models by ``owner/slug``."""
        with self.lock:
            return MappingProxyType(dict(self._models.by_ref))

    @property
    def processing(self) -> int:
        """How often a client asks before what it makes from now on is done."""
        return self._state.processing

    @processing.setter
    def processing(self, asks: int) -> None:
        self._state.processing = asks

    @property
    def failure(self) -> str | None:
        """Words with which processing ends from now on; None: it ends well."""
        return self._state.failure

    @failure.setter
    def failure(self, words: str | None) -> None:
        self._state.failure = words

    def blob(self, sha256: str) -> bytes:
        """Return the bytes of a complete upload.

        Raises:
            KeyError: No complete upload has that digest.
        """
        with self.lock:
            return self._state.content(sha256)

    def name(self, request: Request) -> str:
        """Return the operation in the 2.2 line's form."""
        return identify(request.method, request.path)[0]

    def read(self, request: Request) -> KaggleRequest:
        """Return the request with what it says.

        Raises:
            RefusedError: 400; its body is not a JSON object.
        """
        _, line, found = identify(request.method, request.path)
        user, key = request.credentials
        return KaggleRequest(
            **vars(request),
            line=line,
            parameters=said(request, line=line, found=found),
            user=self._user_of(user, key),
            authorised=key is not None and self._is_known(user, key),
        )

    def answer(self, request: Request) -> Reply:
        """Return the service's answer.

        Raises:
            RefusedError: The service refuses.
        """
        with self.lock:
            return self._answers(cast("KaggleRequest", request))

    def call(self, request: Request, *, number: int, status: int | None) -> KaggleCall:
        """Return the record of a call."""
        told = request if isinstance(request, KaggleRequest) else None
        _, line, _ = identify(request.method, request.path)
        return KaggleCall(
            **vars(super().call(request, number=number, status=status)),
            line=line,
            parameters=told.parameters if told else {},
        )

    def to_plain(self) -> dict[str, Any]:
        """Return the whole record but the blobs' bytes, as ``record.json`` holds it."""
        with self.lock:
            return {
                **super().to_plain(),
                "blobs": [blob.to_plain() for blob in self._state.blobs.values()],
                "datasets": [asdict(dataset) for dataset in self._state.datasets.values()],
                "kernels": [asdict(kernel) for kernel in self._kernels.by_ref.values()],
                "models": [asdict(model) for model in self._models.by_ref.values()],
            }

    def save_more(self, folder: Path) -> None:
        """Write the complete uploads, each under its digest."""
        blobs = folder / "blobs"
        blobs.mkdir(exist_ok=True)
        for blob in self._state.blobs.values():
            if blob.complete and not (blobs / blob.sha256).exists():
                write_whole(blobs / blob.sha256, blob.data)

    def add_dataset(self, ref: str, *, private: bool = True) -> None:
        """Make a dataset ``owner/slug`` with no files, as somebody does on its page."""
        owner, _, slug = ref.partition("/")
        new = NewDataset(owner=owner, slug=slug, title=slug, licence="CC0-1.0", private=private)
        with self.lock:
            self._state.create_dataset(new, [])

    def add_version(self, ref: str, *, notes: str = "") -> None:
        """Make a version of a dataset with no files, as somebody does on its page."""
        with self.lock:
            self._state.create_version(ref, notes=notes, tokens=[])

    def add_kernel_version(self, ref: str, source: str) -> None:
        """Make a version of a kernel, as somebody does in the editor on its page."""
        with self.lock:
            kernel = self._kernels.get(ref)
            self._kernels.save(
                ref, title=kernel.title, source=source, settings=dict(kernel.settings)
            )

    def add_model_version(
        self, ref: str, variation: str, *, files: Mapping[str, bytes] = MappingProxyType({})
    ) -> None:
        """Make a version of a variation ``FRAMEWORK/slug``, as somebody does on its page."""
        with self.lock:
            uploads = [self._state.keep(name, data) for name, data in files.items()]
            self._models.add_version(ref, variation, notes="", uploads=uploads)

    def user(self, request: Request) -> str | None:
        """Return the user name of the credentials, also of a known token."""
        return self._user_of(*request.credentials)

    def _user_of(self, user: str | None, key: str | None) -> str | None:
        """Return who signs in: a key is good as a token of its own, too."""
        if user is not None or key is None or self._accounts is None:
            return user
        owners = [name for name, known in self._accounts.items() if _same(known, key)]
        return owners[0] if owners else None

    def _is_known(self, user: str | None, key: str) -> bool:
        if self._accounts is None:
            return True
        if user is None:
            return self._user_of(user, key) is not None
        return user in self._accounts and _same(self._accounts[user], key)


def _same(known: str, key: str) -> bool:
    return hmac.compare_digest(known.encode(), key.encode())


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM, SIGINT or the end of the lifetime; return the exit code."""
    parser = standin_parser("stepline.testing.kaggle_standin", service="Kaggle's service")
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
    options = parser.parse_args(argv)
    faults = [StatusError(operation, message) for operation, message in options.status_error]
    kaggle = KaggleStandIn(
        port=options.port, taken=options.taken, faults=faults, record=options.record
    )
    return serve(kaggle, options)


if __name__ == "__main__":
    sys.exit(main())
