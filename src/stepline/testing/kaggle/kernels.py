"""What the stand-in knows of kernels, and its answers about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from stepline.testing.kaggle.record import Kernel, KernelVersion
from stepline.testing.kaggle.replies import instant, status_reply
from stepline.testing.kaggle.state import KaggleState
from stepline.testing.kaggle.wire import KaggleRequest
from stepline.testing.loopback.messages import RefusedError, Reply, json_reply

# What a push says beside owner, name, title and source.
_SETTINGS = (
    "language kernelType isPrivate enableGpu enableTpu enableInternet datasetDataSources "
    "kernelDataSources competitionDataSources modelDataSources categoryIds"
).split()

_NO_SOURCES: dict[str, list[str]] = {
    f"invalid{kind}Sources": [] for kind in ("Dataset", "Competition", "Kernel", "Model")
}

# A larger source is refused with these words; bytes.
_LARGEST_SOURCE = 1_000_000
_TOO_LARGE = "The kernel source must be at most 1 MB"


class Kernels:
    """Kernels by ``owner/slug``, each with the runs of its versions.

    Args:
        state: Tells time, numbers, and how long a run takes; the caller holds its lock.
    """

    def __init__(self, state: KaggleState) -> None:
        self.by_ref: dict[str, Kernel] = {}
        self._state = state
        self._asks_left: dict[tuple[str, int], int] = {}

    def get(self, ref: str) -> Kernel:
        """Return a kernel.

        Raises:
            RefusedError: 404; there is none.
        """
        if ref not in self.by_ref:
            raise RefusedError(404, f"Kernel {ref} was not found")
        return self.by_ref[ref]

    def save(self, ref: str, *, title: str, source: str, settings: dict[str, Any]) -> Kernel:
        """Make a kernel or a new version of it, and queue its run."""
        owner, _, slug = ref.partition("/")
        known = self.by_ref.get(ref)
        version = KernelVersion(
            number=known.current.number + 1 if known else 1,
            source=source,
            status="QUEUED",
            failure="",
            created_at=self._state.now(),
        )
        self._asks_left[ref, version.number] = self._state.processing
        self.by_ref[ref] = Kernel(
            number=known.number if known else next(self._state.numbers),
            owner=owner,
            slug=slug,
            title=title or (known.title if known else slug),
            settings=settings,
            versions=(*(known.versions if known else ()), version),
        )
        return self.by_ref[ref]

    def ask_status(self, ref: str) -> KernelVersion:
        """Return the newest version with the status of its run, one ask further on.

        Raises:
            RefusedError: 404; there is no such kernel.
        """
        kernel = self.get(ref)
        version = kernel.current
        left = self._asks_left[ref, version.number]
        self._asks_left[ref, version.number] = left - 1
        if left <= 0 and version.status in ("QUEUED", "RUNNING"):
            failure = self._state.failure
            status = "COMPLETE" if failure is None else "ERROR"
            version = replace(version, status=status, failure=failure or "")
        elif left < self._state.processing:
            version = replace(version, status="RUNNING")
        self.by_ref[ref] = replace(kernel, versions=(*kernel.versions[:-1], version))
        return version


class KernelAnswers:
    """Answers to the operations on kernels, by name.

    Args:
        state: As in `Kernels`.
        kernels: What the service knows of them.
    """

    def __init__(self, state: KaggleState, kernels: Kernels) -> None:
        self._state = state
        self._kernels = kernels
        self.operations: dict[str, Callable[[KaggleRequest], Reply]] = {
            "GetKernel": self._get,
            "GetKernelSessionStatus": self._status,
            "SaveKernel": self._save,
        }

    def _save(self, request: KaggleRequest) -> Reply:
        said = request.parameters
        ref, source = str(said.get("slug") or ""), str(said.get("text") or "")
        owner, _, slug = ref.partition("/")
        if not owner or not slug:
            raise RefusedError(400, "a kernel needs a slug such as owner/name")
        if request.user is not None and owner != request.user:
            raise RefusedError(403, "Permission 'kernels.update' was denied")
        if len(source.encode()) > _LARGEST_SOURCE:
            return status_reply("error", error=_TOO_LARGE)
        kernel = self._kernels.save(
            ref,
            title=str(said.get("newTitle") or ""),
            source=source,
            # A kernel is private unless it is said to be public.
            settings={name: said.get(name) for name in _SETTINGS}
            | {"isPrivate": said.get("isPrivate") is not False},
        )
        return json_reply(
            {
                "ref": f"/code/{ref}",
                "url": _page(kernel),
                "versionNumber": kernel.current.number,
                "error": "",
                "invalidTags": [],
                "kernelId": kernel.number,
                **_NO_SOURCES,
            }
        )

    def _get(self, request: KaggleRequest) -> Reply:
        kernel, version = self._asked(request)
        settings = {name: value for name, value in kernel.settings.items() if value is not None}
        metadata = {
            "id": kernel.number,
            "ref": kernel.ref,
            "title": kernel.title,
            "author": kernel.owner,
            "slug": kernel.slug,
            "lastRunTime": instant(version.created_at),
            "currentVersionNumber": kernel.current.number,
            **settings,
        }
        blob = {
            "source": version.source,
            "language": kernel.settings.get("language"),
            "kernelType": kernel.settings.get("kernelType"),
            "slug": kernel.slug,
        }
        return json_reply({"metadata": metadata, "blob": blob})

    def _asked(self, request: KaggleRequest) -> tuple[Kernel, KernelVersion]:
        """Return the kernel and the version; a client may write the version after the name."""
        slug, _, number = str(request.parameters.get("kernelSlug")).partition("/")
        kernel = self._kernels.get(f"{request.parameters.get('userName')}/{slug}")
        if not number:
            return kernel, kernel.current
        for version in kernel.versions:
            if str(version.number) == number:
                return kernel, version
        raise RefusedError(404, f"Kernel {kernel.ref} has no version {number}")

    def _status(self, request: KaggleRequest) -> Reply:
        said = request.parameters
        version = self._kernels.ask_status(f"{said.get('userName')}/{said.get('kernelSlug')}")
        status = version.status.lower() if request.line == "1.6" else version.status
        return json_reply({"status": status, "failureMessage": version.failure or None})


def _page(kernel: Kernel) -> str:
    return f"https://www.kaggle.com/code/{kernel.ref}"
