"""A loopback stand-in for the Hugging Face Hub, for the real client.

Use it in a test::

    with HuggingFaceStandIn() as hub:
        subprocess.run(["hf", "upload", ...], env={..., **hub.env})
        commit = hub.datasets["me/plates"].head

or as a process: ``python -m stepline.testing.huggingface_standin --record FOLDER``. It knows
datasets and models with one branch, ``main``, listens on 127.0.0.1 only, and needs no account.
"""

from __future__ import annotations

import hmac
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from stepline.testing.huggingface.answers import Answers
from stepline.testing.huggingface.record import HubCommit, HubFile, HubRepo
from stepline.testing.huggingface.state import Change, HubState
from stepline.testing.huggingface.wire import HubRequest, identify
from stepline.testing.loopback.command import serve, standin_parser
from stepline.testing.loopback.faults import Fault
from stepline.testing.loopback.messages import Reply, Request
from stepline.testing.loopback.standin import StandIn, write_whole

__all__ = ["HubCommit", "HubFile", "HubRepo", "HuggingFaceStandIn", "main"]

PART_SIZE = 5 * 10**9  # bytes

ANYBODY = "me"
"""Who a token stands for where no accounts are given."""


class HuggingFaceStandIn(StandIn):
    """The stand-in, serving while the ``with`` block lasts.

    Operations, as faults and the record call them: ``WhoAmI``, ``CreateRepo``,
    ``ValidateCard``, ``Preupload``, ``LfsBatch``, ``PutLfs``, ``CompleteLfs``,
    ``VerifyLfs``, ``Commit``, ``RepoInfo``, ``ListCommits``, ``ListTree``, ``PathsInfo``,
    ``HeadFile``, ``GetFile``.

    Args:
        port: TCP port on 127.0.0.1; 0 takes a free one.
        accounts: User names with their tokens; None lets any token in, as the user ``me``.
        taken: Repositories that exist from the start, as ``datasets/owner/name`` or
            ``models/owner/name``, public ones.
        faults: What goes wrong, see `stepline.testing.loopback.faults`.
        record: Folder that gets ``record.json`` and ``blobs/<sha256>``, up to date before
            each answer leaves.
        part_size: Bytes; larger files are to come in parts of this size.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        accounts: Mapping[str, str] | None = None,
        taken: Iterable[str] = (),
        faults: Iterable[Fault] = (),
        record: Path | None = None,
        part_size: int = PART_SIZE,
    ) -> None:
        super().__init__(port=port, faults=faults, record=record)
        self._accounts = accounts
        self._state = HubState()
        self._answers = Answers(self._state, part_size=part_size)
        for ref in taken:
            kind, _, id = ref.partition("s/")
            self._state.create(kind, id, private=False)

    @property
    def env(self) -> dict[str, str]:
        """Return the variables that lead the client here, and nowhere else.

        A large file would go past ``HF_ENDPOINT`` by the protocol Xet, so that is off.
        """
        return {
            "HF_ENDPOINT": self.url,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "no_proxy": "127.0.0.1",
            "NO_PROXY": "127.0.0.1",
        }

    @property
    def datasets(self) -> Mapping[str, HubRepo]:
        """Return a snapshot of all datasets by ``owner/name``."""
        return self._repos("dataset")

    @property
    def models(self) -> Mapping[str, HubRepo]:
        """Return a snapshot of all models by ``owner/name``."""
        return self._repos("model")

    @property
    def uploads(self) -> tuple[str, ...]:
        """Return the SHA-256 of each large file that was uploaded, in order."""
        with self.lock:
            return tuple(self._state.uploads)

    def blob(self, sha256: str) -> bytes:
        """Return the content of a file.

        Raises:
            KeyError: No file has that digest.
        """
        with self.lock:
            return self._state.blobs[sha256]

    def add(self, ref: str, *, private: bool = True) -> HubRepo:
        """Make a repository, ``datasets/owner/name`` or ``models/owner/name``."""
        kind, _, id = ref.partition("s/")
        with self.lock:
            return self._state.create(kind, id, private=private)

    def change(
        self, ref: str, files: Mapping[str, bytes], *, user: str = "somebody", title: str = "edit"
    ) -> HubCommit:
        """Commit files, as somebody at the Hub's page does.

        Args:
            ref: The repository, ``datasets/owner/name`` or ``models/owner/name``.
            files: Content by path.
            user: Who does it.
            title: First line of the message.
        """
        kind, _, id = ref.partition("s/")
        change = Change(title=title, files=dict(files), large={})
        with self.lock:
            return self._state.change(self._state.repo(kind, id), change, user=user)

    def name(self, request: Request) -> str:
        """Return the operation."""
        return identify(request.method, request.path)[0]

    def read(self, request: Request) -> HubRequest:
        """Return the request with what its path says and who sends it."""
        token = request.credentials[1]
        user = None if token is None else self._user_of(token)
        return HubRequest(
            **vars(request),
            said=identify(request.method, request.path)[1],
            user=user,
            known=token is None or user is not None,
        )

    def answer(self, request: Request) -> Reply:
        """Return the Hub's answer.

        Raises:
            RefusedError: The request cannot be understood.
        """
        with self.lock:
            return self._answers(cast("HubRequest", request))

    def user(self, request: Request) -> str | None:
        """Return whose token a request has."""
        return request.user if isinstance(request, HubRequest) else None

    def to_plain(self) -> dict[str, Any]:
        """Return the whole record but the files' bytes, as ``record.json`` holds it."""
        with self.lock:
            repos = [_plain(repo) for repo in self._state.repos.values()]
            return {**super().to_plain(), "repos": repos}

    def save_more(self, folder: Path) -> None:
        """Write the content of all files, each under its digest."""
        blobs = folder / "blobs"
        blobs.mkdir(exist_ok=True)
        for sha256, data in self._state.blobs.items():
            if not (blobs / sha256).exists():
                write_whole(blobs / sha256, data)

    def _repos(self, kind: str) -> Mapping[str, HubRepo]:
        with self.lock:
            repos = self._state.repos.values()
            return MappingProxyType({repo.id: repo for repo in repos if repo.kind == kind})

    def _user_of(self, token: str) -> str | None:
        if self._accounts is None:
            return ANYBODY
        for user, known in self._accounts.items():
            if hmac.compare_digest(known.encode(), token.encode()):
                return user
        return None


def _plain(repo: HubRepo) -> dict[str, Any]:
    commits = [
        {**vars(commit), "files": [vars(file) for file in commit.files.values()]}
        for commit in repo.commits
    ]
    return {**vars(repo), "commits": commits}


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM, SIGINT or the end of the lifetime; return the exit code."""
    parser = standin_parser("stepline.testing.huggingface_standin", service="the Hugging Face Hub")
    parser.add_argument(
        "--taken",
        action="append",
        default=[],
        metavar="KIND/OWNER/NAME",
        help="a public repository that exists from the start, such as datasets/me/plates",
    )
    options = parser.parse_args(argv)
    return serve(
        HuggingFaceStandIn(port=options.port, taken=options.taken, record=options.record), options
    )


if __name__ == "__main__":
    sys.exit(main())
