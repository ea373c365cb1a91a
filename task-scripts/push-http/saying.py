"""What a push says to an endpoint beside the files, and beforehand to its user."""

import hashlib
from urllib.parse import quote, urlsplit

from endpoint import Endpoint

from stepline_sdk.push import Refused, Staged

MAX_NOTE = 4096  # bytes; servers take headers of 8 KiB in all, at least
NOT_SIGNED = "the request is not signed, for the input 'signing_secret' is not given"
ITS_OWN_WORD = "the digest is the endpoint's own word: nothing was read back that could be compared"
READABLE = "the address does not start with https://: what is sent can be read on its way"


def place_of(endpoint: Endpoint) -> dict[str, str]:
    """Return what tells an address from others that are shown in the same way: its query."""
    query = urlsplit(endpoint.url).query
    return {"query_sha256": hashlib.sha256(query.encode()).hexdigest()[:8]} if query else {}


def headers_of(staged: Staged) -> dict[str, str]:
    """Return the headers that hold mark and note."""
    headers = {
        "Idempotency-Key": f'"{staged.mark.key}"',
        "Stepline-Content": staged.mark.content,
    }
    if staged.note:
        headers["Stepline-Note"] = encoded(staged.note)
    return headers


def encoded(note: str) -> str:
    """Return a note as it fits into a header: percent-encoded, most of ASCII left as it is."""
    return quote(note, safe=" !#$&'()*+,-./:;<=>?@[]^_`{|}~")


def check_note(staged: Staged) -> None:
    """Refuse a note that is too long for a header.

    Raises:
        Refused: It is.
    """
    length = len(encoded(staged.note))
    if length > MAX_NOTE:
        raise Refused(f"the note is too long: {length} bytes of {MAX_NOTE}, percent-encoded")


def remarks(endpoint: Endpoint) -> list[str]:
    """Return what is to be minded of any push to an endpoint."""
    found = [] if endpoint.signs else [NOT_SIGNED]
    return found if endpoint.is_private else [*found, READABLE]
