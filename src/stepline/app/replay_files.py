"""Files of a replay: what recorded attempts read, under the pointers by which they knew it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stepline.app.replay import Recorded, RecordingService
from stepline.errors import Location, PlatformError
from stepline.model.file import FileCategory, FilePointer, FileRecord, Label
from stepline.ports.lake import LocalLake


def wanted_files(recorded: Recorded) -> dict[str, bool]:
    """Return the files that a replay needs, and of each whether its bytes are needed.

    Files that its own steps, or later ones, wrote are not among them: they were not there
    when these steps began.

    Args:
        recorded: What is run again.
    """
    wanted: dict[str, bool] = {}
    if recorded.pins["inputFile"]:
        wanted[recorded.pins["inputFile"]["fileId"]] = True
    for read in recorded.reads():
        for file_id in _ids(read):
            wanted[file_id] = read["kind"] == "file" or wanted.get(file_id, False)
    later = recorded.workflow["tasks"][min(recorded.steps) :]
    made = {file_id for task in later for a in task["attempts"] for file_id in a["written"]}
    return {file_id: needed for file_id, needed in wanted.items() if file_id not in made}


def fetch_files(
    recorded: Recorded,
    service: RecordingService,
    *,
    lake: LocalLake,
    folder: Path,
    warn: Callable[[str], None],
) -> FileRecord | None:
    """Make the files that a replay needs visible here.

    Labels are those of now; all else of a file version never changes.

    Args:
        recorded: What is run again.
        service: Has the files.
        lake: Where they become visible.
        folder: Folder for their bytes.
        warn: Told of files that are gone.

    Returns:
        The record of the input file, if there is one.

    Raises:
        PlatformError: A file cannot be fetched or written.
    """
    wanted = wanted_files(recorded)
    infos = []
    for file_id in wanted:
        info = service.file_info(file_id)
        if info is None:
            warn(f"the file {file_id}, which a recorded attempt read, is not there any more")
        else:
            infos.append(info)
    _make(folder)
    for number, info in enumerate(sorted(infos, key=lambda each: str(each["createdAt"]))):
        path = folder / str(number) if wanted[info["fileId"]] else None
        if path is not None:
            service.content(info, path)
        lake.add_known(file_record(info, input_file=recorded.pins["inputFile"]), path)
    input_id = (recorded.pins["inputFile"] or {}).get("fileId")
    return lake.catalog.get(input_id) if input_id else None


def file_record(
    info: Mapping[str, Any], *, input_file: Mapping[str, Any] | None = None
) -> FileRecord:
    """Return the record of a file from its published form.

    Args:
        info: As ``GET /v1/fileinfo`` gives it.
        input_file: The workflow's input file as its tasks see it, which tells more if it
            is this one.
    """
    file, integration = info["file"], info["integration"]
    provenance = {
        "pipelineId": integration["id"],
        "pipelineName": integration["name"],
        "pipelineHistory": _history(info, input_file),
    }
    return FileRecord(
        pointer=FilePointer(
            file["bucket"], file["path"], file_id=info["fileId"], version=file["version"]
        ),
        category=FileCategory(info["category"]),
        size=info["size"],
        sha256=info["sha256"],
        created_at=info["createdAt"],
        source={part: text for part, text in info["source"].items() if text is not None},
        metadata=info["metadata"],
        tags=tuple(info["tags"]),
        labels=tuple(Label(each["name"], each["value"], each["id"]) for each in info["labels"]),
        ids=info["ids"] or "",
        source_file_id=info["rawFileId"] or "",
        trace_id=info["traceId"] or "",
        provenance=provenance if integration["type"] else {},
    )


def _history(info: Mapping[str, Any], input_file: Mapping[str, Any] | None) -> list[Any]:
    """Return the ids of the pipelines that led to a file, as far as that is known here."""
    if input_file and input_file["fileId"] == info["fileId"]:
        return [each for each in input_file["meta"]["pipelineHistory"].split(",") if each]
    return [info["integration"]["id"]]


def _ids(read: Mapping[str, Any]) -> list[str]:
    if read["kind"] == "file":
        return [read["file"]["fileId"]]
    if read["kind"] in ("info", "labels"):
        return [read["fileId"]]
    return list(read["fileIds"]) if read["kind"] == "search" else []


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PlatformError(
            f"the folder cannot be made: {error.strerror}", where=Location(str(folder))
        ) from error
