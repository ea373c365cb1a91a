"""What a push says to an endpoint beside the files, and beforehand to its user."""

import hashlib
from urllib.parse import quote

from answers import Answer
from endpoint import Endpoint
from signing import digest_in

from stepline_sdk.push import Refused, Staged

MAX_NOTE = 4096  # bytes; servers take headers of 8 KiB in all, at least
NOT_SIGNED = "the request is not signed, for the input 'signing_secret' is not given"
READABLE = "the address does not start with https://: what is sent can be read on its way"


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


def echoed_digest(answer: Answer) -> str:
    """Return the SHA-256 of what was sent, as headers of the answer tell it; empty if none does.

    A header may also tell the digest of the answer itself, which is none.
    """
    own = hashlib.sha256(answer.data).hexdigest()
    told = [digest_in(answer.headers.get(name, "")) for name in ("Repr-Digest", "Content-Digest")]
    return next((each for each in told if each not in ("", own)), "")
