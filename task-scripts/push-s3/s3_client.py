"""The client of a store, and what its errors mean to a push."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import boto3
from boto3.exceptions import RetriesExceededError
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from s3transfer.exceptions import RetriesExceededError as TransferTriesExceededError

from stepline_sdk.push import Refused, TryAgain, is_busy, is_not_taken, plain_words, retry_after

# Tried again by the client itself; the push repeats whole uploads.
CLIENT_TRIES = 2
CONNECT_S = 20.0
READ_S = 60.0

# What comes and goes with the line to the store. A checksum that does not fit is told by the
# client while it reads.
_TRANSIENT = (
    NoConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
    FlexibleChecksumError,
    RetriesExceededError,
    TransferTriesExceededError,
)
_CONFLICT = "ConditionalRequestConflict"
_BUSY_CODES = frozenset({"RequestTimeout", "SlowDown", _CONFLICT})


class Clients(NamedTuple):
    """The clients of a store.

    Attributes:
        patient: Tries by itself again what failed.
        once: Tries once: for what publishes, so that its answer is the answer to that alone.
    """

    patient: Any
    once: Any


def connect(
    endpoint: str, *, region: str, keys: tuple[str, str] | None, addressing: str, checksums: bool
) -> Clients:
    """Return the clients of a store.

    Args:
        endpoint: Its address; empty for Amazon's own.
        region: Name of a region; empty for what the environment says, else us-east-1.
        keys: Access key and secret key; None for what the client finds by itself.
        addressing: Whether a bucket's name goes into the path or the host's name of addresses.
        checksums: Whether the store takes and tells checksums.
    """
    access, secret = keys or (None, None)
    session = boto3.Session(aws_access_key_id=access, aws_secret_access_key=secret)
    when = "when_supported" if checksums else "when_required"
    found = [
        session.client(
            "s3",
            endpoint_url=endpoint or None,
            region_name=region or session.region_name or "us-east-1",
            config=Config(
                connect_timeout=CONNECT_S,
                read_timeout=READ_S,
                retries={"total_max_attempts": tries, "mode": "standard"},
                s3={"addressing_style": addressing},
                request_checksum_calculation=when,
                response_checksum_validation=when,
            ),
        )
        for tries in (CLIENT_TRIES, 1)
    ]
    return Clients(*found)


@contextmanager
def store_errors(what: str = "", *, publishes: bool = False) -> Iterator[None]:
    """Turn what the client raises into what a push understands, with the store's words.

    Args:
        what: Said before the words, such as a file's name.
        publishes: Whether it is what makes a version visible: then, of all but the store's
            own no, it is not clear whether it was done. Nothing else can have published.

    Raises:
        Refused: The store says no.
        TryAgain: It cannot be reached, or is busy.
    """
    before = f"{what}: " if what else ""
    try:
        yield
    except ClientError as error:
        raise _of_answer(error, before, publishes=publishes) from error
    except _TRANSIENT as error:
        raise TryAgain(plain_words(f"{before}{error}"), clear=not publishes) from error
    except BotoCoreError as error:
        raise Refused(plain_words(f"{before}{error}")) from error


def is_missing(error: Exception) -> bool:
    """Return whether a refusal says that there is no such object (not: no such bucket)."""
    return status_of(error) == 404 and code_of(error) in ("NoSuchKey", "404")


def status_of(error: Exception) -> int:
    """Return the HTTP status of an answer that an error was made of; 0 where there is none."""
    answer = _answer(error)
    return int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def code_of(error: Exception) -> str:
    """Return the store's short name of an error; empty where there is none."""
    return str(_answer(error).get("Error", {}).get("Code", ""))


def _answer(error: Exception) -> dict:
    cause = error.__cause__ if isinstance(error, (Refused, TryAgain)) else error
    return cause.response if isinstance(cause, ClientError) else {}


def _of_answer(error: ClientError, before: str, *, publishes: bool) -> Exception:
    status, code = status_of(error), code_of(error)
    message = error.response.get("Error", {}).get("Message") or "no words"
    words = plain_words(f"{before}{error.operation_name}: {message} ({code}, HTTP {status})")
    if not is_busy(status) and code not in _BUSY_CODES:
        return Refused(words)
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    clear = not publishes or is_not_taken(status) or code == _CONFLICT
    return TryAgain(words, retry_after(headers.get("retry-after")), clear=clear)
