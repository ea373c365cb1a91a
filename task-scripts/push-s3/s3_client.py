"""The client of a store, and what its errors mean to a push."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

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

from stepline_sdk.push import Refused, TryAgain

# Tried again by the client itself; the push repeats whole uploads.
CLIENT_TRIES = 2
CONNECT_S = 20.0
READ_S = 60.0

# What comes and goes with the line to the store. A checksum that does not fit is told by the
# client while it reads.
_TRANSIENT = (
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
    FlexibleChecksumError,
    RetriesExceededError,
)
_BUSY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_BUSY_CODES = frozenset({"RequestTimeout", "SlowDown", "ConditionalRequestConflict"})


def connect(
    endpoint: str, *, region: str, keys: tuple[str, str] | None, addressing: str, checksums: bool
) -> Any:
    """Return a client of the store.

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
    return session.client(
        "s3",
        endpoint_url=endpoint or None,
        region_name=region or session.region_name or "us-east-1",
        config=Config(
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            retries={"total_max_attempts": CLIENT_TRIES, "mode": "standard"},
            s3={"addressing_style": addressing},
            request_checksum_calculation=when,
            response_checksum_validation=when,
        ),
    )


@contextmanager
def store_errors(what: str = "") -> Iterator[None]:
    """Turn what the client raises into what a push understands, with the store's words.

    Args:
        what: Said before the words, such as a file's name.

    Raises:
        Refused: The store says no.
        TryAgain: It cannot be reached, or is busy.
    """
    before = f"{what}: " if what else ""
    try:
        yield
    except ClientError as error:
        raise _of_answer(error, before) from error
    except _TRANSIENT as error:
        raise TryAgain(f"{before}{error}") from error
    except BotoCoreError as error:
        raise Refused(f"{before}{error}") from error


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


def _of_answer(error: ClientError, before: str) -> Exception:
    status, code = status_of(error), code_of(error)
    message = error.response.get("Error", {}).get("Message") or "no words"
    words = f"{before}{error.operation_name}: {message} ({code}, HTTP {status})"
    if status in _BUSY_STATUS or code in _BUSY_CODES:
        return TryAgain(words, _after_s(error))
    return Refused(words)


def _after_s(error: ClientError) -> float | None:
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    with suppress(KeyError, ValueError):
        return float(headers["retry-after"])
    return None
