"""What a push says to an endpoint beside the files, and beforehand to its user."""

import hashlib
from urllib.parse import quote

from answers import Answer
from endpoint import Endpoint
from signing import digest_in

from stepline_sdk.push import Staged

NOT_SIGNED = "the request is not signed, for the input 'signing_secret' is not given"
READABLE = "the address does not start with https://: what is sent can be read on its way"


def headers_of(staged: Staged) -> dict[str, str]:
    """Return the headers that hold mark and note."""
    headers = {
        "Idempotency-Key": f'"{staged.mark.key}"',
        "Stepline-Content": staged.mark.content,
    }
    if staged.note:
        headers["Stepline-Note"] = quote(staged.note, safe=" !#$&'()*+,-./:;<=>?@[]^_`{|}~")
    return headers


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
