"""What an endpoint says of a version: in its answer to a push, and where it lists versions."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin

from stepline_sdk.push import Mark, Published, Refused, plain_url

PLACES = ("{id}", "{version}", "{name}")

_HEX = re.compile(r"[0-9a-f]{32}")
_BRACES = re.compile(r"\{[^}]*\}")


class ToldFile(NamedTuple):
    """A file of a version, as the endpoint tells it.

    Attributes:
        url: Where it can be read; empty where the endpoint does not say.
        sha256: Hex digits, as the endpoint reckoned them; empty where it does not say.
    """

    url: str = ""
    sha256: str = ""


class Entry(NamedTuple):
    """What the endpoint says of a version, as it says it: addresses whole.

    Attributes:
        id: Name of the thing.
        version: What tells it from others.
        location: Where it can be read; empty where the endpoint does not say.
        sha256: Of the body that was sent, in hex digits; empty where it does not say.
        files: The files by name; empty where it does not say.
        status: ``processing``, ``failed``, or anything else for ready.
        message: Words that belong to the status.
    """

    id: str = ""
    version: str = ""
    location: str = ""
    sha256: str = ""
    files: Mapping[str, ToldFile] = {}
    status: str = ""
    message: str = ""

    @property
    def can_be_compared(self) -> bool:
        """Return whether it is ready, and there is something to compare it by."""
        return self.status == "" and bool(self.location or self.sha256 or self.files)


def published_of(said: Mapping[str, Any], url: str, *, default_version: str = "") -> Published:
    """Return a version as the endpoint tells it.

    Args:
        said: A JSON object.
        url: Address of the endpoint.
        default_version: Its version, where the object has none.

    Raises:
        Refused: It says something that cannot be understood.
    """
    location = _address(url, _text(said, "location"))
    version = _text(said, "version") or default_version
    if not version:
        raise Refused("the endpoint tells of something that has no 'version'")
    entry = Entry(
        id=_text(said, "id") or url,
        version=version,
        location=location,
        sha256=_text(said, "sha256").lower(),
        files=_files(said, location or url),
        status=_text(said, "status").lower(),
        message=_text(said, "message"),
    )
    key, content = _text(said, "idempotency_key").strip('"'), _text(said, "content")
    mark = Mark(key, content) if _HEX.fullmatch(key) else None
    named, numbered = _shown(entry.id), _shown(version)
    return Published(named, numbered, url=plain_url(location), mark=mark, token=entry)


def _shown(text: str) -> str:
    """Return a name that the endpoint gave; an address without what may let people in."""
    return plain_url(text) if "://" in text else text


def merged(listed: Published, answered: Published) -> Published:
    """Return a version as it is listed, with what only the answer to the push said of it."""
    now, then = listed.token, answered.token
    told = {
        name: getattr(now, name) or getattr(then, name) for name in ("location", "sha256", "files")
    }
    return listed._replace(url=plain_url(told["location"]), token=now._replace(**told))


def check_template(template: str, *, several: bool) -> None:
    """Refuse an address of versions that cannot be filled.

    Raises:
        Refused: It names something unknown, or not the file though there are several.
    """
    for place in _BRACES.findall(template):
        if place not in PLACES:
            known = ", ".join(PLACES)
            raise Refused(f"input 'read_back_url' has {place}; it may have: {known}")
    if template and several and "{name}" not in template:
        raise Refused("input 'read_back_url' needs {name}, for there are several files")


def filled(template: str, entry: Entry, name: str) -> str:
    """Return the address of a file of a version."""
    values = {"{id}": entry.id, "{version}": entry.version, "{name}": name}
    return _BRACES.sub(lambda place: quote(values[place.group()], safe=""), template)


def _files(said: Mapping[str, Any], base: str) -> dict[str, ToldFile]:
    listed = said.get("files") or []
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise Refused("what the endpoint says under 'files' is no list of objects")
    return {
        _text(each, "name"): ToldFile(
            _address(base, _text(each, "url")), _text(each, "sha256").lower()
        )
        for each in listed
    }


def _address(base: str, text: str) -> str:
    return urljoin(base, text) if text else ""


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise Refused(f"what the endpoint says under '{name}' is neither text nor number")
    return str(value)
