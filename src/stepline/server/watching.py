"""Which folders a service is to watch, from the words of a person."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from stepline.app.service.intake import WatchedFolder
from stepline.errors import SettingsError

_NAMED = re.compile(r"([0-9A-Za-z][0-9A-Za-z._-]{0,127})=(.+)", re.DOTALL)


def watched_folders(words: Sequence[str | Path], *, home: Path) -> list[WatchedFolder]:
    """Return the folders that words mean: ``DIR``, or ``SOURCE=DIR``.

    Files of a folder come from a source of the folder's name unless one is given.

    Args:
        words: One for each folder.
        home: The service's own folder.

    Raises:
        SettingsError: A folder is the service's own, or in it, or it in the folder; or two
            are one, or of one source.
    """
    found: dict[str, WatchedFolder] = {}
    for word in words:
        named = _NAMED.fullmatch(str(word))
        folder = Path(named[2] if named else word).absolute()
        _refuse_own(folder, home.absolute())
        source = named[1] if named else _source_of(folder)
        if source in found:
            raise SettingsError(
                f"two watched folders would be the source '{source}': "
                f"'{found[source].folder}' and '{folder}'",
                hint=f"name the source of one: --watch NAME={folder}",
            )
        if any(each.folder == str(folder) for each in found.values()):
            raise SettingsError(f"the folder '{folder}' is watched twice")
        found[source] = WatchedFolder(folder=str(folder), source_id=source)
    return list(found.values())


def _refuse_own(folder: Path, home: Path) -> None:
    """Refuse to take in the service's own files, its token among them."""
    folder, home = folder.resolve(), home.resolve()
    inside = home == folder or home in folder.parents
    # Folders of hidden names are not looked into.
    hidden = folder in home.parents and any(
        part.startswith(".") for part in home.relative_to(folder).parts
    )
    if inside or (folder in home.parents and not hidden):
        raise SettingsError(
            f"the folder '{folder}' cannot be watched: the service's own folder '{home}' is "
            f"{'there' if not inside else 'the same, or around it'}",
            hint="watch a folder that holds nothing but files to take in",
        )


def _source_of(folder: Path) -> str:
    return re.sub("[^0-9A-Za-z._-]+", "-", folder.name).strip("-._") or "watched"
