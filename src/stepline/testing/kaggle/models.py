"""What the stand-in knows of models, and its answers about them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from stepline.testing.kaggle.record import DatasetFile, Model, ModelVersion, Variation
from stepline.testing.kaggle.replies import bytes_reply, instant, tokens
from stepline.testing.kaggle.state import DeclinedError, KaggleState
from stepline.testing.kaggle.wire import KaggleRequest
from stepline.testing.loopback.messages import RefusedError, Reply, json_reply

PAGE = 20
"""Versions in one answer at most, however many are asked for."""


class Models:
    """Models by ``owner/slug``.

    Args:
        state: Tells time, numbers, uploads, and how long processing takes; the caller holds
            its lock.
    """

    def __init__(self, state: KaggleState) -> None:
        self.by_ref: dict[str, Model] = {}
        self._state = state

    def get(self, ref: str) -> Model:
        """Return a model.

        Raises:
            RefusedError: 404; there is none.
        """
        if ref not in self.by_ref:
            raise RefusedError(404, f"Model {ref} was not found")
        return self.by_ref[ref]

    def variation(self, ref: str, name: str) -> Variation:
        """Return the variation ``framework/slug`` of a model.

        Raises:
            RefusedError: 404; there is none.
        """
        variations = self.get(ref).variations
        if name not in variations:
            raise RefusedError(404, f"Model {ref} has no variation {name}")
        return variations[name]

    def version(self, ref: str, name: str, *, number: int | None) -> ModelVersion:
        """Return a version of a variation, by default the newest.

        Raises:
            RefusedError: 404; there is none.
        """
        variation = self.variation(ref, name)
        if number is None:
            return variation.current
        for version in variation.versions:
            if version.number == number:
                return version
        raise RefusedError(404, f"Variation {ref}/{name} has no version {number}")

    def create(self, model: Model) -> None:
        """Add a model.

        Raises:
            DeclinedError: Its name is taken.
        """
        if model.ref in self.by_ref:
            raise DeclinedError(f'The requested slug "{model.slug}" is already in use')
        self.by_ref[model.ref] = model

    def put(self, ref: str, variation: Variation) -> None:
        """Add a variation to a model, or put it in the place of the one of its name."""
        model = self.get(ref)
        name = f"{variation.framework}/{variation.slug}"
        self.by_ref[ref] = replace(model, variations={**model.variations, name: variation})

    def add_version(self, ref: str, name: str, *, notes: str, uploads: list[str]) -> Variation:
        """Add a version of the uploads to a variation.

        Raises:
            RefusedError: 404; there is none.
            DeclinedError: As of `new_version`.
        """
        variation = self.variation(ref, name)
        number = variation.current.number + 1
        version = self.new_version(number, notes=notes, uploads=uploads)
        variation = replace(variation, versions=(*variation.versions, version))
        self.put(ref, variation)
        return variation

    def new_version(self, number: int, *, notes: str, uploads: list[str]) -> ModelVersion:
        """Return a version of the uploads.

        Raises:
            DeclinedError: An upload is missing, or the service fails as it was told to.
        """
        if self._state.failure is not None:
            raise DeclinedError(self._state.failure)
        return ModelVersion(
            number=number,
            notes=notes,
            created_at=self._state.now(),
            files=self._state.files(uploads),
            asks_left=self._state.processing,
        )


class ModelAnswers:
    """Answers to the operations on models, by name.

    Args:
        state: As in `Models`.
        models: What the service knows of them.
    """

    def __init__(self, state: KaggleState, models: Models) -> None:
        self._state = state
        self._models = models
        self.operations: dict[str, Callable[[KaggleRequest], Reply]] = {
            "CreateModel": self._create,
            "CreateModelInstance": self._create_variation,
            "CreateModelInstanceVersion": self._create_version,
            "DownloadModelInstanceVersion": self._download,
            "GetModel": self._get,
            "GetModelArchive": self._get_archive,
            "GetModelInstance": self._get_variation,
            "ListModelInstanceVersionFiles": self._list_files,
            "ListModelInstanceVersions": self._list_versions,
        }

    def _create(self, request: KaggleRequest) -> Reply:
        said = request.parameters
        owner = str(said.get("ownerSlug", ""))
        if request.user is not None and owner != request.user:
            raise RefusedError(403, "Permission 'models.create' was denied")
        model = Model(
            number=next(self._state.numbers),
            owner=owner,
            slug=str(said.get("slug", "")),
            title=str(said.get("title", "")),
            subtitle=str(said.get("subtitle") or ""),
            description=str(said.get("description") or ""),
            private=bool(said.get("isPrivate", True)),
            variations={},
        )
        self._models.create(model)
        return _created(model.number, f"https://www.kaggle.com/models/{model.ref}")

    def _create_variation(self, request: KaggleRequest) -> Reply:
        said = request.parameters.get("body") or {}
        ref = self._own_ref(request)
        framework, slug = _framework(said.get("framework")), str(said.get("instanceSlug", ""))
        if f"{framework}/{slug}" in self._models.get(ref).variations:
            raise DeclinedError(f'The variation "{slug}" already exists')
        first = self._models.new_version(1, notes="", uploads=tokens(said))
        variation = Variation(
            number=next(self._state.numbers),
            framework=framework,
            slug=slug,
            licence=str(said.get("licenseName") or ""),
            overview=str(said.get("overview") or ""),
            usage=str(said.get("usage") or ""),
            versions=(first,),
        )
        self._models.put(ref, variation)
        return _created(variation.number, _page(ref, variation))

    def _create_version(self, request: KaggleRequest) -> Reply:
        said = request.parameters.get("body") or {}
        ref = self._own_ref(request)
        notes = str(said.get("versionNotes") or "")
        variation = self._models.add_version(ref, _name(request), notes=notes, uploads=tokens(said))
        return _created(variation.number, _page(ref, variation))

    def _get(self, request: KaggleRequest) -> Reply:
        model = self._models.get(_ref(request))
        return json_reply(
            {
                "id": model.number,
                "ref": model.ref,
                "title": model.title,
                "subtitle": model.subtitle,
                "author": model.owner,
                "slug": model.slug,
                "isPrivate": model.private,
                "description": model.description,
                "instances": [_plain(model.ref, each) for each in model.variations.values()],
                "url": f"https://www.kaggle.com/models/{model.ref}",
            }
        )

    def _get_variation(self, request: KaggleRequest) -> Reply:
        ref = _ref(request)
        return json_reply(_plain(ref, self._models.variation(ref, _name(request))))

    def _list_versions(self, request: KaggleRequest) -> Reply:
        ref = _ref(request)
        model, variation = self._models.get(ref), self._models.variation(ref, _name(request))
        versions = [
            {
                "id": 1000 * variation.number + version.number,
                "framework": f"MODEL_FRAMEWORK_{variation.framework}",
                "url": f"{_page(ref, variation)}/{version.number}",
                "variationSlug": variation.slug,
                "versionNumber": version.number,
                "modelTitle": model.title,
                "isPrivate": model.private,
            }
            for version in reversed(variation.versions)
        ]
        token = str(request.parameters.get("pageToken") or "")
        start = int(token) if token.isdecimal() else 0
        more = str(start + PAGE) if start + PAGE < len(versions) else ""
        page = versions[start : start + PAGE]
        return json_reply({"versionList": {"versions": page}, "nextPageToken": more})

    def _list_files(self, request: KaggleRequest) -> Reply:
        version = self._version(request)
        if version.asks_left > 0:
            self._note_ask(request, version)
            return json_reply({"files": [], "nextPageToken": ""})
        files = [
            {"name": file.name, "size": file.size, "creationDate": instant(version.created_at)}
            for file in version.files
        ]
        return json_reply({"files": files, "nextPageToken": ""})

    def _note_ask(self, request: KaggleRequest, version: ModelVersion) -> None:
        ref = _ref(request)
        variation = self._models.variation(ref, _name(request))
        asked = replace(version, asks_left=version.asks_left - 1)
        versions = tuple(asked if each is version else each for each in variation.versions)
        self._models.put(ref, replace(variation, versions=versions))

    def _download(self, request: KaggleRequest) -> Reply:
        version = self._version(request)
        name = f"{_ref(request)}/{quote(_name(request))}/{version.number}"
        return Reply(
            302, headers={"Location": f"{request.base}/storage/models/{name}/archive.tar.gz"}
        )

    def _get_archive(self, request: KaggleRequest) -> Reply:
        version = self._version(request)
        return bytes_reply(self._packed(version.files), version.created_at)

    def _packed(self, files: tuple[DatasetFile, ...]) -> bytes:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for file in files:
                entry = tarfile.TarInfo(file.name)
                entry.size = file.size
                archive.addfile(entry, io.BytesIO(self._state.content(file.sha256)))
        return packed.getvalue()

    def _version(self, request: KaggleRequest) -> ModelVersion:
        number = request.parameters.get("versionNumber")
        return self._models.version(
            _ref(request), _name(request), number=None if number is None else int(number)
        )

    def _own_ref(self, request: KaggleRequest) -> str:
        if request.user is not None and request.parameters.get("ownerSlug") != request.user:
            raise RefusedError(403, "Permission 'models.update' was denied")
        return _ref(request)


def _ref(request: KaggleRequest) -> str:
    return f"{request.parameters.get('ownerSlug')}/{request.parameters.get('modelSlug')}"


def _name(request: KaggleRequest) -> str:
    framework = _framework(request.parameters.get("framework"))
    return f"{framework}/{request.parameters.get('instanceSlug')}"


def _framework(name: Any) -> str:
    """Return a framework's name without what the client puts before each."""
    return str(name or "UNSPECIFIED").removeprefix("MODEL_FRAMEWORK_")


def _plain(ref: str, variation: Variation) -> dict[str, Any]:
    current = variation.current
    return {
        "id": variation.number,
        "slug": variation.slug,
        "framework": f"MODEL_FRAMEWORK_{variation.framework}",
        "overview": variation.overview,
        "usage": variation.usage,
        "versionId": 1000 * variation.number + current.number,
        "versionNumber": current.number,
        "url": _page(ref, variation),
        "licenseName": variation.licence,
        "totalUncompressedBytes": sum(file.size for file in current.files),
    }


def _page(ref: str, variation: Variation) -> str:
    return f"https://www.kaggle.com/models/{ref}/{variation.framework}/{variation.slug}"


def _created(number: int, url: str) -> Reply:
    return json_reply({"id": number, "ref": "", "error": "", "url": url})
