"""The results folder of a run: files by category, and ``files.json`` about them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from stepline.errors import Location, PlatformError, SettingsError, UploadError
from stepline.model.file import FileRecord
from stepline.model.file_rules import file_name_problem
from stepline.plugins.files_local.disk import disk_error
from stepline.plugins.files_local.json_file import read_json
from stepline.plugins.files_local.lake import INDEX
from stepline.plugins.files_local.replacing import OWN, Place, remove
from stepline.plugins.files_local.store import FolderStore, copy_bytes


def export(
    records: Iterable[FileRecord],
    folder: str,
    *,
    store: FolderStore,
    notes: Iterable[FileRecord] = (),
) -> None:
    """Write files as ``<category>/<raw path>/<file>``, and ``files.json`` about them.

    Args:
        records: One version of each file.
        folder: An existing folder without any of these files.
        store: Where their bytes are; bytes of its own may come to be shared with it.
        notes: Files that get an entry, with ``path`` null, but whose bytes stay away.

    Raises:
        PlatformError: A file cannot be written.
    """
    entries: list[dict[str, Any]] = []
    linked: set[str] = set()
    for path, record in sorted(_placed(records).items()):
        target = os.path.join(folder, path)
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            _write(record.blob, target, store=store, linked=linked)
        except OSError as error:
            raise disk_error(error, f"'{target}' cannot be written") from error
        sha256 = record.sha256 or store.digest(record.blob)
        entries.append({"path": path, **record.to_plain(), "sha256": sha256})
    entries += [{"path": None, **record.to_plain()} for record in notes]
    with open(os.path.join(folder, INDEX), "x", encoding="utf-8") as file:
        json.dump(entries, file, indent=2)
        file.write("\n")


@contextmanager
def results_folder(out: str, *, others: Sequence[str] = ()) -> Iterator[str]:
    """Give a new folder to write results to, which then takes the place of ``out``.

    Until then, and where anything is raised, ``out`` stays as it is. Earlier results in
    it are replaced as a whole.

    Args:
        out: The folder that the user named.
        others: Files that are written besides those of ``files.json``, such as a record.

    Raises:
        SettingsError: ``out`` holds what is no result of a run.
        PlatformError: The disk refused something.
    """
    partial = ""
    try:
        check_results_folder(out, others=others)
        place = Place.of(out)
        os.makedirs(place.home, exist_ok=True)
        partial = place.new_folder()
        yield partial
        with place.locked():
            # Again: the user may have put something there meanwhile.
            _check_replaceable(out, place, others)
            place.put(partial)
    except OSError as error:
        raise disk_error(error, f"the results in '{out}' cannot be written") from error
    finally:
        remove(partial)


def check_results_folder(
    out: str, *, others: Sequence[str] = (), lakes: Iterable[str] = ()
) -> None:
    """Refuse a folder that results cannot take the place of.

    Args:
        out: The folder that the user named; it need not exist.
        others: Files that earlier runs wrote besides those of ``files.json``.
        lakes: Folders that the run reads, which must not be replaced.

    Raises:
        SettingsError: It is a file, is read by the run, or holds what no run wrote.
    """
    place = Place.of(out)
    for lake in lakes:
        if os.path.commonpath([place.final, os.path.realpath(lake)]) == place.final:
            raise SettingsError(
                f"the run reads '{lake}', which its results in '{out}' would replace",
                hint="use another folder for the results",
            )
    if os.path.lexists(place.final) and not os.path.isdir(place.final):
        raise SettingsError(f"'{out}' is not a folder", hint="results need a folder")
    if not place.is_writable():
        raise SettingsError(
            f"no results can be written to '{out}': neither in it nor beside it",
            hint="look at the permissions of the folder, or use another one",
        )
    if os.path.isdir(place.final):
        with place.locked():
            _check_replaceable(out, place, others)


def _check_replaceable(out: str, place: Place, others: Sequence[str]) -> None:
    found = set(_files_in(place.final))
    if place.in_place:
        found = {path for path in found if not path.startswith(OWN)}
    strangers = sorted(found - _written_by_runs(place.final, others))
    if strangers:
        raise SettingsError(
            f"'{out}' holds what is no result of a run: {', '.join(strangers[:5])}",
            hint="results replace the whole folder: use another one, or an empty one",
        )


def _placed(records: Iterable[FileRecord]) -> dict[str, FileRecord]:
    """Return records by path in the results; names that clash get a number."""
    wanted = [(_relative_path(record), record) for record in records]
    folders = {parent for path, _ in wanted for parent in _parents(path)} | {INDEX}
    placed: dict[str, FileRecord] = {}
    for path, record in wanted:
        free, number = path, 1
        while free in placed or free in folders:
            number += 1
            free = f"{path}~{number}"
        placed[free] = record
    return placed


def _relative_path(record: FileRecord) -> str:
    path = "/".join((record.category.value, record.pointer.key.split("/", 3)[-1]))
    if file_name_problem(path):
        raise PlatformError(f"the key '{record.pointer.key}' cannot be a path of a file")
    return path


def _parents(path: str) -> Iterator[str]:
    while path := os.path.dirname(path):
        yield path


def _write(blob: str, target: str, *, store: FolderStore, linked: set[str]) -> None:
    """Write a file of its own: a link to the store's bytes once, copies otherwise."""
    source = store.local_path(blob)
    if blob.startswith("sha256:") and blob not in linked:
        linked.add(blob)
        try:
            os.link(source, target)
        except OSError:
            pass
        else:
            return
    copy_bytes(source, target)


def _files_in(folder: str) -> Iterator[str]:
    for parent, _, names in os.walk(folder):
        for name in names:
            yield os.path.relpath(os.path.join(parent, name), folder)


def _written_by_runs(folder: str, others: Sequence[str]) -> set[str]:
    """Return the files that an earlier run's ``files.json`` names, and those beside it."""
    path = os.path.join(folder, INDEX)
    try:
        entries = read_json(path, error_class=UploadError)
        listed = {str(entry["path"]) for entry in entries if entry["path"] is not None}
    except FileNotFoundError:
        return set()
    except (TypeError, KeyError) as error:
        raise UploadError("is not a list of files", where=Location(path)) from error
    return listed | {INDEX, *others}
