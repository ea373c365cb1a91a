"""Kaggle's own client in a process of its own, asked by one line of JSON per call.

It is the only process that ever has the credentials in its environment, and it has a home
folder of its own, so that nothing that another program left there is used or changed. It ends
when the process that asks does.
"""

from __future__ import annotations

import ctypes
import io
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from stepline_sdk.push import is_busy, is_not_taken, plain_words, retry_after

PAGE = 200
MOST_PAGES = 1000

# The service says so of what is not there as well as of what one may not see.
_NOT_SEEN = re.compile(r"Permission '\w+\.get' was denied")
_PUBLISHING = frozenset(
    {
        "create_dataset",
        "create_dataset_version",
        "create_model_instance",
        "create_model_instance_version",
    }
)
_PR_SET_PDEATHSIG = 1


class RefusedError(Exception):
    """The service or its client says no; the text has its words."""


class UploadError(Exception):
    """A file did not reach the service.

    Args:
        message: What is wrong.
        answer: Of the place where files are sent to; None where there was none.
    """

    def __init__(self, message: str, answer: Any) -> None:
        super().__init__(message)
        self.answer = answer


def make_service() -> Any:
    """Return the client, which is imported only here: the import signs in."""
    from kaggle.api import kaggle_api_extended as extended
    from urllib3.util.retry import Retry

    # Tried here for seconds rather than minutes; the push tries again, and looks first.
    extended.Retry = lambda **_: Retry(total=2, backoff_factor=0.2)

    class Service(extended.KaggleApi):
        """The client, which says what it would pass over and does nothing twice by itself."""

        MAX_UPLOAD_RESUME_ATTEMPTS = 3
        newest: Any = None  # asked after the uploads, before the version is made

        def with_retry(self, func: Any, *_: Any, **__: Any) -> Any:
            # A call whose answer is lost may have made a version; the push looks first.
            def once(request: Any) -> Any:
                if func.__name__ in _PUBLISHING:
                    mark_sent()
                return func(request)

            return once

        def _is_upload_successful(self, response: Any) -> bool:
            self.upload_answer = response
            return bool(super()._is_upload_successful(response))

        def _upload_file(self, file_name: str, *arguments: Any, **options: Any) -> Any:
            self.upload_answer = None
            sent = super()._upload_file(file_name, *arguments, **options)
            if sent is None:
                raise failed_upload(file_name, self.upload_answer)
            return sent

        def upload_files(self, *arguments: Any, **options: Any) -> None:
            super().upload_files(*arguments, **options)
            if self.newest is not None:
                self.newest()

        def download_file(self, *arguments: Any, **options: Any) -> None:
            super().download_file(*arguments, **{**options, "max_retries": 1})

    service = Service()
    service.authenticate()
    return service


def failed_upload(name: str, answer: Any) -> UploadError:
    """Return the error of an upload that ended with an answer, or None without one."""
    # What the client would go on from is of no use any more.
    shutil.rmtree(os.path.join(tempfile.gettempdir(), ".kaggle"), ignore_errors=True)
    os.makedirs(os.path.join(tempfile.gettempdir(), ".kaggle/uploads"))
    if answer is None:
        return UploadError(f"{name} was not taken: the connection broke", None)
    # Cut only once they are plain: what is left of an address would not be known for one.
    words = plain_words(" ".join(answer.text.split()))[:300] or answer.reason
    return UploadError(f"{name} was not taken: {answer.status_code} {words}", answer)


def _sent() -> Path:
    """Return the file that is there once something was sent that may make a version.

    The asking process looks for it too, where it gets no answer, and removes it before each call.
    """
    return Path(os.environ["HOME"], "sent")


def mark_sent() -> None:
    """Note that what is sent next may make a version."""
    _sent().touch()


class Calls:
    """What may be asked; each method is one call, with JSON in and out.

    Args:
        service: The client.
    """

    def __init__(self, service: Any) -> None:
        self._service = service

    def answer(self, call: str, arguments: list[Any]) -> dict[str, Any]:
        """Return what a call gives, or the error that it ends with."""
        try:
            return {"value": getattr(self, call)(*arguments)}
        except Exception as error:  # noqa: BLE001  # handed to who asked
            return {"error": described(error, sent=_sent().exists())}

    def sign_in(self) -> str:
        """Return the user's name."""
        return str(self._service.config_values.get("username") or "")

    def slug_of(self, title: str) -> str:
        """Return what the service makes of a kernel's title."""
        from slugify import slugify

        return str(slugify(title))

    # Datasets.

    def dataset_status(self, ref: str) -> str:
        """Return such as ``ready``."""
        return str(self._service.dataset_status(ref))

    def dataset(self, ref: str) -> dict[str, Any]:
        """Return what the service tells of a dataset."""
        from kagglesdk.datasets.types.dataset_api_service import ApiGetDatasetRequest

        request = ApiGetDatasetRequest()
        request.owner_slug, request.dataset_slug = ref.split("/")
        with self._service.build_kaggle_client() as kaggle:
            found = kaggle.datasets.dataset_api_client.get_dataset(request)
        return {
            "version": found.current_version_number or 0,
            "description": found.description or "",
            "private": bool(found.is_private),
            "versions": [
                {
                    "number": each.version_number,
                    "notes": each.version_notes or "",
                    "status": (each.status or "").lower(),
                }
                for each in found.versions or []
            ],
        }

    def dataset_settings(self, ref: str) -> dict[str, str]:
        """Return title and licence, by the names that the client gives to licences."""
        from kagglesdk.datasets.types.dataset_api_service import ApiGetDatasetMetadataRequest

        request = ApiGetDatasetMetadataRequest()
        request.owner_slug, request.dataset_slug = ref.split("/")
        with self._service.build_kaggle_client() as kaggle:
            found = kaggle.datasets.dataset_api_client.get_dataset_metadata(request)
        if found.error_message or not found.info:
            return {"title": "", "licence": ""}
        licences = [each.name or "" for each in found.info.licenses or []]
        return {"title": found.info.title or "", "licence": ", ".join(licences)}

    def dataset_files(self, ref: str) -> dict[str, int]:
        """Return sizes in bytes by name; `ref` ends with the version's number."""

        def page_of(token: str | None) -> Any:
            page = self._service.dataset_list_files(ref, page_token=token, page_size=PAGE)
            if page.error_message:
                raise RefusedError(page.error_message)
            return page

        return {
            each.name: each.total_bytes for page in _pages(page_of) for each in page.files or []
        }

    def dataset_download(self, ref: str, name: str, path: str) -> None:
        """Fetch a file of a version."""
        with tempfile.TemporaryDirectory() as folder:
            self._service.dataset_download_file(ref, name, path=folder, force=True, quiet=True)
            _take_only_file(folder, name, path)

    def create_dataset(self, folder: str, public: bool) -> None:
        """Make a dataset of a folder with its metadata."""
        _check(self._service.dataset_create_new(folder, public=public, quiet=True))

    def create_version(self, folder: str, notes: str, ref: str, newest: int) -> None:
        """Make a version of a folder, unless there is another newest one by now."""

        def check() -> None:
            _same(f"dataset {ref}", newest, self.dataset(ref)["version"])

        self._service.newest = check
        try:
            _check(self._service.dataset_create_version(folder, notes, quiet=True))
        finally:
            self._service.newest = None

    # Kernels.

    def kernel(self, ref: str) -> dict[str, Any]:
        """Return what the service tells of a kernel, with the source."""
        from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelRequest

        request = ApiGetKernelRequest()
        request.user_name, request.kernel_slug = ref.split("/")
        with self._service.build_kaggle_client() as kaggle:
            found = kaggle.kernels.kernels_api_client.get_kernel(request)
        return {
            "version": found.metadata.current_version_number or 0,
            "private": bool(found.metadata.is_private),
            "source": found.blob.source or "",
        }

    def kernel_status(self, ref: str) -> dict[str, str]:
        """Return how the newest run is, and the service's words if it failed."""
        found = self._service.kernels_status(ref)
        return {"status": found.status.name.lower(), "failure": found.failure_message or ""}

    def push_kernel(self, folder: str, ref: str, newest: int) -> None:
        """Save a kernel, unless there is another newest version by now."""
        there = _or_none(lambda: self.kernel(ref))
        _same(f"kernel {ref}", newest, there["version"] if there else 0)
        mark_sent()
        answer = self._service.kernels_push(folder)
        if answer.error:
            raise RefusedError(answer.error)

    # Models.

    def create_model(self, folder: str, ref: str) -> None:
        """Make a model, unless it is there."""
        owner, slug = ref.split("/")
        if _or_none(lambda: self._service.model_get(f"{owner}/{slug}")) is None:
            _check_made(self._service.model_create_new(folder))

    def model_is_private(self, ref: str) -> bool:
        """Return whether a model is private."""
        return bool(self._service.model_get(ref).is_private)

    def create_variation(self, folder: str) -> None:
        """Make a variation of a folder with its metadata."""
        _check_made(self._service.model_instance_create(folder, quiet=True))

    def create_model_version(self, ref: str, folder: str, notes: str, newest: int) -> None:
        """Make a version of a variation, unless there is another newest one by now."""

        def check() -> None:
            now = self._service.model_instance_get(ref).version_number
            _same(f"model {ref}", newest, now)

        self._service.newest = check
        try:
            _check_made(self._service.model_instance_version_create(ref, folder, notes, quiet=True))
        finally:
            self._service.newest = None

    def model_versions(self, ref: str) -> list[int]:
        """Return the numbers of a variation's versions, newest first."""

        def page_of(token: str | None) -> Any:
            return self._service.model_instance_versions_list(ref, page_size=100, page_token=token)

        lists = [page.version_list for page in _pages(page_of) if page.version_list]
        numbers = {each.version_number for found in lists for each in found.versions or []}
        return sorted(numbers, reverse=True)

    def model_licence(self, ref: str) -> str:
        """Return the licence of a variation."""
        return str(self._service.model_instance_get(ref).license_name or "")

    def model_files(self, ref: str) -> dict[str, int]:
        """Return sizes in bytes by name; `ref` ends with the version's number."""

        def page_of(token: str | None) -> Any:
            return self._service.model_instance_version_files(ref, token, PAGE)

        return {each.name: each.size for page in _pages(page_of) for each in page.files or []}

    def model_download(self, ref: str, folder: str) -> None:
        """Fetch and unpack all files of a version."""
        self._service.model_instance_version_download(
            ref, path=folder, force=True, quiet=True, untar=True
        )


def _pages(page_of: Any) -> Iterator[Any]:
    """Yield the pages of a list, each asked for by the token in the one before."""
    token = None
    for _ in range(MOST_PAGES):
        page = page_of(token)
        yield page
        token = page.next_page_token
        if not token:
            return
    raise RefusedError(f"a list has more than {MOST_PAGES} pages")


def _take_only_file(folder: str, name: str, path: str) -> None:
    """Move what was downloaded to a path; some files come in an archive of their own."""
    names = [each for each in os.listdir(folder) if not each.endswith(".kaggle-partial")]
    if len(names) != 1:
        raise RefusedError(f"the download of {name} gave {len(names)} files")
    got = os.path.join(folder, names[0])
    if not names[0].endswith(".zip") or name.endswith(".zip"):
        shutil.move(got, path)
        return
    with zipfile.ZipFile(got) as archive:
        member = archive.extract(archive.namelist()[0], folder)
    shutil.move(member, path)


def _check(answer: Any) -> None:
    if (answer.status or "").lower() != "ok":
        raise RefusedError(answer.error or "it did not take it, and did not say why")


def _check_made(answer: Any) -> None:
    if answer.error or not answer.id:
        raise RefusedError(answer.error or "it did not take it, and did not say why")


def _same(place: str, expected: int, there: int) -> None:
    if expected != there:
        before = f"version {expected}" if expected else "nothing"
        raise RefusedError(
            f"somebody else changed it in between: {place} has version {there} now, "
            f"where there was {before}"
        )


def _or_none(question: Any) -> Any:
    try:
        return question()
    except Exception as error:
        if is_missing(error):
            return None
        raise


def is_missing(error: Exception) -> bool:
    """Tell whether an error means that something is not there."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status == 404 or (status == 403 and bool(_NOT_SEEN.search(str(error))))


def _is_no(error: BaseException) -> bool:
    """Tell whether an error without an HTTP status is a no for good, of service or client."""
    garbled = isinstance(error, json.JSONDecodeError)
    return isinstance(error, (RefusedError, ValueError)) and not garbled


def described(error: BaseException, *, sent: bool) -> dict[str, Any]:
    """Return an error as the asking process gets it.

    Args:
        error: The error.
        sent: Whether something was sent before that may have made a version.
    """
    answer = error.answer if isinstance(error, UploadError) else getattr(error, "response", None)
    status = getattr(answer, "status_code", None)
    words = plain_words(" ".join(str(error).split())) or type(error).__name__
    if isinstance(error, Exception) and is_missing(error):
        kind = "missing"
    elif isinstance(error, SystemExit):
        kind, words = "refused", "the service does not know these credentials"
    elif is_busy(status) if status else not _is_no(error):
        kind = "again"
    else:
        kind = "refused"
    return {
        "kind": kind,
        "status": status,
        "words": words,
        "after_s": None if status is None else retry_after(answer.headers.get("Retry-After")),
        "clear": not sent or (status is not None and is_not_taken(status)),
    }


def serve(requests: Any, answers: Any) -> None:
    """Answer calls until there are no more."""
    calls = None
    for line in requests:
        asked = json.loads(line)
        # What the client prints is for people at a terminal.
        with redirect_stdout(io.StringIO()):
            try:
                calls = calls or _signed_in(asked["env"])
                answer = calls.answer(asked["call"], asked["arguments"])
            except (Exception, SystemExit) as error:  # noqa: BLE001  # handed to who asked
                answer = {"error": described(error, sent=False)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _signed_in(credentials: dict[str, str]) -> Calls:
    os.environ.update(credentials)
    return Calls(make_service())


def end_with(parent: int) -> None:
    """End this process when the one that asks ends, in whatever way.

    Args:
        parent: Its process ID.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)  # it ended before


if __name__ == "__main__":
    end_with(int(sys.argv[3]))
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing but answers goes where answers are read
    serve(sys.stdin, out)
