"""An HTTP endpoint: how files are sent to it, and read back."""

import hashlib
import mimetypes
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from typing import IO, cast
from urllib.parse import quote, urljoin

import httpx
from answers import Answer, not_given, translated, waiting, whole
from signing import SIGNED_HEADERS, content_digest, digest_in, signature

from stepline_sdk.push import Refused, Staged, TryAgain, is_busy, is_private, plain_url

MAX_REDIRECTS = 5
CONNECT_S = 15.0
OWN_HEADERS = {"content-length", "host", "stepline-signature", "transfer-encoding"} | {
    name.lower() for name in SIGNED_HEADERS
}


class Endpoint:
    """The endpoint, with what is needed to be let in.

    Args:
        url: Its address.
        token: Sent as ``Authorization: Bearer``; empty for none.
        signing_secret: Signs each request; empty for none.
        headers: Sent too.
        secret_headers: Which of these others must not read.
        is_secret: Whether they must not read the address.
        timeout_s: Seconds that a connection may be silent.

    Raises:
        ValueError: The address or a header cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        signing_secret: str = "",
        headers: Mapping[str, str] | None = None,
        secret_headers: Iterable[str] = (),
        is_secret: bool = False,
        timeout_s: float = 60.0,
    ) -> None:
        self.url = checked_url(url)
        self.shown_url = plain_url(self.url)
        self.is_private = is_private(self.url)
        self.signs = bool(signing_secret)
        self._secret = signing_secret
        self._origin = origin(self.url)
        self._own = {**checked_headers(headers or {}), **bearer(token)}
        if not self.is_private:
            check_open(self._own, secret_headers, is_secret=is_secret)
        # A slow service may take its time for an answer, not for letting us in.
        self._client = httpx.Client(
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_S)),
            headers={"User-Agent": "stepline-push-http/1.0.0", "Accept-Encoding": "identity"},
        )

    def __enter__(self) -> "Endpoint":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def send(self, method: str, staged: Staged, headers: Mapping[str, str]) -> Answer:
        """Send what is staged in one request, and return the answer whatever it says.

        Raises:
            Refused: It cannot be sent.
            TryAgain: There is no answer; perhaps it was taken.
        """
        with ExitStack() as stack, translated(sends=True):
            files = {
                name: stack.enter_context(open(file.path, "rb"))
                for name, file in staged.files.items()
            }
            request = self._request(method, staged, files)
            request.headers.update(headers)
            answer = self._answer(request)
        sent = digest_in(request.headers["Content-Digest"])
        return answer._replace(sent_sha256=sent)

    def get(self, url: str) -> Answer:
        """Ask for something, and return the answer whatever it says.

        Raises:
            TryAgain: There is none, or the endpoint is busy.
        """
        with translated():
            request = self._client.build_request("GET", url, headers={"Accept": "application/json"})
            answer = self._answer(request)
        if is_busy(answer.status):
            raise TryAgain(answer.words, waiting(answer), clear=True)
        return answer

    @contextmanager
    def reading(self, url: str) -> Iterator[httpx.Response]:
        """Ask for a file, whose bytes are read as they come; redirects are followed.

        Raises:
            Refused: The redirects do not end.
            TryAgain: There is no answer, or the connection ends in the midst of it.
        """
        with ExitStack() as stack, translated():
            for _ in range(MAX_REDIRECTS):
                request = self._let_in(self._client.build_request("GET", url))
                response = stack.enter_context(closing(self._client.send(request, stream=True)))
                if not response.has_redirect_location:
                    break
                url = urljoin(url, response.headers["Location"])
            else:
                raise Refused(f"more than {MAX_REDIRECTS} redirects")
            yield response

    def download(self, url: str, path: str, *, limit: int) -> None:
        """Fetch a file to a path.

        Args:
            url: Its address.
            path: Where to.
            limit: Bytes; of a longer file the rest is not asked for.

        Raises:
            Refused: The endpoint does not give it.
            TryAgain: It does not give it now.
        """
        with self.reading(url) as response, open(path, "wb") as file:
            if response.status_code != 200:
                raise not_given(whole(response))
            for chunk in response.iter_bytes():
                file.write(chunk)
                if file.tell() > limit:
                    break

    def _request(
        self, method: str, staged: Staged, files: Mapping[str, IO[bytes]]
    ) -> httpx.Request:
        if len(files) > 1:
            return self._multipart(method, staged, files)
        [(name, file)] = files.items()
        headers = {
            "Content-Type": media_type(name),
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
            "Content-Digest": content_digest(staged.files[name].sha256),
        }
        return self._client.build_request(method, self.url, content=file, headers=headers)

    def _multipart(
        self, method: str, staged: Staged, files: Mapping[str, IO[bytes]]
    ) -> httpx.Request:
        # A boundary of the key alone, so that a repeated request has the same bytes.
        boundary = f"stepline-{staged.mark.key}"
        parts = [("files", (name, file, media_type(name))) for name, file in files.items()]
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        request = self._client.build_request(method, self.url, files=parts, headers=headers)
        body = cast(httpx.SyncByteStream, request.stream)
        request.headers["Content-Digest"] = content_digest(sha256_of(body))
        return request

    def _answer(self, request: httpx.Request) -> Answer:
        with closing(self._client.send(self._let_in(request), stream=True)) as response:
            return whole(response)

    def _let_in(self, request: httpx.Request) -> httpx.Request:
        """Add credentials and signature, if the request goes to the endpoint's own host."""
        if origin(str(request.url)) != self._origin:
            return request
        request.headers.update(self._own)
        if self._secret:
            target = request.url.raw_path.decode("ascii")
            signed = signature(self._secret, request.method, target, headers=request.headers)
            request.headers["Stepline-Signature"] = signed
        return request


def checked_url(url: str) -> str:
    """Return an address of HTTP that can be used.

    Raises:
        ValueError: It cannot.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"input 'url' is no address: {error}") from error
    if parsed.fragment:
        raise ValueError("input 'url' has a part after '#', which is never sent")
    return str(parsed)


def check_open(
    headers: Mapping[str, str], secret_headers: Iterable[str], *, is_secret: bool
) -> None:
    """Refuse to send where others can read it what they must not.

    Args:
        headers: What is sent.
        secret_headers: Which of them hold secrets.
        is_secret: Whether the address does.

    Raises:
        ValueError: There is such a thing.
    """
    closed = ["token" for name in headers if name.lower() == "authorization"]
    closed += [f"header '{name}'" for name in secret_headers] + ["address"] * is_secret
    if closed:
        raise ValueError(
            f"input 'url' must start with https://: the {closed[0]} would be readable on its way"
        )


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers that can be added.

    Raises:
        ValueError: One cannot.
    """
    for name, value in headers.items():
        if name.lower() in OWN_HEADERS:
            raise ValueError(f"input 'headers': '{name}' is set by the push itself")
        if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
            raise ValueError(f"input 'headers': {name!r} is no name of a header")
        if not value.isascii() or not value.isprintable():
            raise ValueError(f"input 'headers': the value of '{name}' is not printable ASCII")
    return dict(headers)


def bearer(token: str) -> dict[str, str]:
    """Return the header that holds a token, if there is one.

    Raises:
        ValueError: It does not fit into a header.
    """
    if not token.isascii() or not token.isprintable():
        raise ValueError("input 'token' is not printable ASCII")
    return {"Authorization": f"Bearer {token}"} if token else {}


def origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of an address."""
    parsed = httpx.URL(url)
    return parsed.scheme, parsed.host, parsed.port


def media_type(name: str) -> str:
    """Return the media type of a file by its name."""
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def sha256_of(chunks: Iterable[bytes]) -> str:
    """Return the SHA-256, in hex digits, of bytes that come in chunks."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()
