"""Datasets on Kaggle."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from connection import Connection
from names import (
    DATASET_LICENCES,
    UNGUARDED,
    check_files,
    check_kept_licence,
    check_length,
    check_licence,
    title_of,
)

from stepline_sdk.push import Destination, Published, Refused, RemoteFile, Staged, find_mark

MOST_BYTES = 200 * 10**9
MOST_FILES = 1000
READ_BACK_LIMIT = 100 * 10**6
"""Bytes; larger files are compared by name and size, as Kaggle tells no digests."""

_DONE = ("ready", "failed", "deleted")
_ASK_EVERY_S = 2.0


class KaggleDataset(Destination):
    """A dataset; each push is a version of it.

    The mark is kept in the version's notes. The first version has notes that Kaggle writes, so
    its mark stands at the end of the dataset's description.

    Args:
        kaggle: The client.
        ref: ``owner/slug``.
        about: Title, subtitle, description, licence, keywords, and whether it is private. An
            empty title is whatever there is, or comes from the name.
        most_bytes: How much is pushed at most.
        wait_s: Seconds that Kaggle may take to process a version.
    """

    kind = "kaggle-dataset"
    download_limit = READ_BACK_LIMIT

    def __init__(
        self,
        kaggle: Connection,
        ref: str,
        *,
        about: Mapping[str, Any],
        most_bytes: int = MOST_BYTES,
        wait_s: float = 600.0,
    ) -> None:
        self.ref = ref
        self.about = about
        self.aside = {"username": kaggle.username}
        self._kaggle = kaggle
        self._most_bytes = most_bytes
        self._wait_s = wait_s
        self._title = about["title"] or title_of(ref.partition("/")[2])
        self._told: list[str] = []
        self._seen = False
        self._tried = False
        self._newest = ""

    def check(self, staged: Staged) -> None:
        """Refuse names, lengths, licence and size that Kaggle refuses."""
        check_length("name", self.ref.partition("/")[2], least=6, most=50)
        check_length("title", self._title, least=6, most=50)
        if self.about["subtitle"]:
            check_length("subtitle", self.about["subtitle"], least=20, most=80)
        check_licence(self.about["licence"], DATASET_LICENCES)
        check_files(staged.files, most_bytes=self._most_bytes, unpacks=True)
        if len(staged.files) > MOST_FILES:
            raise Refused(f"{len(staged.files)} files are too many for one version")

    def versions(self) -> Iterable[Published]:
        """Return what is there, once Kaggle is done with the newest."""
        # A version that is still being processed may not be listed; it is waited for, so that
        # a retry finds it rather than making another.
        if not self._wait_until_done():
            return []
        there = self._kaggle.find("dataset", self.ref)
        if there is None:
            return []
        self._refuse_other_privacy(there["private"])
        if not self._seen and not self._tried:
            self._refuse_other_settings()
            self._seen = True
        listed = sorted(there["versions"], key=lambda version: -int(version["number"]))
        if not listed and there["version"]:
            listed = [{"number": there["version"], "notes": "", "status": ""}]
        published = [self._published(version, there["description"]) for version in listed]
        self._newest = published[0].version if published else ""
        return published

    def caveats(self) -> Sequence[str]:
        """Return what cannot be held; the name of a new dataset is held by Kaggle."""
        return [UNGUARDED, *self._told] if self._newest else []

    def upload(self, staged: Staged, newest: Published | None) -> None:
        """Make the dataset, or a version of it."""
        self._tried = True
        folder = tempfile.mkdtemp(prefix="dataset-")
        try:
            for file in staged.files.values():
                os.symlink(file.path, os.path.join(folder, file.name))
            if newest is None:
                self._write_metadata(folder, self._described(str(staged.mark)))
                self._kaggle.ask(
                    "create_dataset", folder, not self.about["private"], size=staged.size
                )
                return
            first_mark = newest.token or ""
            self._write_metadata(
                folder, self._described(first_mark) if self.about["description"] else ""
            )
            self._kaggle.ask(
                "create_version",
                folder,
                staged.marked_note,
                self.ref,
                int(newest.version),
                size=staged.size,
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def is_ready(self, published: Published) -> bool:
        """Return whether a version is processed; one that was followed by another is."""
        if published.version != self._newest:
            return True
        status = self._status()
        if status in ("failed", "deleted"):
            raise Refused(f"Kaggle says that its status is '{status}'")
        return status == "ready"

    def files(self, published: Published) -> Mapping[str, RemoteFile]:
        """Return the files of a version; Kaggle tells their sizes."""
        listed = self._kaggle.ask("dataset_files", f"{self.ref}/{published.version}")
        return {name: RemoteFile(size) for name, size in listed.items()}

    def download(self, published: Published, name: str, path: str) -> None:
        """Fetch a file of a version."""
        ref = f"{self.ref}/{published.version}"
        self._kaggle.ask("dataset_download", ref, name, path, size=READ_BACK_LIMIT)

    def _published(self, version: Mapping[str, Any], description: str) -> Published:
        number = int(version["number"])
        first_mark = find_mark(description)
        mark = find_mark(version["notes"]) or (first_mark if number == 1 else None)
        # What an earlier workflow could not get processed is pushed anew.
        if version["status"] == "failed" and not self._tried:
            mark = None
        url = f"https://www.kaggle.com/datasets/{self.ref}/versions/{number}"
        return Published(self.ref, str(number), url, mark, str(first_mark or ""))

    def _wait_until_done(self) -> bool:
        """Wait for the newest version; return whether there is a dataset at all.

        Raises:
            Refused: Kaggle is not done in time.
        """
        end = time.monotonic() + self._wait_s
        pause = 0.2
        while True:
            status = self._status()
            if status is None:
                return False
            if status in _DONE:
                return True
            if time.monotonic() >= end:
                raise Refused(
                    f"Kaggle still processes the newest version after {self._wait_s:g} s: its "
                    f"status is '{status}'"
                )
            time.sleep(min(pause, max(0.0, end - time.monotonic())))
            pause = min(1.6 * pause, _ASK_EVERY_S)

    def _status(self) -> str | None:
        status = self._kaggle.find("dataset_status", self.ref)
        return None if status is None else str(status).lower()

    def _refuse_other_privacy(self, private: bool) -> None:
        if private != self.about["private"]:
            there, asked = ("private", "public") if private else ("public", "private")
            raise Refused(f"the dataset {self.ref} is {there}, and was to be {asked}")

    def _refuse_other_settings(self) -> None:
        """Refuse what a version would not change: Kaggle keeps title and licence as they are."""
        try:
            there = self._kaggle.ask("dataset_settings", self.ref)
        except Refused:
            there = {"title": "", "licence": ""}  # it is not told
        title = self.about["title"]
        if title and there["title"] and there["title"] != title:
            raise Refused(
                f"the dataset {self.ref} has the title '{there['title']}', which a version does "
                f"not change to '{title}': leave the title out, or change it on its page"
            )
        self._told = check_kept_licence(
            f"the dataset {self.ref}", there["licence"], self.about["licence"], DATASET_LICENCES
        )

    def _described(self, mark: str) -> str:
        return f"{self.about['description']}\n\n{mark}".strip()

    def _write_metadata(self, folder: str, description: str) -> None:
        metadata: dict[str, Any] = {
            "id": self.ref,
            "title": self._title,
            "licenses": [{"name": self.about["licence"]}],
            "keywords": self.about["keywords"],
        }
        if self.about["subtitle"]:
            metadata["subtitle"] = self.about["subtitle"]
        if description:
            metadata["description"] = description
        with open(os.path.join(folder, "dataset-metadata.json"), "x", encoding="utf-8") as file:
            json.dump(metadata, file)
