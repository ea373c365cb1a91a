"""Putting: the address is the file, and each push replaces it."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urljoin

import httpx
from answers import CHANGED, Answer, not_given, took, whole
from endpoint import Endpoint
from listing import Entry, check_template, filled
from saying import ITS_OWN_WORD, check_note, headers_of, place_of, remarks

from stepline_sdk.push import (
    Destination,
    Mark,
    Published,
    Refused,
    RemoteFile,
    Staged,
    StagedFile,
    TryAgain,
    Unverified,
    is_busy,
)

NO_FILE = (404, 410)
SPOILT = "what is there now is neither what was there nor what was sent, perhaps a part of it"
UNGUARDED = (
    "what is there has no strong ETag: if somebody else changes it in between, it is written over"
)


class Seen(NamedTuple):
    """What is at the address.

    Attributes:
        etag: As the endpoint tells it; empty where it does not.
        sha256: In hex digits, of as many bytes as the file to push has, and one more.
        told: Whether the endpoint told the digest, and nothing could be read.
    """

    etag: str = ""
    sha256: str = ""
    told: bool = False

    @property
    def condition(self) -> dict[str, str]:
        """Return the header by which it is replaced only while it is there."""
        return {"If-Match": self.etag} if self.etag.startswith('"') else {}


class Put(Destination):
    """An address that takes a PUT for its new content, such as a WebDAV server has.

    It keeps no mark, and needs none: the same bytes in the same place are the same thing.

    Args:
        endpoint: The endpoint.
        read_back_url: Where the file is read back; empty: at the same address.
    """

    kind = "http-put"

    def __init__(self, endpoint: Endpoint, *, read_back_url: str = "") -> None:
        self.ref = endpoint.shown_url
        self.about = place_of(endpoint)
        self._endpoint = endpoint
        self._template = urljoin(endpoint.url, read_back_url or endpoint.url)
        self._file = StagedFile("", "", 0, "")
        self._mark = Mark("", "")
        self._first: Seen | None = None
        self._sent = False
        self._answered: Published | None = None
        self._unreadable = ""

    def check(self, staged: Staged) -> None:
        """Refuse more than one file, and what does not fit."""
        if len(staged.files) > 1:
            raise Refused("a PUT takes one file, for its address is the file's; use POST")
        check_template(self._template, several=False)
        check_note(staged)
        [self._file] = staged.files.values()
        self._mark = staged.mark

    def versions(self) -> list[Published]:
        """Return what is there now; if its bytes are those of the push, with its mark."""
        if self._unreadable:
            return [self._answered] if self._answered else []
        with self._endpoint.reading(self._address()) as response:
            if response.status_code in NO_FILE:
                there = None
            elif response.status_code == 200:
                there = self._seen(response)
            else:
                return self._cannot_read(whole(response))
        if not self._sent:
            self._first = there
        return [self._published(there)] if there else []

    def caveats(self) -> Sequence[str]:
        """Return what this address cannot do for a push."""
        found = remarks(self._endpoint)
        if self._unreadable:
            found.append(
                f"what is there cannot be read ({self._unreadable}): it is replaced whoever put it "
                "there, and without a digest in the answer to the PUT, which is the endpoint's own "
                "word, the push will end published, but not verified"
            )
        elif self._first and not self._first.condition:
            found.append(UNGUARDED)
        return found

    def upload(self, staged: Staged, newest: Published | None) -> None:
        """Put the file, unless what is there has changed in between."""
        headers = headers_of(staged)
        if self.shows_all and newest is None:
            headers["If-None-Match"] = "*"
        elif newest is not None:
            headers.update(newest.token.condition)
        is_again, self._sent = self._sent, True
        answer = self._endpoint.send("PUT", staged, headers)
        try:
            took(answer)
        except TryAgain as error:
            error.clear = error.clear and not self._is_spoilt()
            raise
        except Refused as error:
            # Who refuses a condition has not begun to write.
            if (is_again or answer.status != CHANGED) and self._is_spoilt():
                raise Unverified(f"{error}; {SPOILT}") from error
            # The same bytes, if they were there before, are none that were sent.
            self._sent = newest is None or newest.mark is None
            raise
        if self._unreadable:
            told = str(answer.json().get("sha256") or "").lower()
            etag = answer.headers.get("ETag", "")
            self._answered = self._published(Seen(etag, told, told=True), staged.mark)

    def files(self, published: Published) -> dict[str, RemoteFile]:
        """Return the file: to be read back, or its digest."""
        seen: Seen = published.token
        if not self._unreadable:
            return {self._file.name: RemoteFile()}
        if not seen.sha256:
            raise Refused(f"the endpoint gives no digest, and no file: {self._unreadable}")
        return {self._file.name: RemoteFile(sha256=seen.sha256)}

    def download(self, published: Published, name: str, path: str) -> None:
        """Fetch the file to a path."""
        self._endpoint.download(self._address(), path, limit=self._file.size)

    def finish(self, published: Published) -> dict[str, Any]:
        """Return what the receipt is to say of a digest that nothing but the endpoint tells."""
        return {"caveat": ITS_OWN_WORD} if published.token.told else {}

    def _address(self) -> str:
        return filled(self._template, Entry(id=self._endpoint.url), self._file.name)

    def _seen(self, response: httpx.Response) -> Seen:
        """Read as much as tells what is there from the file, and return what it is."""
        most, digest = self._file.size + 1, hashlib.sha256()
        for chunk in response.iter_bytes():
            digest.update(chunk[:most])
            most -= len(chunk[:most])
            if not most:
                break
        return Seen(response.headers.get("ETag", ""), digest.hexdigest())

    def _published(self, seen: Seen, mark: Mark | None = None) -> Published:
        if mark is None and seen.sha256 == self._file.sha256:
            # Whoever put it there before: with `force` it is to be put again.
            mark = self._mark if self._sent else Mark("", self._mark.content)
        sha256 = seen.sha256 or self._file.sha256
        version = seen.etag.removeprefix("W/").strip('"') or sha256[:16]
        return Published(self.ref, version, self.ref, mark, token=seen)

    def _is_spoilt(self) -> bool:
        """Return whether an endpoint that did not take the file has not left alone what was there.

        False, too, where that cannot be seen.
        """
        try:
            now = [version.token.sha256 for version in self.versions()]
        except (Refused, TryAgain):
            return False
        if self._unreadable:
            return False
        before = [self._first.sha256] if self._first else []
        return now not in (before, [self._file.sha256])

    def _cannot_read(self, answer: Answer) -> list[Published]:
        if is_busy(answer.status):
            raise not_given(answer)
        self.shows_all = False
        self._unreadable = f"GET is answered by {answer.words}"
        return []
