"""Models on Kaggle: variations of a model, with versions."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from connection import Connection
from names import (
    MODEL_LICENCES,
    UNGUARDED,
    check_files,
    check_kept_licence,
    check_length,
    check_licence,
    title_of,
)

from stepline_sdk.push import Destination, Mark, Published, Refused, RemoteFile, Staged

FRAMEWORKS = (
    "tensorFlow1 tensorFlow2 tfLite tfJs pyTorch jax flax pax maxText gemmaCpp ggml gguf coral "
    "scikitLearn mxnet onnx keras transformers api other tensorRtLlm"
).split()

READ_BACK_LIMIT = 100 * 10**6
"""Bytes; a version with more is compared by names and sizes, as its files come all together."""

_KEPT = "Kaggle keeps title and texts of a model and a variation that are there already"
_MARK_FILE = re.compile(r"stepline-([0-9a-f]{32})-([0-9a-f]{32})\.txt")
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def framework_of(name: str) -> str:
    """Return a framework's name as the client spells it.

    Raises:
        Refused: Kaggle knows none of that name.
    """
    for known in FRAMEWORKS:
        if known.lower() == re.sub(r"[^a-z0-9]", "", name.lower()):
            return known
    raise Refused(f"Kaggle knows no framework '{name}', but {', '.join(FRAMEWORKS)}")


def mark_file(mark: Mark) -> str:
    """Return the name of the file that carries a mark.

    Kaggle shows of a model's version nothing but its files, not even the notes. So the mark
    is a file, made with the version and never without it, and is seen in the list of files.
    """
    return f"stepline-{mark.key}-{mark.content}.txt"


class KaggleModel(Destination):
    """A variation of a model; each push is a version of it.

    Args:
        kaggle: The client.
        ref: ``owner/model/framework/variation``.
        about: Title, texts, licence, and whether it is private. An empty title is whatever
            there is, or comes from the name.
        most_bytes: How much is pushed at most.
        wait_s: Seconds that Kaggle may take to process a version.
    """

    kind = "kaggle-model"

    def __init__(
        self,
        kaggle: Connection,
        ref: str,
        *,
        about: Mapping[str, Any],
        most_bytes: int,
        wait_s: float = 600.0,
    ) -> None:
        self.ref = ref
        self.about = about
        self.aside = {"username": kaggle.username}
        self._kaggle = kaggle
        self._most_bytes = most_bytes
        self._wait_s = wait_s
        self._title = about["title"] or title_of(ref.split("/")[1])
        self._sent = 0
        self._tried = False
        self._told: list[str] | None = None
        self._marks: dict[int, Mark | None] = {}
        self._fetched: tuple[str, str] = ("", "")

    def check(self, staged: Staged) -> None:
        """Refuse names, licence and size that Kaggle refuses."""
        variation = self.ref.rpartition("/")[2]
        if not _SLUG.fullmatch(variation):
            raise Refused(f"'{variation}' is no name of a variation: it has a-z, 0-9 and hyphens")
        check_length("title", self._title, least=1, most=50)
        check_licence(self.about["licence"], MODEL_LICENCES)
        check_files(staged.files, most_bytes=self._most_bytes, unpacks=False)
        for name in staged.files:
            if _MARK_FILE.fullmatch(name):
                raise Refused(f"{name} is the name of a file that a push makes itself")
        self._sent = len(staged.files) + 1
        if staged.size > READ_BACK_LIMIT:
            self.download_limit = 0

    def versions(self) -> Iterator[Published]:
        """Yield what is there, once the files of the newest are listed.

        The mark of each version takes a call, so they are looked at one by one.
        """
        self._refuse_other_privacy()
        numbers = self._kaggle.find("model_versions", self.ref) or []
        if numbers and not self._tried and self._told is None:
            self._refuse_other_licence()
        for number in numbers:
            mark = self._mark_of(number, is_newest=number == numbers[0])
            url = f"https://www.kaggle.com/models/{self.ref}/{number}"
            yield Published(self.ref, str(number), url, mark)

    def _mark_of(self, number: int, *, is_newest: bool) -> Mark | None:
        if is_newest:
            self._marks[number] = _mark_in(self._wait_for_files(number))
        elif number not in self._marks:
            listed = self._listed(str(number))
            if not listed:
                return None  # it may be listed later
            self._marks[number] = _mark_in(listed)
        return self._marks[number]

    def _refuse_other_licence(self) -> None:
        """Refuse what a version would not change: Kaggle keeps the licence as it is."""
        try:
            there = str(self._kaggle.ask("model_licence", self.ref))
        except Refused:
            there = ""  # it is not told
        self._told = check_kept_licence(
            f"the model {self.ref}", there, self.about["licence"], MODEL_LICENCES
        )

    def _refuse_other_privacy(self) -> None:
        owner, model, *_ = self.ref.split("/")
        private = self._kaggle.find("model_is_private", f"{owner}/{model}")
        if private is not None and private != self.about["private"]:
            now, asked = ("private", "public") if private else ("public", "private")
            raise Refused(f"the model {owner}/{model} is {now}, and was to be {asked}")

    def caveats(self) -> Sequence[str]:
        """Return what cannot be held; the name of a new variation is held by Kaggle."""
        return [] if self._told is None else [UNGUARDED, _KEPT, *self._told]

    def upload(self, staged: Staged, newest: Published | None) -> None:
        """Make the model and its variation where they are missing, or a version."""
        self._tried = True
        folder = tempfile.mkdtemp(prefix="model-")
        owner, model, *_ = self.ref.split("/")
        try:
            for file in staged.files.values():
                os.symlink(file.path, os.path.join(folder, file.name))
            with open(os.path.join(folder, mark_file(staged.mark)), "x") as text:
                text.write(f"Pushed by Stepline. {staged.mark}\n")
            self._write_metadata(folder)
            if newest is None:
                self._kaggle.ask("create_model", folder, f"{owner}/{model}")
                self._kaggle.ask("create_variation", folder, size=staged.size)
                return
            self._kaggle.ask(
                "create_model_version",
                self.ref,
                folder,
                staged.marked_note,
                int(newest.version),
                size=staged.size,
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def is_ready(self, published: Published) -> bool:
        """Return whether all files are listed."""
        return len(self._listed(published.version)) >= self._sent

    def files(self, published: Published) -> Mapping[str, RemoteFile]:
        """Return the files of a version, without the one that carries the mark."""
        return {
            name: RemoteFile(size)
            for name, size in self._listed(published.version).items()
            if not _MARK_FILE.fullmatch(name)
        }

    def download(self, published: Published, name: str, path: str) -> None:
        """Fetch a file of a version; they come all together, so they are fetched once."""
        version, folder = self._fetched
        if version != published.version or not os.path.exists(os.path.join(folder, name)):
            shutil.rmtree(folder, ignore_errors=True)
            folder = tempfile.mkdtemp(prefix="read-back-", dir=self._kaggle.home)
            size = sum(self._listed(published.version).values())
            ref = f"{self.ref}/{published.version}"
            self._kaggle.ask("model_download", ref, folder, size=size)
            self._fetched = (published.version, folder)
        if not os.path.exists(os.path.join(folder, name)):
            raise Refused(f"{name} is not among the files that Kaggle sends")
        shutil.move(os.path.join(folder, name), path)

    def _wait_for_files(self, number: int) -> dict[str, int]:
        """Wait until the files of a version are listed, as its mark is among them.

        Raises:
            Refused: They are not in time.
        """
        end = time.monotonic() + self._wait_s
        pause = 0.2
        while True:
            listed = self._listed(str(number))
            if listed:
                return listed
            if time.monotonic() >= end:
                raise Refused(
                    f"Kaggle still processes the newest version after {self._wait_s:g} s: it "
                    f"lists no files of {self.ref}/{number}"
                )
            time.sleep(min(pause, max(0.0, end - time.monotonic())))
            pause = min(1.6 * pause, 2.0)

    def _listed(self, version: str) -> dict[str, int]:
        return dict(self._kaggle.ask("model_files", f"{self.ref}/{version}"))

    def _write_metadata(self, folder: str) -> None:
        owner, model, framework, variation = self.ref.split("/")
        about = self.about
        of_model = {
            "ownerSlug": owner,
            "slug": model,
            "title": self._title,
            "subtitle": about["subtitle"],
            "isPrivate": about["private"],
            "description": about["description"],
        }
        of_variation = {
            "ownerSlug": owner,
            "modelSlug": model,
            "instanceSlug": variation,
            "framework": framework,
            "overview": about["overview"],
            "usage": about["usage"],
            "licenseName": about["licence"],
        }
        for name, metadata in (("model", of_model), ("model-instance", of_variation)):
            with open(os.path.join(folder, f"{name}-metadata.json"), "x") as file:
                json.dump(metadata, file)


def _mark_in(names: Iterable[str]) -> Mark | None:
    found = [match for match in map(_MARK_FILE.fullmatch, names) if match]
    return Mark(found[-1][1], found[-1][2]) if found else None
