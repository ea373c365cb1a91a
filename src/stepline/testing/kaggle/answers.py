"""The stand-in's answer to each operation, for both lines of the client."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from stepline.testing.kaggle.kernels import KernelAnswers, Kernels
from stepline.testing.kaggle.models import ModelAnswers, Models
from stepline.testing.kaggle.record import Dataset, DatasetFile, DatasetVersion
from stepline.testing.kaggle.replies import bytes_reply, instant, status_reply, tokens
from stepline.testing.kaggle.state import DeclinedError, KaggleState, NewDataset
from stepline.testing.kaggle.wire import KaggleRequest
from stepline.testing.loopback.messages import RefusedError, Reply, error_reply, json_reply

# Bytes are fetched and sent by URLs that a client gets from an authorised call.
_OPEN = frozenset({"PutBlob", "GetFile", "GetArchive", "GetModelArchive"})

_RANGE = re.compile(r"bytes (?:\*|(\d+)-\d+)/\d+")

# Zip cannot hold an earlier time; a fixed one makes the same files the same archive.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


class Answers:
    """Answers requests from a state, which it changes as the service would.

    Args:
        state: What the service knows of datasets and uploads; the caller holds its lock.
        kernels: What it knows of kernels.
        models: What it knows of models.
    """

    def __init__(self, state: KaggleState, kernels: Kernels, models: Models) -> None:
        self._state = state
        self._operations: dict[str, Callable[[KaggleRequest], Reply]] = {
            "CreateDataset": self._create_dataset,
            "CreateDatasetVersion": self._create_version,
            "DownloadDataset": self._download,
            "GetArchive": self._get_archive,
            "GetDataset": self._get_dataset,
            "GetDatasetMetadata": self._get_metadata,
            "GetDatasetStatus": self._get_status,
            "GetFile": self._get_file,
            "ListDatasetFiles": self._list_files,
            "PutBlob": self._put_blob,
            "IntrospectToken": self._introspect,
            "StartBlobUpload": self._start_upload,
            **KernelAnswers(state, kernels).operations,
            **ModelAnswers(state, models).operations,
        }

    def __call__(self, request: KaggleRequest) -> Reply:
        """Return the answer.

        Raises:
            RefusedError: The service refuses.
        """
        operation = self._operations.get(request.operation)
        if operation is None:
            return error_reply(404, f"the stand-in does not know {request.method} {request.path}")
        if request.operation not in _OPEN and not request.authorised:
            return error_reply(401, "Unauthenticated")
        try:
            return operation(request)
        except DeclinedError as declined:
            return status_reply("error", error=str(declined))

    def _introspect(self, request: KaggleRequest) -> Reply:
        # A client asks with the token that it signs in with; so who may ask has a good one.
        return json_reply({"active": True, "username": request.user or ""})

    def _start_upload(self, request: KaggleRequest) -> Reply:
        size = request.parameters.get("contentLength", 0)
        name = request.parameters.get("name")
        if not isinstance(name, str) or not isinstance(size, int):
            raise RefusedError(400, "an upload needs a name and a contentLength")
        kind = str(request.parameters.get("type", ""))
        blob = self._state.begin_upload(name=name, kind=kind, size=size)
        url = f"{request.base}/storage/uploads/{blob.token}"
        return json_reply({"token": blob.token, "createUrl": url})

    def _put_blob(self, request: KaggleRequest) -> Reply:
        token = request.parameters["token"]
        span = _RANGE.fullmatch(request.content_range)
        if span and span[1] is None:
            return self._tell_progress(token)
        blob = self._state.receive(token, request.data, offset=int(span[1]) if span else 0)
        return Reply(200) if blob.complete else self._tell_progress(token)

    def _tell_progress(self, token: str) -> Reply:
        # A client that resumes asks this first: "nothing yet" must not look like "all
        # there", not even for an empty file.
        blob = self._state.upload(token)
        if blob.complete:
            return Reply(200)
        headers = {"Range": f"bytes=0-{len(blob.data) - 1}"} if blob.data else {}
        return Reply(308, headers=headers)

    def _create_dataset(self, request: KaggleRequest) -> Reply:
        said = request.parameters
        new = NewDataset(
            owner=str(said.get("ownerSlug", "")),
            slug=str(said.get("slug", "")),
            title=str(said.get("title", "")),
            licence=str(said.get("licenseName", "")),
            private=bool(said.get("isPrivate", False)),
            description=str(said.get("description") or ""),
        )
        if request.user is not None and new.owner != request.user:
            raise RefusedError(403, "Permission 'datasets.create' was denied")
        dataset = self._state.create_dataset(new, tokens(said))
        return status_reply("ok", ref=f"/{dataset.ref}", url=_page(dataset))

    def _create_version(self, request: KaggleRequest) -> Reply:
        said = request.parameters.get("body") or {}
        if said.get("deleteOldVersions"):
            raise DeclinedError("the stand-in keeps all versions")
        notes = str(said.get("versionNotes") or "")
        dataset = self._state.create_version(
            request.ref, notes=notes, tokens=tokens(said), description=said.get("description")
        )
        return status_reply("ok", ref=f"/{dataset.ref}", url=_page(dataset))

    def _get_status(self, request: KaggleRequest) -> Reply:
        status = self._state.ask_status(request.ref)
        return json_reply(status.lower() if request.line == "1.6" else {"status": status})

    def _get_dataset(self, request: KaggleRequest) -> Reply:
        dataset = self._state.dataset(request.ref)
        files = dataset.current.files
        return json_reply(
            {
                "ref": dataset.ref,
                "ownerRef": dataset.owner,
                "title": dataset.title,
                "description": dataset.description,
                "licenseName": dataset.licence,
                "isPrivate": dataset.private,
                "url": _page(dataset),
                "totalBytes": sum(file.size for file in files),
                "lastUpdated": instant(dataset.current.created_at),
                "currentVersionNumber": dataset.current.number,
                "files": [_file(file, dataset.current) for file in files],
                "versions": [_version(version) for version in dataset.versions],
            }
        )

    def _get_metadata(self, request: KaggleRequest) -> Reply:
        dataset = self._state.dataset(request.ref)
        info = {
            "datasetSlug": dataset.slug,
            "ownerUser": dataset.owner,
            "title": dataset.title,
            "description": dataset.description,
            "isPrivate": dataset.private,
            "licenses": [{"name": dataset.licence}],
        }
        return json_reply({"info": info, "errorMessage": ""})

    def _list_files(self, request: KaggleRequest) -> Reply:
        version = self._state.version(request.ref, _version_number(request))
        files = [_file(file, version) for file in version.files]
        return json_reply({"datasetFiles": files, "errorMessage": "", "nextPageToken": ""})

    def _download(self, request: KaggleRequest) -> Reply:
        version = self._state.version(request.ref, _version_number(request))
        name = request.parameters.get("fileName")
        if name:
            _find(version, name)
            place = f"files/{request.ref}/{version.number}/{quote(name)}"
        else:
            place = f"archives/{request.ref}/{version.number}/archive.zip"
        return Reply(302, headers={"Location": f"{request.base}/storage/{place}"})

    def _get_file(self, request: KaggleRequest) -> Reply:
        version = self._state.version(request.ref, int(request.parameters["number"]))
        file = _find(version, request.parameters["fileName"])
        return bytes_reply(self._state.content(file.sha256), version.created_at)

    def _get_archive(self, request: KaggleRequest) -> Reply:
        version = self._state.version(request.ref, int(request.parameters["number"]))
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in version.files:
                entry = zipfile.ZipInfo(file.name, date_time=_ZIP_TIME)
                archive.writestr(entry, self._state.content(file.sha256))
        return bytes_reply(packed.getvalue(), version.created_at)


def _version_number(request: KaggleRequest) -> int | None:
    number = request.parameters.get("datasetVersionNumber")
    if number in (None, "", "None"):  # the 1.6 line sends the word None when it has none
        return None
    try:
        return int(number)
    except (TypeError, ValueError):
        raise RefusedError(400, f"{number!r} is not a version number") from None


def _find(version: DatasetVersion, name: str) -> DatasetFile:
    for file in version.files:
        if file.name == name:
            return file
    raise RefusedError(404, f"version {version.number} has no file {name}")


def _page(dataset: Dataset) -> str:
    return f"https://www.kaggle.com/datasets/{dataset.ref}"


def _file(file: DatasetFile, version: DatasetVersion) -> dict[str, Any]:
    return {
        "ref": file.name,
        "name": file.name,
        "totalBytes": file.size,
        "creationDate": instant(version.created_at),
    }


def _version(version: DatasetVersion) -> dict[str, Any]:
    return {
        "versionNumber": version.number,
        "versionNotes": version.notes,
        "status": version.status.capitalize(),
        "creationDate": instant(version.created_at),
    }
