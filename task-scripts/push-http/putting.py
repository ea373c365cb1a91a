"""Putting: the address is the file, and each push replaces it."""

import hashlib
from collections.abc import Sequence
from urllib.parse import urljoin

from answers import BUSY, Answer, not_given, whole
from endpoint import Endpoint
from listing import check_template, filled
from saying import check_note, echoed_digest, headers_of, remarks

from stepline_sdk.push import (
    Destination,
    Mark,
    Published,
    Refused,
    RemoteFile,
    Staged,
    StagedFile,
)

NO_FILE = (404, 410)


class Put(Destination):
    """An address that takes a PUT for its new content, such as a WebDAV server has.

    It keeps no mark, and needs none: the same bytes in the same place are the same thing.

    Args:
        endpoint: The endpoint.
        read_back_url: Where the file is read back; empty: at the same address.
    """

    kind = "http-put"

    def __init__(self, endpoint: Endpoint, *, read_back_url: str = "") -> None:
        self.ref = endpoint.url
        self._endpoint = endpoint
        self._template = urljoin(endpoint.url, read_back_url or endpoint.url)
        self._file = StagedFile("", "", 0, "")
        self._mark = Mark("", "")
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
        nothing = Published(self.ref, "")
        with self._endpoint.reading(filled(self._template, nothing, self._file.name)) as response:
            if response.status_code in NO_FILE:
                return []
            if response.status_code != 200:
                return self._cannot_read(whole(response))
            size, digest = 0, hashlib.sha256()
            for chunk in response.iter_bytes():
                digest.update(chunk)
                size += len(chunk)
                if size > self._file.size:
                    break
            return [self._there(response.headers.get("ETag", ""), digest.hexdigest())]

    def caveats(self) -> Sequence[str]:
        """Return what this address cannot do for a push."""
        found = remarks(self._endpoint)
        if self._unreadable:
            found.append(
                f"what is there cannot be read ({self._unreadable}): without a digest in the "
                "answer to the PUT the push will end published, but not verified"
            )
        return found

    def upload(self, staged: Staged, newest: Published | None) -> None:
        """Put the file, unless what is there has changed in between."""
        headers = headers_of(staged)
        if self.shows_all and newest is None:
            headers["If-None-Match"] = "*"
        elif newest is not None and newest.token.startswith('"'):
            headers["If-Match"] = newest.token
        self._sent = True
        try:
            answer = self._endpoint.send("PUT", staged, headers)
        except Refused:
            # The same bytes, if they were there before, are none that were sent.
            self._sent = newest is None or newest.mark is None
            raise
        if self._unreadable:
            told = echoed_digest(answer) or str(answer.json().get("sha256") or "")
            version = answer.headers.get("ETag", "").strip('"') or self._file.sha256[:16]
            self._answered = Published(self.ref, version, self.ref, staged.mark, token=told)

    def files(self, published: Published) -> dict[str, RemoteFile]:
        """Return the file: to be read back, or its digest."""
        if not self._unreadable:
            return {self._file.name: RemoteFile()}
        if not published.token:
            raise Refused(f"the endpoint gives no digest, and no file: {self._unreadable}")
        return {self._file.name: RemoteFile(sha256=published.token)}

    def download(self, published: Published, name: str, path: str) -> None:
        """Fetch the file to a path."""
        address = filled(self._template, published, name)
        self._endpoint.download(address, path, limit=self._file.size)

    def _there(self, etag: str, sha256: str) -> Published:
        mark = None
        if sha256 == self._file.sha256:
            # Whoever put it there before: with `force` it is to be put again.
            mark = self._mark if self._sent else Mark("", self._mark.content)
        version = etag.removeprefix("W/").strip('"') or sha256[:16]
        return Published(self.ref, version, self.ref, mark, token=etag)

    def _cannot_read(self, answer: Answer) -> list[Published]:
        if answer.status in BUSY:
            raise not_given(answer)
        self.shows_all = False
        self._unreadable = f"GET is answered by {answer.words}"
        return []
