"""The client's way to the Hub: one try per request, and a plain word about how it went."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import HfApi, set_client_factory
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import parse_ratelimit_headers

from stepline_sdk.push import Refused, TryAgain

PUBLIC_HUB = "https://huggingface.co"
TIMEOUT_S = 120.0
"""Seconds that the Hub may take for an answer, or for taking the next part of a file."""

_BUSY = frozenset({408, 429, 500, 502, 503, 504})
_LOCAL = frozenset({"127.0.0.1", "localhost", "::1"})


def connect(endpoint: str, token: str) -> HfApi:
    """Return the client.

    Args:
        endpoint: Address of the Hub.
        token: Of the account that pushes.

    Raises:
        ValueError: The token would go there in the clear.
    """
    url = urlsplit(endpoint)
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in _LOCAL):
        raise ValueError(f"input 'endpoint' is '{endpoint}', it must start with https://")
    set_client_factory(_Client)
    return HfApi(endpoint=endpoint.rstrip("/"), token=token, library_name="stepline")


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
            words = str(error) or type(error).__name__
            raise TryAgain(f"no answer from {request.url.host}: {words}") from error
        if response.status_code not in _BUSY:
            return response
        try:
            response.read()
        except httpx2.TransportError:
            pass  # the status says enough
        finally:
            response.close()
        raise TryAgain(_words(response), _wait(response))


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
            raise RuntimeError(f"{error} {type(cause).__name__}: {cause}") from error
        raise


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _refusal(error: HfHubHTTPError) -> str:
    # The text of the error itself has the address in it, which may let people in.
    status = error.response.status_code
    return f"the Hub says {status}: {error.server_message or error.response.reason_phrase}"


def _words(response: httpx2.Response) -> str:
    words = response.headers.get("X-Error-Message") or response.reason_phrase
    try:
        said = response.json()
    except (ValueError, httpx2.StreamError):
        said = None
    if isinstance(said, dict) and isinstance(said.get("error"), str):
        words = said["error"]
    return f"the Hub says {response.status_code}: {words}"


def _wait(response: httpx2.Response) -> float | None:
    """Return the seconds that the Hub asks to wait."""
    limit = parse_ratelimit_headers(response.headers)
    if response.status_code == 429 and limit is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds)
    asked = response.headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() else None
