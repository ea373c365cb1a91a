"""Files by the names that people type: an id, a path in the service, a path on disk."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from stepline.cli.display import printable
from stepline.cli.session import Plain, Session
from stepline.cli.words import path_shown
from stepline.errors import SettingsError

_LIST = "see stepline files list"
# Addresses have limits; no path in the service is as long.
_LONGEST = 2048


def file_named(session: Session, name: str) -> Plain:
    """Return the one file that a name means, of a path the newest version.

    Raises:
        SettingsError: There is none, or there are several.
    """
    found = find_file(session, name)
    if found is None:
        raise SettingsError(f"there is no file '{shortened_name(name)}'", hint=_LIST)
    return found


def find_file(session: Session, name: str, *, disk: Sequence[str] = ()) -> Plain | None:
    """Return the one file that a name means; None if there is none.

    Args:
        session: The service.
        name: Id or path.
        disk: Where it may have lain in a watched folder, as `places_on_disk` says.

    Raises:
        SettingsError: There are several.
    """
    if not is_sendable(name):
        return None
    answer = session.client.get("fileinfo", name=name, disk=list(disk))
    if answer["total"] > 1:
        raise SettingsError(
            f"{answer['total']} files have the path '{printable(name)}'",
            hint=f"name one by its id, or its whole path: {_several(answer)}",
        )
    return dict(answer["items"][0]) if answer["items"] else None


def places_on_disk(name: str) -> list[str]:
    """Return the absolute paths that a name may mean, whether or not there is a file."""
    if not is_sendable(name) or "\0" in name:
        return []
    # A folder may be watched by a path with links in it, as the shell has it, or without.
    shell = os.path.join(os.environ.get("PWD", ""), name)
    places = [os.path.abspath(name), os.path.realpath(name), os.path.normpath(shell)]
    return [each for each in dict.fromkeys(places) if os.path.isabs(each) and is_sendable(each)]


def _several(answer: Plain) -> str:
    words = [_one(each) for each in answer["items"]]
    more = answer["total"] - len(words)
    return ", ".join(words) + (f", and {more} more" if more else "")


def _one(info: Plain) -> str:
    source: Any = info.get("source") or {}
    return f"{info['fileId']} ({path_shown(info)}, source type {printable(source.get('type'))})"


def is_sendable(name: str) -> bool:
    """Return whether a service can be asked for a name; one of bytes that are no text is not."""
    is_text = not any("\ud800" <= char <= "\udfff" for char in name)
    return is_text and 0 < len(name) <= _LONGEST


def shortened_name(name: str) -> str:
    """Return a name for a message."""
    return printable(name if len(name) <= 200 else f"{name[:200]}…")
