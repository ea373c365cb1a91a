"""What an endpoint answers, and what that means."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx

from stepline_sdk.push import (
    Refused,
    TryAgain,
    is_busy,
    is_not_taken,
    plain_url,
    plain_words,
    retry_after,
)

MAX_ANSWER = 8 * 2**20  # bytes
MAX_WORDS = 300  # characters
CHANGED = 412


class Answer(NamedTuple):
    """What the endpoint answered, read to its end.

    Attributes:
        status: HTTP status.
        title: Status and its phrase, such as ``404 Not Found``.
        headers: Header names in any case.
        data: The body; of one that is too large, its start.
        sent_sha256: Of the request's own body, in hex digits; empty where it had none.
    """

    status: int
    title: str
    headers: Mapping[str, str]
    data: bytes
    sent_sha256: str = ""

    @property
    def ok(self) -> bool:
        """Return whether the endpoint did what it was asked for."""
        return 200 <= self.status < 300

    def json(self) -> dict[str, Any]:
        """Return the JSON object that the body holds; an empty one if it holds none."""
        try:
            found = json.loads(self.data)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def words(self) -> str:
        """Return the status and the endpoint's own words, in one line."""
        said = self.json()
        named = [said.get(name) for name in ("message", "detail", "error", "title")]
        text = next((each for each in named if isinstance(each, str) and each), "")
        if not text and not said and "html" not in self.headers.get("Content-Type", ""):
            text = self.data.decode("utf-8", "replace")
        line = plain_words(" ".join(text.split()))[:MAX_WORDS]
        return f"{self.title}: {line}" if line else self.title


def whole(response: httpx.Response) -> Answer:
    """Read an answer to its end, or as far as is sensible."""
    data = bytearray()
    for chunk in response.iter_bytes():
        data += chunk
        if len(data) > MAX_ANSWER:
            break
    title = f"{response.status_code} {response.reason_phrase}".strip()
    return Answer(response.status_code, title, response.headers, bytes(data[:MAX_ANSWER]))


def took(answer: Answer) -> Answer:
    """Return the answer to something that was sent, if the endpoint took it.

    Raises:
        Refused: It did not.
        TryAgain: It may another time, or it cannot be told.
    """
    after_s = waiting(answer)
    if answer.ok:
        return answer
    if is_busy(answer.status) or (answer.status == 409 and after_s is not None):
        raise TryAgain(answer.words, after_s, clear=is_not_taken(answer.status))
    if answer.status == CHANGED:
        raise Refused(f"somebody else published a version in between: {answer.words}")
    if 300 <= answer.status < 400 and "Location" in answer.headers:
        there = plain_url(answer.headers["Location"])
        raise Refused(f"{answer.words}; give the address it leads to: {there}")
    raise Refused(answer.words)


def not_given(answer: Answer) -> Exception:
    """Return the error of a file that was asked for and not given."""
    # What was just taken may not be served yet.
    if answer.status in (202, 404) or is_busy(answer.status):
        return TryAgain(answer.words, waiting(answer), clear=True)
    return Refused(answer.words)


def waiting(answer: Answer) -> float | None:
    """Return the seconds that an answer asks to wait; None where it does not say."""
    return retry_after(answer.headers.get("Retry-After"))


@contextmanager
def translated(*, sends: bool = False) -> Iterator[None]:
    """Turn the client's errors into those of pushes.

    Args:
        sends: Whether something is sent that the endpoint may take; asking changes nothing.
    """
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise Refused(plain_words(f"that is no usable address: {error}")) from error
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise TryAgain(f"no connection: {error}", clear=True) from error
    except httpx.TimeoutException as error:
        raise TryAgain("no answer in time", clear=not sends) from error
    except httpx.RequestError as error:
        words = f"no whole answer: {error or 'the connection ended'}"
        raise TryAgain(words, clear=not sends) from error
