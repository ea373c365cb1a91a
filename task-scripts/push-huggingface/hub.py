"""A repository on the Hugging Face Hub as a destination."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from card import CARD, LARGEST_CARD, SIGN, Card, licence_in
from connection import PUBLIC_HUB, connect, told
from huggingface_hub import CommitOperationAdd, CommitOperationDelete
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers, paginate, validate_repo_id
from huggingface_hub.utils.sha import git_hash

from stepline_sdk.push import (
    Destination,
    Mark,
    Published,
    Refused,
    RemoteFile,
    Staged,
    StagedFile,
    find_mark,
)

LARGEST_FILE = 50 * 10**9  # bytes
MOST_FILES = 100_000
MOST_IN_FOLDER = 10_000
FORBIDDEN_FOLDERS = frozenset({".git", ".cache"})
"""Folders that the Hub's client does not let through."""

ATTRIBUTES = ".gitattributes"
"""A file that the Hub puts into each repository, and that it needs."""


class HubRepo(Destination):
    """A dataset or model. Each push is a commit on ``main``, with the mark in its message.

    Args:
        kind: ``dataset`` or ``model``.
        repo: ``owner/name``.
        private: Whether it is, or is to be made, private.
        mirror: Whether files that are there and not pushed are deleted.
        card: What is said in the README.md that is among the files.
        endpoint: Address of the Hub.
        token: Of the account that pushes.
    """

    def __init__(
        self,
        kind: str,
        repo: str,
        *,
        private: bool,
        mirror: bool,
        card: Card,
        endpoint: str = PUBLIC_HUB,
        token: str,
    ) -> None:
        self.kind = f"huggingface-{kind}"
        self.ref = repo
        # Part of the content: a mirror of the same files may have others to delete.
        self.about = card.about() | ({"mirror": True} if mirror else {})
        self.exact = mirror
        self._private = private
        self._card = card
        self._repo: dict[str, str] = {"repo_id": repo, "repo_type": kind}
        self._api = connect(endpoint, token)
        self.aside = {"private": private, "endpoint": endpoint}
        self._page = f"{self._api.endpoint}/{'datasets/' if kind == 'dataset' else ''}{repo}"
        self._staged: Staged | None = None
        self._seen = False
        self._holding: dict[str, bool] = {}

    # Before anything leaves.

    def check(self, staged: Staged) -> None:
        """Refuse what the Hub or its client would refuse."""
        if self.ref.count("/") != 1:
            raise Refused(f"the repository is named owner/name, not '{self.ref}'")
        with told():
            validate_repo_id(self.ref)
        for file in staged.files.values():
            _check_file(file)
        _check_count(staged.files)
        card = staged.files.get(CARD)
        licence = licence_in(card.path) if card else ""
        if not self._private and not licence:
            raise Refused(
                "a public repository needs a licence: give the input 'licence', or name it in "
                f"the front matter of {CARD}"
            )
        self._staged = staged

    def versions(self) -> Iterator[Published]:
        """Yield the commits, newest first; none where there is no repository."""
        with told():
            try:
                self._check_visibility()
                commits = self._commits()
                newest = next(commits, None)
            except RepositoryNotFoundError as error:
                if error.response.status_code != 404:
                    raise
                return
            if newest:
                yield self._recognised(self._published(newest))
            yield from map(self._published, commits)

    def _commits(self) -> Iterator[Mapping[str, Any]]:
        """Yield what the Hub tells of each commit on ``main``, newest first, page by page.

        The client's own way reads all pages first, however long the history is.
        """
        kind, repo = self._repo["repo_type"], self._repo["repo_id"]
        yield from paginate(
            f"{self._api.endpoint}/api/{kind}s/{repo}/commits/main",
            params={},
            headers=build_hf_headers(token=self._api.token, library_name=self._api.library_name),
        )

    def _published(self, commit: Mapping[str, Any]) -> Published:
        return Published(
            id=self.ref,
            version=commit["id"],
            url=f"{self._page}/tree/{commit['id']}",
            mark=find_mark(f"{commit['title']}\n{commit['message']}"),
        )

    def _recognised(self, newest: Published) -> Published:
        """Return the newest commit, marked with the content of this push if it has it all.

        Several pushes may share a repository: a commit of another leaves the files of this
        one as they are, and then there is nothing to publish.
        """
        staged, mark = self._staged, newest.mark
        if staged is None or self.exact or (mark and mark.content == staged.mark.content):
            return newest
        if newest.version not in self._holding:
            self._holding[newest.version] = _holds(self._tree(newest.version), staged)
        if not self._holding[newest.version]:
            return newest
        return newest._replace(mark=Mark(mark.key if mark else "", staged.mark.content))

    def _check_visibility(self) -> None:
        if self._seen:
            return
        private = self._api.repo_info(**self._repo, expand=["private"]).private
        if private is not None and private != self._private:
            there, wanted = ("private", "public") if private else ("public", "private")
            raise Refused(
                f"{self.ref} is {there}, and this push is for a {wanted} one: set 'private' to "
                f"{str(private).lower()}, or change it at the Hub"
            )
        self._seen = True

    # The upload.

    def upload(self, staged: Staged, newest: Published | None) -> None:
        """Commit the files after the newest commit; the Hub refuses if there is another by now."""
        title, _, rest = staged.note.partition("\n")
        with told():
            parent = newest.version if newest else self._created()
            there = self._tree(parent)
            self._check_card(there, parent)
            additions = [CommitOperationAdd(f.name, f.path) for f in staged.files.values()]
            deletions = self._deletions(there, staged)
            # What a .gitignore at the Hub names is pushed all the same: it was asked for.
            self._api.preupload_lfs_files(
                **self._repo, additions=additions, gitignore_content="\n", free_memory=False
            )
            self._api.create_commit(
                **self._repo,
                operations=[*deletions, *additions],
                commit_message=title.strip() or f"Push {len(staged.files)} files",
                commit_description=f"{rest.strip()}\n\n{staged.mark}".strip(),
                parent_commit=parent,
            )

    def _created(self) -> str:
        """Make the repository, and return the id of the Hub's own first commit."""
        try:
            self._api.create_repo(**self._repo, private=self._private)
        except HfHubHTTPError as error:
            # An earlier try may have made it, and not heard of it.
            if error.response.status_code != 409 or not self._is_new():
                raise
            self._check_visibility()
        return str(next(self._commits())["id"])

    def _is_new(self) -> bool:
        """Return whether there is a repository in which nothing was done yet."""
        try:
            commits = list(islice(self._commits(), 2))
        except HfHubHTTPError:
            return False
        return len(commits) == 1 and not set(self._tree(commits[0]["id"])) - {ATTRIBUTES}

    def _check_card(self, there: Mapping[str, RepoFile], version: str) -> None:
        """Refuse to put a made card in place of one that somebody wrote."""
        if not self._card.wanted or CARD not in there:
            return
        large = there[CARD].size > LARGEST_CARD  # no push made it
        if large or SIGN.encode() not in self._content(CARD, version):
            names = ", ".join(f"'{name}'" for name in self.about)
            raise Refused(
                f"{CARD} at the Hub was written by somebody: give it as a file or leave out {names}"
            )

    def _deletions(
        self, there: Mapping[str, RepoFile], staged: Staged
    ) -> list[CommitOperationDelete]:
        names = [name for name in there if name not in staged.files and name != ATTRIBUTES]
        if self.exact and names:
            return [CommitOperationDelete(name, is_folder=False) for name in names]
        if _holds(there, staged):
            # The client drops a commit that changes nothing, and the mark with it; it keeps
            # a file that the same commit deletes first.
            return [CommitOperationDelete(min(staged.files), is_folder=False)]
        return []

    # Afterwards.

    def files(self, published: Published) -> Mapping[str, RemoteFile]:
        """Return the files of a commit; the Hub tells the SHA-256 of large ones alone."""
        with told():
            tree = self._tree(published.version)
        own = {ATTRIBUTES}.difference(self._staged.files if self._staged else ())
        return {
            name: RemoteFile(file.size, file.lfs.sha256 if file.lfs else "")
            for name, file in tree.items()
            if name not in own
        }

    def download(self, published: Published, name: str, path: str) -> None:
        """Fetch a file of a commit."""
        with told():
            os.replace(self._fetched(name, published.version, os.path.dirname(path)), path)

    def _tree(self, version: str) -> dict[str, RepoFile]:
        entries: Iterable[Any] = self._api.list_repo_tree(
            **self._repo, recursive=True, revision=version
        )
        return {entry.path: entry for entry in entries if isinstance(entry, RepoFile)}

    def _content(self, name: str, version: str) -> bytes:
        with tempfile.TemporaryDirectory(prefix="card-") as folder:
            return Path(self._fetched(name, version, folder)).read_bytes()

    def _fetched(self, name: str, version: str, folder: str) -> str:
        place = os.path.join(folder, "fetched")
        return str(
            self._api.hf_hub_download(
                **self._repo, filename=name, revision=version, local_dir=place
            )
        )


def _check_file(file: StagedFile) -> None:
    if file.size > LARGEST_FILE:
        raise Refused(f"{file.name} has {file.size} bytes; the Hub takes at most {LARGEST_FILE}")
    for folder in FORBIDDEN_FOLDERS.intersection(file.name.split("/")):
        raise Refused(f"{file.name}: the Hub takes no files in a folder '{folder}'")


def _check_count(names: Iterable[str]) -> None:
    folders = Counter(name.rpartition("/")[0] for name in names)
    if folders.total() > MOST_FILES:
        raise Refused(f"{folders.total()} files; the Hub takes at most {MOST_FILES}")
    folder, count = folders.most_common(1)[0]
    if count > MOST_IN_FOLDER:
        where = f"the folder '{folder}'" if folder else "the root"
        raise Refused(f"{count} files in {where}; at most {MOST_IN_FOLDER} go well")


def _holds(there: Mapping[str, RepoFile], staged: Staged) -> bool:
    return all(_is_same(there.get(file.name), file) for file in staged.files.values())


def _is_same(there: RepoFile | None, file: StagedFile) -> bool:
    if there is None or there.size != file.size:
        return False
    if there.lfs:
        return there.lfs.sha256 == file.sha256
    with open(file.path, "rb") as content:
        return bool(there.blob_id == git_hash(content.read()))
