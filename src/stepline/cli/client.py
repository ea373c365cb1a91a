"""The command line as a client of a service: requests, retries, and errors in its own words.

httpx is imported when the first request is made, and nothing of a request's body is ever
part of an error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from stepline import __version__
from stepline.cli.connection import Connection
from stepline.cli.display import printable
from stepline.errors import Location, PlatformError, Problem, SettingsError, UserError

if TYPE_CHECKING:
    import httpx

TRIES = 4
RUNNING_HINT = "is the service running? stepline serve"
_CONNECT_S = 5.0
_ANSWER_S = 60.0
_FIRST_DELAY_S = 0.2
_LONGEST_DELAY_S = 2.0
_NO_CONTENT = 204
_BUSY = (429, 502, 503, 504)
_SHOWN_CHARACTERS = 300
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Unreachable(PlatformError):
    """The connection could not be made, or broke before the answer was here."""


class Answered(UserError):
    """The service refused what was asked.

    Args:
        status: Status code of the answer.
        body: The answer, if it was a JSON object.
    """

    def __init__(self, what: str, *, status: int, body: Mapping[str, Any], hint: str = "") -> None:
        super().__init__(what, hint=hint, problems=_problems(body))
        self.status = status
        self.body = body


class Client:
    """Talks to one service.

    Args:
        connection: The service.
        transport: What sends requests; None for the network.
        sleep: Waits for seconds between two tries.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        import httpx

        from stepline.app.masking import remember_for_reports

        remember_for_reports(connection.auth_token)
        self.connection = connection
        self._sleep = sleep
        address = urlsplit(connection.api_url)
        self._http = httpx.Client(
            headers={
                "ts-auth-token": connection.auth_token,
                "x-org-slug": connection.org,
                "user-agent": f"stepline/{__version__}",
            },
            # Reading all certificates takes longer than a request that needs none.
            verify=address.scheme == "https" and not connection.ignore_ssl,
            # A proxy cannot reach what listens on this machine only.
            trust_env=address.hostname not in _LOOPBACK,
            timeout=httpx.Timeout(_ANSWER_S, connect=_CONNECT_S),
            transport=transport,
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def get(self, path: str, *, tries: int = TRIES, patient: bool = False, **params: Any) -> Any:
        """Return what an address holds; a broken connection is tried again.

        Args:
            path: Path below ``/v1``, as `path_of` makes it.
            tries: Most tries.
            patient: Try again also where nobody listens, as while a service is started again.
            params: Query; parameters that are None or empty are left out.

        Raises:
            Answered: The service refused it.
            SettingsError: It does not know the token, or the token may not do that.
            PlatformError: It cannot be reached, or failed.
        """
        return self.send("GET", path, params=params, tries=tries, patient=patient)

    def send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content: Any = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        tries: int = 1,
        patient: bool = False,
    ) -> Any:
        """Send a request and return the answer's JSON, None if there is none.

        Args:
            method: HTTP method.
            path: Path below ``/v1``.
            body: Plain data to send as JSON.
            content: Bytes, or an iterable of them that can be read once, to send instead.
            headers: Further headers.
            params: Query; parameters that are None or empty are left out.
            tries: Most tries; more than one only where doing it again does no harm.
            patient: As for `get`.

        Raises:
            As `get`.
        """
        import httpx

        request = self._http.build_request(
            method,
            self._url(path),
            json=body,
            content=content,
            headers=dict(headers or {}),
            params=_query(params),
        )
        number = 0
        while True:
            number += 1
            try:
                response = self._http.send(request)
            except httpx.HTTPError as error:
                refused = isinstance(error, httpx.ConnectError)
                if number >= tries or (refused and not patient):
                    raise self._unreachable(error) from error
            else:
                if response.status_code not in _BUSY or number >= tries:
                    return self._content(response)
            self._sleep(delay_s(number))

    @contextmanager
    def stream(
        self,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        body: Any = None,
    ) -> Iterator[httpx.Response]:
        """Give an answer whose body is read bit by bit.

        Args:
            path: Path below ``/v1``.
            headers: Further headers.
            method: HTTP method.
            body: Plain data to send as JSON.

        Raises:
            As `get`; `Unreachable` also when the connection breaks while it is read.
        """
        import httpx

        try:
            with self._http.stream(
                method, self._url(path), headers=dict(headers or {}), json=body
            ) as response:
                if response.status_code >= httpx.codes.BAD_REQUEST:
                    response.read()
                    self._content(response)
                yield response
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _url(self, path: str) -> str:
        return f"{self.connection.api_url}/{path}"

    def _content(self, response: httpx.Response) -> Any:
        """Return an answer's JSON, or raise what it says."""
        body = _json(response)
        if response.status_code == _NO_CONTENT:
            return None
        if response.status_code < 300:
            return self._understood(body)
        said = body if isinstance(body, dict) else {}
        # The message has the hint at its end, for clients that show nothing else.
        what, _, hint = _text_of(said.get("message")).partition(". Hint: ")
        what, hint = printable(what.removesuffix(".") or _text(response)), printable(hint)
        if response.status_code in (401, 403):
            raise SettingsError(what, hint=hint or self._token_hint(response.status_code))
        if response.status_code >= 500 or response.status_code == 429:
            raise PlatformError(what, hint=hint or RUNNING_HINT, retryable=True)
        if response.status_code == 404 and not self.connection.api_url.endswith("/v1"):
            hint = hint or f"the api_url of {self.connection.origin} does not end with /v1"
        raise Answered(what, status=response.status_code, body=said, hint=hint)

    def _understood(self, body: Any) -> Any:
        if not isinstance(body, dict | list):
            raise PlatformError(
                f"what answers at {self.connection.api_url} is no Stepline service",
                hint=f"look at the api_url of {self.connection.origin}",
            )
        return body

    def _token_hint(self, status: int) -> str:
        origin = self.connection.origin
        if status == 401:
            return f"the token of {origin} is not that of {self.connection.api_url}"
        return f"look at org and auth_token of {origin}"

    def _unreachable(self, error: Exception) -> Unreachable:
        reason = _reason(error)
        return Unreachable(
            f"no answer from {self.connection.api_url}: {reason}",
            hint=RUNNING_HINT,
            retryable=True,
        )


def path_of(*parts: str) -> str:
    """Return a path whose parts may hold any character."""
    return "/".join(quote(part, safe=":@") for part in parts)


def delay_s(number: int) -> float:
    """Return how long to wait after a try, seconds; tries count from 1."""
    return float(min(_LONGEST_DELAY_S, _FIRST_DELAY_S * 2 ** min(number - 1, 8)))


def _query(params: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (params or {}).items() if value not in (None, "", ())}


def _json(response: httpx.Response) -> Any:
    if not response.content:
        return None
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _text(response: httpx.Response) -> str:
    """Return the beginning of an answer that is not as ours are."""
    text = " ".join(response.text[:_SHOWN_CHARACTERS].split())
    plain = "html" not in response.headers.get("content-type", "")
    return f"the answer is {response.status_code}" + (f": {text}" if text and plain else "")


def _text_of(value: object) -> str:
    return value if isinstance(value, str) else ""


def _problems(body: Mapping[str, Any]) -> list[Problem]:
    """Return an answer's problems, in the form of ``validate --json``."""
    found = body.get("problems")
    plain = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    return [
        Problem(
            str(each.get("code", "refused")),
            str(each.get("message", "")),
            Location(str(each.get("file", "")), each.get("line"), each.get("column")),
            str(each.get("hint") or ""),
            "warning" if each.get("severity") == "warning" else "error",
        )
        for each in plain
    ]


def _reason(error: Exception) -> str:
    """Return why there was no answer, in words that say more than a class's name."""
    import httpx

    if isinstance(error, httpx.ConnectTimeout):
        return f"no connection within {_CONNECT_S:g} s"
    if isinstance(error, httpx.TimeoutException):
        return f"nothing came within {_ANSWER_S:g} s"
    return str(error) or type(error).__name__
