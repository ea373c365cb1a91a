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

from stepline_sdk.push import (
    Refused,
    RemoteFile,
    TryAgain,
    is_busy,
    is_not_taken,
    is_private,
    plain_url,
    plain_words,
    retry_after,
)

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

    def check(self, uri: str, *, allow_http: bool) -> None:
        """Refuse what is neither, and what others could read on its way.

        Raises:
            ValueError: There is half of it, or too much, or the way is open.
        """
        if self.token and (self.username or self.password):
            raise ValueError("give the input 'token', or 'username' and 'password', not both")
        if bool(self.username) != bool(self.password):
            missing = "password" if self.username else "username"
            raise ValueError(f"input '{missing}' is missing")
        if any(self) and not allow_http and not is_private(uri):
            what = "token" if self.token else "password"
            raise ValueError(
                f"input 'tracking_uri' must begin with https://: the {what} would be readable on "
                "its way; in a network of your own set 'allow_http' to true"
            )


def connect(uri: str, sign_in: SignIn, *, allow_http: bool = False) -> MlflowClient:
    """Return a client of a server; all requests of this process go by its sessions.

    Args:
        uri: The server's address.
        sign_in: How to sign in.
        allow_http: Whether to sign in also where others could read it on its way.

    Raises:
        ValueError: There is half a credential, or others could read it.
    """
    sign_in.check(uri, allow_http=allow_http)
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


def address(client: MlflowClient) -> str:
    """Return the server's address, as a receipt may have it."""
    return plain_url(client.tracking_uri).rstrip("/")


def place(client: MlflowClient, name: str) -> str:
    """Return what a receipt calls something at a server."""
    return f"{address(client).partition('://')[2]}/{name}"


@contextmanager
def server_errors(what: str = "", *, publishes: bool = False) -> Iterator[None]:
    """Turn what the client raises into what a push understands, with the server's words.

    Args:
        what: Said before the words, such as a file's name.
        publishes: Whether it is what makes a version visible: then, of all but the server's
            own no, it is not clear whether it was done. Nothing else can have published.

    Raises:
        Refused: The server says no.
        TryAgain: It cannot be reached, or is busy.
    """
    try:
        yield
    except (MlflowException, requests.exceptions.RequestException, _BusyError) as error:
        meaning = _meaning(error, f"{what}: " if what else "")
        if isinstance(meaning, TryAgain) and not publishes:
            meaning.clear = True
        raise meaning from error


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

    def __init__(self, response: requests.Response) -> None:
        super().__init__(_words(response))
        self.after_s = retry_after(response.headers.get("Retry-After"))
        self.not_taken = is_not_taken(response.status_code)


class _Auth(AuthBase):
    """Signs in at one server, and nowhere that it may lead to, such as a store of files."""

    def __init__(self, uri: str, sign_in: SignIn) -> None:
        self._server = urlsplit(uri)[:2]
        self._sign_in = sign_in

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if urlsplit(request.url or "")[:2] != self._server:
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
        if is_busy(response.status_code):
            raise _BusyError(response)
        return response


def _words(response: requests.Response) -> str:
    words = response.text
    with suppress(ValueError, KeyError, TypeError):
        words = str(response.json()["message"])
    return f"{words.strip()[:500] or response.reason} (HTTP {response.status_code})"


def _meaning(error: BaseException, before: str) -> Exception:
    for cause in _causes(error):
        if isinstance(cause, _BusyError):
            words = plain_words(f"{before}{cause}")
            return TryAgain(words, cause.after_s, clear=cause.not_taken)
        if isinstance(cause, _TRANSIENT):
            return TryAgain(plain_words(f"{before}{type(cause).__name__}: {cause}"))
    words = plain_words(before + " ".join(str(error).split())[:1000])
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
