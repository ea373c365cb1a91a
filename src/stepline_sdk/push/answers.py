"""What addresses and answers of HTTP mean to a push, whichever client speaks it."""

from __future__ import annotations

import re
import time
from email.utils import mktime_tz, parsedate_tz
from ipaddress import ip_address
from urllib.parse import urlsplit, urlunsplit

_BUSY = (408, 425, 429)
_NOT_TAKEN = (425, 429, 503)
_NOT_KNOWN_HOW = 501

_QUERY = re.compile(r"(/[^\s?\"'<>]*)\?[^\s\"'<>]+")
_CREDENTIALS = re.compile(r"(?<=://)[^\s/?#@]+@")


def is_busy(status: int) -> bool:
    """Return whether an HTTP status may be another one next time.

    Any of the server's own errors may, but that it does not know how; services in front of it
    have numbers of their own.
    """
    return status in _BUSY or (status >= 500 and status != _NOT_KNOWN_HOW)


def is_not_taken(status: int) -> bool:
    """Return whether a status says for certain that what was sent was not taken, for now."""
    return status in _NOT_TAKEN


def retry_after(text: str | None) -> float | None:
    """Return the seconds that a header ``Retry-After`` asks to wait.

    Args:
        text: Its value: seconds, or a date; None where there is none.

    Returns:
        At least 0; None where it does not say.
    """
    words = (text or "").strip()
    if words.isdigit() and words.isascii():
        return float(words[:9])
    then = parsedate_tz(words)
    return None if then is None else max(0.0, mktime_tz(then) - time.time())


def plain_url(url: str) -> str:
    """Return an address without what may let people in: its query, credentials and fragment."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def plain_words(text: str) -> str:
    """Return words without what may let people in: queries and credentials of addresses."""
    return _CREDENTIALS.sub("", _QUERY.sub(r"\1", text))


def is_private(url: str) -> bool:
    """Return whether nobody on the way reads what is sent: by https, or to this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
