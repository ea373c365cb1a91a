"""Posting: each push adds a version to what the endpoint has."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urljoin

from answers import Answer, took
from endpoint import Endpoint
from listing import Entry, ToldFile, check_template, filled, merged, published_of
from saying import ITS_OWN_WORD, check_note, headers_of, place_of, remarks

from stepline_sdk.push import (
    Destination,
    Mark,
    Published,
    Refused,
    RemoteFile,
    Staged,
    StagedFile,
    plain_url,
)

NOTHING_TO_COMPARE = "the endpoint gives neither an address to read it back from nor a digest"


class Posted(Destination):
    """An endpoint that takes each POST for a new version.

    Args:
        endpoint: The endpoint.
        read_back_url: Where files of a version are read back, with ``{id}``, ``{version}``
            and ``{name}``; empty: where the endpoint says.
    """

    kind = "http"

    def __init__(self, endpoint: Endpoint, *, read_back_url: str = "") -> None:
        self.ref = endpoint.shown_url
        self.about = place_of(endpoint)
        self._endpoint = endpoint
        self._template = urljoin(endpoint.url, read_back_url) if read_back_url else ""
        self._sent: dict[str, StagedFile] = {}
        self._body_sha256 = ""
        self._answered: Published | None = None
        self._why_unlisted = ""
        self._oddity = ""
        self._is_believed = False

    def check(self, staged: Staged) -> None:
        """Refuse an address for reading back that does not fit, or a note."""
        check_template(self._template, several=len(staged.files) > 1)
        check_note(staged)
        self._sent = staged.files

    def versions(self) -> list[Published]:
        """Return what the endpoint lists, and what it answered to this push."""
        own = self._answered
        if own is not None and own.token.can_be_compared:
            return [own]
        listed = self._listed() if self.shows_all else []
        if own is None:
            return listed
        if any(each.mark == own.mark for each in listed):
            return [merged(each, own) if each.mark == own.mark else each for each in listed]
        return [own, *listed]

    def caveats(self) -> Sequence[str]:
        """Return what this endpoint cannot do for a push."""
        found = remarks(self._endpoint)
        if self.shows_all:
            return found
        found.append(
            f"the endpoint does not list what it has ({self._why_unlisted}): what is unchanged "
            "is sent again, and no push is made twice only if it keeps to the Idempotency-Key"
        )
        if not self._template:
            found.append(
                "without an address to read back from (a Location in its answer, or the input "
                "'read_back_url') a digest in its answer has to do, which is its own word; "
                "without that, too, the push will end published, but not verified"
            )
        return found

    def upload(self, staged: Staged, newest: Published | None) -> None:
        """Send all files in one request, which carries the mark."""
        headers = headers_of(staged)
        if self.shows_all and newest is not None:
            headers["If-Match"] = f'"{quote(newest.token.version, safe=":/@+=,")}"'
        elif self.shows_all:
            headers["If-None-Match"] = "*"
        answer = took(self._endpoint.send("POST", staged, headers))
        self._body_sha256 = answer.sent_sha256
        self._answered = self._told(answer, staged.mark)

    def is_ready(self, published: Published) -> bool:
        """Return whether the endpoint says that it is done, where it says anything."""
        entry: Entry = self._now(published).token
        if entry.status == "failed":
            raise Refused(entry.message or "the endpoint says: failed")
        return entry.status != "processing" or not self.shows_all

    def files(self, published: Published) -> dict[str, RemoteFile]:
        """Return the files of a version: those to be read back, or their digests."""
        published = self._now(published)
        entry: Entry = published.token
        self._is_believed = False
        return {name: self._remote(published, name) for name in entry.files or self._sent}

    def download(self, published: Published, name: str, path: str) -> None:
        """Fetch a file of a version to a path."""
        address = self._address(self._now(published), name)
        self._endpoint.download(address, path, limit=self._sent[name].size)

    def finish(self, published: Published) -> dict[str, Any]:
        """Return what the receipt is to say of a digest that nothing but the endpoint tells."""
        return {"caveat": ITS_OWN_WORD} if self._is_believed else {}

    def _listed(self) -> list[Published]:
        answer = self._endpoint.get(self._endpoint.url)
        listed = answer.json().get("versions") if answer.ok else None
        if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
            self.shows_all = False
            told = f"{answer.title}, without JSON that lists versions"
            self._why_unlisted = told if answer.ok else answer.words
            return []
        return [published_of(each, self._endpoint.url) for each in listed]

    def _told(self, answer: Answer, mark: Mark) -> Published:
        """Return what the endpoint says of the version that it made."""
        said = answer.json()
        heard = {
            "location": answer.headers.get("Location"),
            "version": answer.headers.get("ETag", "").removeprefix("W/").strip('"'),
        }
        heard = {name: value for name, value in heard.items() if value}
        location = heard.get("location", "")
        # An address of which not all may be shown does not tell versions apart.
        version = location if location and plain_url(location) == location else mark.key
        url = self._endpoint.url
        try:
            told = published_of({**heard, **said}, url, default_version=version)
        except Refused as error:
            # It was taken; that the answer is odd makes that no less so.
            self._oddity = f"; {error}"
            told = published_of(heard, url, default_version=version)
        return told._replace(mark=mark)

    def _now(self, published: Published) -> Published:
        """Return a version that was not ready as it is now."""
        if not self.shows_all or published.token.status != "processing":
            return published
        same = [each for each in self.versions() if each.mark == published.mark]
        return same[0] if same else published

    def _remote(self, published: Published, name: str) -> RemoteFile:
        entry: Entry = published.token
        if name not in self._sent or self._address(published, name):
            return RemoteFile()
        self._is_believed = True
        told = entry.files.get(name, ToldFile()).sha256
        if told or (entry.sha256 and len(self._sent) == 1):
            return RemoteFile(sha256=told or entry.sha256)
        if not entry.sha256 or not self._body_sha256:
            raise Refused(NOTHING_TO_COMPARE + self._oddity)
        if entry.sha256 != self._body_sha256:
            words = "the endpoint got a body with the SHA-256 %s, and %s was sent"
            raise Refused(words % (entry.sha256, self._body_sha256))
        return RemoteFile(self._sent[name].size, self._sent[name].sha256)

    def _address(self, published: Published, name: str) -> str:
        """Return where a file can be read back; empty where it cannot."""
        entry: Entry = published.token
        if self._template:
            return filled(self._template, entry, name)
        own = entry.files.get(name, ToldFile()).url
        return own or (entry.location if len(self._sent) == 1 else "")
