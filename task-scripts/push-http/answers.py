"""What an endpoint answers, and what that means."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import httpx

from stepline_sdk.push import Refused, TryAgain

MAX_ANSWER = 8 * 2**20  # bytes
MAX_WORDS = 300  # characters
BUSY = (408, 425, 429, 500, 502, 503, 504)
NOT_TAKEN = (425, 429, 503)


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
        line = " ".join(text.split())[:MAX_WORDS]
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
    if answer.status in BUSY or (answer.status == 409 and after_s is not None):
        raise TryAgain(answer.words, after_s, clear=answer.status in NOT_TAKEN)
    if answer.status == 412:
        raise Refused(f"somebody else published a version in between: {answer.words}")
    if 300 <= answer.status < 400 and "Location" in answer.headers:
        raise Refused(f"{answer.words}; give the address it leads to: {answer.headers['Location']}")
    raise Refused(answer.words)


def not_given(answer: Answer) -> Exception:
    """Return the error of a file that was asked for and not given."""
    # What was just taken may not be served yet.
    if answer.status in (202, 404, *BUSY):
        return TryAgain(answer.words, waiting(answer))
    return Refused(answer.words)


def waiting(answer: Answer) -> float | None:
    """Return the seconds that an answer asks to wait; None where it does not say."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        then = parsedate_to_datetime(text)
    except ValueError:
        return None
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return max(0.0, (then - datetime.now(UTC)).total_seconds())


@contextmanager
def translated() -> Iterator[None]:
    """Turn the client's errors into those of pushes."""
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise Refused(f"that is no usable address: {error}") from error
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise TryAgain(f"no connection: {error}", clear=True) from error
    except httpx.TimeoutException as error:
        raise TryAgain("no answer in time") from error
    except httpx.RequestError as error:
        raise TryAgain(f"no whole answer: {error or 'the connection ended'}") from error
