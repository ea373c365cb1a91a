"""The client's way to the Hub: one try per request, and a plain word about how it went."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from huggingface_hub import HfApi, set_client_factory
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import parse_ratelimit_headers

from stepline_sdk.push import (
    Refused,
    TryAgain,
    is_busy,
    is_not_taken,
    is_private,
    plain_words,
    retry_after,
)

PUBLIC_HUB = "https://huggingface.co"
TIMEOUT_S = 120.0
"""Seconds that the Hub may take for an answer, or for taking the next part of a file."""

_COMMIT = re.compile(r"/api/(?:dataset|model)s/[^/]+/[^/]+/commit/[^/]+$")
_TOO_MANY = 429


def connect(endpoint: str, token: str) -> HfApi:
    """Return the client.

    Args:
        endpoint: Address of the Hub.
        token: Of the account that pushes.

    Raises:
        ValueError: The token would go there in the clear.
    """
    if not is_private(endpoint):
        raise ValueError(f"input 'endpoint' is '{endpoint}', it must start with https://")
    set_client_factory(_Client)
    return HfApi(endpoint=endpoint, token=token, library_name="stepline")


class _Client(httpx2.Client):
    """Says at once what the client would repeat by itself, so that the push repeats it.

    The push looks first whether the earlier try worked after all, waits as long as the Hub
    asks for, and knows when to give up.
    """

    def __init__(self) -> None:
        super().__init__(follow_redirects=True, timeout=httpx2.Timeout(TIMEOUT_S, connect=20.0))

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        try:
            response = super().send(request, **options)
        except httpx2.TransportError as error:
            words = plain_words(str(error)) or type(error).__name__
            raise TryAgain(
                f"no answer from {request.url.host}: {words}",
                clear=not _publishes(request) or _is_unsent(request, error),
            ) from error
        if not is_busy(response.status_code):
            return response
        try:
            response.read()
        except httpx2.TransportError:
            pass  # the status says enough
        finally:
            response.close()
        clear = not _publishes(request) or is_not_taken(response.status_code)
        raise TryAgain(_words(response), _wait(response), clear=clear)


def _publishes(request: httpx2.Request) -> bool:
    """Return whether a request makes a version; no other one does."""
    return request.method == "POST" and bool(_COMMIT.search(request.url.path))


def _is_unsent(request: httpx2.Request, error: httpx2.TransportError) -> bool:
    """Return whether nothing of a request left; one that was led elsewhere has."""
    unconnected = isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout))
    return unconnected and error.request is request


@contextmanager
def told() -> Iterator[None]:
    """Say what the Hub or its client refuses as the push understands it.

    Raises:
        Refused: It is no for good.
        TryAgain: The Hub cannot be reached, or is busy.
    """
    try:
        yield
    except Exception as error:
        for each in _chain(error):
            if isinstance(each, (Refused, TryAgain)):
                raise each from each.__cause__
            if isinstance(each, HfHubHTTPError):
                raise Refused(_refusal(each)) from error
        if isinstance(error, (HFValidationError, ValueError)):
            raise Refused(str(error)) from error
        if error.__cause__ is not None:
            # The client says which file, and its cause says what is wrong.
            cause = error.__cause__
            words = f"{error} {type(cause).__name__}: {cause}"
            raise RuntimeError(plain_words(words)) from error
        raise


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _refusal(error: HfHubHTTPError) -> str:
    # The text of the error itself has the address in it, which may let people in.
    status = error.response.status_code
    words = plain_words(error.server_message or error.response.reason_phrase)
    return f"the Hub says {status}: {words}"


def _words(response: httpx2.Response) -> str:
    words = response.headers.get("X-Error-Message") or response.reason_phrase
    try:
        said = response.json()
    except (ValueError, httpx2.StreamError):
        said = None
    if isinstance(said, dict) and isinstance(said.get("error"), str):
        words = said["error"]
    return f"the Hub says {response.status_code}: {plain_words(words)}"


def _wait(response: httpx2.Response) -> float | None:
    """Return the seconds that the Hub asks to wait."""
    limit = parse_ratelimit_headers(response.headers)
    if response.status_code == _TOO_MANY and limit is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds)
    return retry_after(response.headers.get("Retry-After"))
