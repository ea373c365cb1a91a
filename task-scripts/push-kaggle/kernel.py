"""Kernels on Kaggle: scripts and notebooks, which it runs."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from connection import Connection
from names import UNGUARDED, check_length

from stepline_sdk.push import (
    Destination,
    Mark,
    Published,
    Refused,
    RemoteFile,
    Staged,
    TryAgain,
    find_mark,
)

MOST_BYTES = 1_000_000
"""Kaggle takes no larger source."""

# What is sent is smaller than the file: line ends become one byte, a notebook loses its outputs.
_MOST_READ = {True: 50 * MOST_BYTES, False: 2 * MOST_BYTES}

_LANGUAGES = {".py": "python", ".r": "r", ".rmd": "rmarkdown"}
_COMMENTS = {"python": "# {}", "r": "# {}", "rmarkdown": "<!-- {} -->"}
_RUN_METADATA = frozenset({"_cell_guid", "_uuid", "execution", "trusted"})
_SEAL = re.compile(r"(\[stepline push=\S+ content=\S+\]) sha256=([0-9a-f]{64})")


def canonical_source(context: Any, files: Mapping[str, Any]) -> tuple[str, bytes]:
    """Return name and source of a kernel as Kaggle keeps it.

    A script has line ends of one byte, and one at its end. A notebook has no outputs, the text
    of each cell in one piece, and nothing that a run or Kaggle adds.

    Raises:
        Refused: There is not just one file, it is no source, or far too large for one.
    """
    if len(files) != 1:
        raise Refused(f"a kernel is one file, and there are {len(files)}")
    ((name, given),) = files.items()
    data = _read(context, name, given)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(f"{name} is not text in UTF-8: {error}") from error
    if not text.strip():
        raise Refused(f"there is nothing to push: {name} is empty")
    if name.lower().endswith(".ipynb"):
        return name, _dumped(_tidy(_notebook(name, text))).encode()
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return name, (lines if lines.endswith("\n") else f"{lines}\n").encode()


def _read(context: Any, name: str, given: Any) -> bytes:
    path = context.read_file(given, form="download")["download"]
    try:
        size = os.path.getsize(path)
        if size > _MOST_READ[name.lower().endswith(".ipynb")]:
            raise Refused(f"{name} has {size} bytes, Kaggle takes {MOST_BYTES}")
        with open(path, "rb") as file:
            return file.read()
    finally:
        os.remove(path)


def settings_of(name: str, source: bytes) -> dict[str, str]:
    """Return language and type of a source.

    Raises:
        Refused: Kaggle runs no such thing.
    """
    suffix = os.path.splitext(name)[1].lower()
    if suffix == ".ipynb":
        metadata = json.loads(source).get("metadata") or {}
        kernel, language = metadata.get("kernelspec") or {}, metadata.get("language_info") or {}
        found = str(language.get("name") or kernel.get("language") or "python").lower()
        if found not in ("python", "r"):
            raise Refused(f"{name} is a notebook in '{found}', and Kaggle runs Python and R")
        return {"type": "notebook", "language": found}
    if suffix not in _LANGUAGES:
        raise Refused(f"{name} is no kernel: it ends with .py, .R, .Rmd or .ipynb")
    return {"type": "script", "language": _LANGUAGES[suffix]}


def sealed(source: str, mark: Mark, settings: Mapping[str, Any]) -> str:
    """Return a source with its mark: in a script's last line, in a notebook's metadata."""
    sha256 = hashlib.sha256(source.encode()).hexdigest()
    seal = f"{mark} sha256={sha256}"
    if settings["type"] == "script":
        return f"{source}{_COMMENTS[settings['language']].format(seal)}\n"
    notebook = json.loads(source)
    notebook["metadata"] = {**(notebook.get("metadata") or {}), "stepline": {"push": seal}}
    return _dumped(notebook)


def unsealed(source: str) -> tuple[str, Mark | None]:
    """Return a source without its mark, and the mark.

    Somebody who edits a kernel on its page keeps the line with our mark. So it counts only
    while the rest is what it was.
    """
    rest, seal = _parted(source)
    found = _SEAL.search(seal)
    if not found:
        return source, None
    same = hashlib.sha256(rest.encode()).hexdigest() == found[2]
    return rest, find_mark(found[1]) if same else None


def _parted(source: str) -> tuple[str, str]:
    """Return a source without its seal, and what may be the seal."""
    notebook = _as_notebook(source)
    if notebook is None:
        lines = source.rstrip("\n").split("\n")
        return "".join(f"{line}\n" for line in lines[:-1]), lines[-1]
    metadata = notebook["metadata"]
    seal = metadata.pop("stepline", None)
    return _dumped(notebook), str(seal.get("push")) if isinstance(seal, dict) else ""


def _as_notebook(source: str) -> dict[str, Any] | None:
    try:
        notebook = json.loads(source)
    except ValueError:
        return None
    return _tidy(notebook) if _is_notebook(notebook) else None


def _is_notebook(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("metadata") or {}, dict):
        return False
    cells = value.get("cells")
    return isinstance(cells, list) and all(
        isinstance(cell, dict) and isinstance(cell.get("metadata") or {}, dict) for cell in cells
    )


def _notebook(name: str, text: str) -> dict[str, Any]:
    try:
        notebook = json.loads(text)
    except ValueError as error:
        raise Refused(f"{name} is no notebook: {error}") from error
    if not _is_notebook(notebook):
        raise Refused(f"{name} is no notebook: it has no cells")
    return dict(notebook)


def _tidy(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook without what a run leaves in it, and what Kaggle adds."""
    metadata = {
        name: value for name, value in (notebook.get("metadata") or {}).items() if name != "kaggle"
    }
    cells = [_tidy_cell(cell) for cell in notebook.get("cells") or []]
    # From minor version 5 on each cell has an id, which is not kept.
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}


def _tidy_cell(cell: Mapping[str, Any]) -> dict[str, Any]:
    source = cell.get("source") or ""
    metadata = cell.get("metadata") or {}
    tidy = {
        "cell_type": cell.get("cell_type"),
        "source": "".join(source) if isinstance(source, list) else source,
        "metadata": {name: metadata[name] for name in metadata if name not in _RUN_METADATA},
    }
    if cell.get("attachments"):
        tidy["attachments"] = cell["attachments"]
    return {**tidy, "outputs": [], "execution_count": None} if _is_code(cell) else tidy


def _is_code(cell: Mapping[str, Any]) -> bool:
    return cell.get("cell_type") == "code"


def _dumped(notebook: dict[str, Any]) -> str:
    return json.dumps(notebook, ensure_ascii=False, sort_keys=True, indent=1) + "\n"


class KaggleKernel(Destination):
    """A kernel; each push is a version of it, which Kaggle runs.

    Args:
        kaggle: The client.
        ref: ``owner/slug``.
        about: Title, language, type, privacy, and what the run may use.
        wait_for_run: Whether the push is done only once the run has ended well.
    """

    kind = "kaggle-kernel"

    def __init__(
        self, kaggle: Connection, ref: str, *, about: Mapping[str, Any], wait_for_run: bool
    ) -> None:
        self.ref = ref
        self.about = about
        self.aside = {"username": kaggle.username}
        self._kaggle = kaggle
        self._wait_for_run = wait_for_run
        self._name = ""

    def check(self, staged: Staged) -> None:
        """Refuse a title that leads to another name, and a source that is too large."""
        (file,) = staged.files.values()
        self._name = file.name
        check_length("title", self.about["title"], least=5, most=50)
        slug = self.ref.partition("/")[2]
        made = self._kaggle.ask("slug_of", self.about["title"])
        if made != slug:
            raise Refused(
                f"the title '{self.about['title']}' leads to the name '{made}' and not to "
                f"'{slug}': Kaggle would make another kernel"
            )
        if file.size > MOST_BYTES:
            raise Refused(f"{file.name} has {file.size} bytes, Kaggle takes {MOST_BYTES}")

    def versions(self) -> Iterable[Published]:
        """Return the newest version; Kaggle tells the source of no other for sure."""
        there = self._kaggle.find("kernel", self.ref)
        if there is None:
            return []
        if there["private"] != self.about["private"]:
            now, asked = ("private", "public") if there["private"] else ("public", "private")
            raise Refused(f"the kernel {self.ref} is {now}, and was to be {asked}")
        source, mark = unsealed(there["source"])
        url = f"https://www.kaggle.com/code/{self.ref}"
        return [Published(self.ref, str(there["version"]), url, mark, source)]

    def caveats(self) -> Sequence[str]:
        """Return what cannot be held."""
        return [UNGUARDED]

    def upload(self, staged: Staged, newest: Published | None) -> None:
        """Save the kernel, which starts its run."""
        folder = tempfile.mkdtemp(prefix="kernel-")
        try:
            with open(staged.files[self._name].path, encoding="utf-8", newline="") as file:
                source = sealed(file.read(), staged.mark, self.about)
            with open(os.path.join(folder, "code"), "x", encoding="utf-8", newline="") as file:
                file.write(source)
            with open(os.path.join(folder, "kernel-metadata.json"), "x") as file:
                json.dump(self._metadata(), file)
            number = int(newest.version) if newest else 0
            self._kaggle.ask("push_kernel", folder, self.ref, number, size=staged.size)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def is_ready(self, published: Published) -> bool:
        """Return whether the run has ended."""
        if not self._wait_for_run:
            return True
        run = self._kaggle.ask("kernel_status", self.ref)
        if run["status"] in ("error", "cancel_acknowledged"):
            words = f": {run['failure']}" if run["failure"] else ""
            raise Refused(f"Kaggle says that its run ended with '{run['status']}'{words}")
        return bool(run["status"] == "complete")

    def files(self, published: Published) -> Mapping[str, RemoteFile]:
        """Return the source, without saying more of it."""
        return {self._name: RemoteFile()}

    def download(self, published: Published, name: str, path: str) -> None:
        """Fetch the source, without the mark."""
        there = self._kaggle.ask("kernel", self.ref)
        if str(there["version"]) != published.version:
            raise TryAgain(f"Kaggle shows version {there['version']} of {self.ref}")
        with open(path, "x", encoding="utf-8", newline="") as file:
            file.write(unsealed(there["source"])[0])

    def _metadata(self) -> dict[str, Any]:
        about = self.about
        return {
            "id": self.ref,
            "title": about["title"],
            "code_file": "code",
            "language": about["language"],
            "kernel_type": about["type"],
            "is_private": about["private"],
            "enable_gpu": about["gpu"],
            "enable_internet": about["internet"],
            "dataset_sources": about["dataset_sources"],
            "kernel_sources": about["kernel_sources"],
            "model_sources": about["model_sources"],
            "competition_sources": about["competition_sources"],
            "keywords": about["keywords"],
        }
