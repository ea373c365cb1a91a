"""The client of an MLflow server, and what its errors mean to a push.

The client's own way of trying again hides the server's words and waits as long as the server
likes, and its credentials come from variables of the environment. So its HTTP sessions are
made here: they try once, keep ``Retry-After``, and sign in for the server alone.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

# Read when the client is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

import requests
from mlflow.entities import Run
from mlflow.exceptions import MlflowException, RestException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking.client import MlflowClient
from mlflow.utils import request_utils
from requests.auth import AuthBase, HTTPBasicAuth

from stepline_sdk.push import Refused, RemoteFile, TryAgain

_BUSY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_TRANSIENT = (
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
    requests.exceptions.JSONDecodeError,
)


class SignIn(NamedTuple):
    """How to sign in: by a token, by user name and password, or not at all."""

    token: str = ""
    username: str = ""
    password: str = ""

    def check(self) -> None:
        """Refuse what is neither.

        Raises:
            ValueError: There is half of it, or too much.
        """
        if self.token and (self.username or self.password):
            raise ValueError("give the input 'token', or 'username' and 'password', not both")
        if bool(self.username) != bool(self.password):
            missing = "password" if self.username else "username"
            raise ValueError(f"input '{missing}' is missing")


def check_address(uri: str) -> str:
    """Return a server's address without a slash at its end.

    Raises:
        ValueError: It is the address of something else, or has credentials in it.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("input 'tracking_uri' is no address that begins with http:// or https://")
    if parts.username or parts.password:
        raise ValueError("input 'tracking_uri' has credentials in it: give them as inputs")
    return uri.rstrip("/")


def connect(uri: str, sign_in: SignIn) -> MlflowClient:
    """Return a client of a server; all requests of this process go by its sessions.

    Raises:
        ValueError: There is half a credential.
    """
    sign_in.check()
    if not hasattr(request_utils, "_get_request_session"):
        raise RuntimeError("this version of the MLflow client is not the one in requirements.txt")
    session = _Session(_Auth(uri, sign_in))
    request_utils._get_request_session = lambda *args, **kwargs: session
    return MlflowClient(uri, uri)


class Artifacts:
    """The files of a run, without asking the server anew where they are for each of them.

    Args:
        client: Of the server.
        run: The run.
    """

    def __init__(self, client: MlflowClient, run: Run) -> None:
        self._store = get_artifact_repository(
            run.info.artifact_uri, tracking_uri=client.tracking_uri
        )

    def write(self, folder: str) -> None:
        """Send all files of a folder."""
        self._store.log_artifacts(folder)

    def walk(self, folder: str = "") -> Iterator[tuple[str, RemoteFile]]:
        """Give the files with their paths."""
        for entry in self._store.list_artifacts(folder or None):
            if entry.is_dir:
                yield from self.walk(entry.path)
            else:
                yield entry.path, RemoteFile(entry.file_size)

    def fetch(self, name: str, path: str) -> None:
        """Fetch a file to a path."""
        # The public method hides what went wrong in the text of another error.
        self._store._download_file(name, path)


def place(client: MlflowClient, name: str) -> str:
    """Return what a receipt calls something at a server."""
    parts = urlsplit(client.tracking_uri)
    return f"{parts.netloc}{parts.path}/{name}"


@contextmanager
def server_errors(what: str = "") -> Iterator[None]:
    """Turn what the client raises into what a push understands, with the server's words.

    Args:
        what: Said before the words, such as a file's name.

    Raises:
        Refused: The server says no.
        TryAgain: It cannot be reached, or is busy.
    """
    try:
        yield
    except (MlflowException, requests.exceptions.RequestException, _BusyError) as error:
        raise _meaning(error, f"{what}: " if what else "") from error


def is_missing(error: Exception) -> bool:
    """Return whether a refusal says that there is no such thing."""
    cause = error.__cause__
    return isinstance(cause, RestException) and cause.error_code == "RESOURCE_DOES_NOT_EXIST"


def is_there_already(error: Exception) -> bool:
    """Return whether a refusal says that something is there already."""
    cause = error.__cause__
    return isinstance(cause, RestException) and cause.error_code == "RESOURCE_ALREADY_EXISTS"


class _BusyError(Exception):
    """The server answers that it cannot do it now."""

    def __init__(self, words: str, after_s: float | None) -> None:
        super().__init__(words)
        self.after_s = after_s


class _Auth(AuthBase):
    """Signs in at one server, and nowhere that it may lead to, such as a store of files."""

    def __init__(self, uri: str, sign_in: SignIn) -> None:
        self._netloc = urlsplit(uri).netloc
        self._sign_in = sign_in

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if urlsplit(request.url or "").netloc != self._netloc:
            return request
        if self._sign_in.token:
            request.headers["Authorization"] = f"Bearer {self._sign_in.token}"
        elif self._sign_in.username:
            basic = HTTPBasicAuth(self._sign_in.username.encode(), self._sign_in.password.encode())
            return basic(request)
        return request


class _Session(requests.Session):
    """Tries once, and raises where the server is busy."""

    def __init__(self, auth: AuthBase) -> None:
        super().__init__()
        self.auth = auth

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        response = super().request(*args, **kwargs)
        if response.status_code in _BUSY_STATUS:
            raise _BusyError(_words(response), _after_s(response))
        return response


def _words(response: requests.Response) -> str:
    words = response.text
    with suppress(ValueError, KeyError, TypeError):
        words = str(response.json()["message"])
    return f"{words.strip()[:500] or response.reason} (HTTP {response.status_code})"


def _after_s(response: requests.Response) -> float | None:
    with suppress(KeyError, ValueError):
        return float(response.headers["Retry-After"])
    return None


def _meaning(error: BaseException, before: str) -> Exception:
    for cause in _causes(error):
        if isinstance(cause, _BusyError):
            return TryAgain(f"{before}{cause}", cause.after_s)
        if isinstance(cause, _TRANSIENT):
            return TryAgain(f"{before}{type(cause).__name__}: {cause}")
    words = before + " ".join(str(error).split())[:1000]
    garbled = isinstance(error, MlflowException) and error.get_http_status_code() == 500
    if garbled and not isinstance(error, RestException):
        return TryAgain(words)  # an answer that the client cannot read
    return Refused(words)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__
