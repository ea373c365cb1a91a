"""The stand-in's answer to each operation."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, urlencode

from stepline.testing.huggingface.record import HubCommit, HubFile, HubRepo, pointer
from stepline.testing.huggingface.state import (
    HubError,
    HubState,
    is_ignored,
    is_large,
)
from stepline.testing.huggingface.wire import HubRequest, read_change
from stepline.testing.loopback.messages import Reply, error_reply, json_reply

PAGE = 50
"""How many commits one answer has; trees have twenty times as many entries."""

_OPEN = frozenset({"CompleteLfs", "PutLfs", "ValidateCard"})
"""What is asked for without a token, at addresses that only who had one knows."""


class Answers:
    """Answers requests from a state, which it changes as the Hub would.

    Args:
        state: What the Hub knows; the caller holds its lock.
        part_size: Bytes; larger files are to come in parts of this size.
    """

    def __init__(self, state: HubState, *, part_size: int) -> None:
        self._state = state
        self._part_size = part_size
        self._operations: dict[str, Callable[[HubRequest], Reply]] = {
            "Commit": self._commit,
            "CompleteLfs": self._complete_lfs,
            "CreateRepo": self._create_repo,
            "GetFile": self._file,
            "HeadFile": self._file,
            "LfsBatch": self._lfs_batch,
            "ListCommits": self._list_commits,
            "ListTree": self._list_tree,
            "PathsInfo": self._paths_info,
            "Preupload": self._preupload,
            "PutLfs": self._put_lfs,
            "RepoInfo": self._repo_info,
            "ValidateCard": self._validate_card,
            "VerifyLfs": self._verify_lfs,
            "WhoAmI": self._who_am_i,
        }

    def __call__(self, request: HubRequest) -> Reply:
        """Return the answer; a refusal has the headers that the client reads."""
        operation = self._operations.get(request.operation)
        try:
            if operation is None:
                raise HubError(404, f"the stand-in does not know {request.method} {request.path}")
            if not request.known:
                raise HubError(401, "Invalid credentials in Authorization header")
            if request.user is None and request.operation not in _OPEN | _READING:
                raise HubError(401, "Invalid username or password.")
            return operation(request)
        except HubError as error:
            reply = error_reply(error.status, error.message)
            code = {"X-Error-Code": error.code} if error.code else {}
            return Reply(reply.status, reply.data, {**reply.headers, **code})

    # Who, and what there is.

    def _who_am_i(self, request: HubRequest) -> Reply:
        auth = {"type": "access_token", "accessToken": {"displayName": "test", "role": "write"}}
        return json_reply(
            {"type": "user", "id": "1", "name": request.user, "orgs": [], "auth": auth}
        )

    def _create_repo(self, request: HubRequest) -> Reply:
        said = request.json_object()
        kind, name = said.get("type") or "model", said.get("name")
        owner = said.get("organization") or request.user
        if kind not in ("dataset", "model") or not isinstance(name, str):
            raise HubError(400, "a repository needs a name, and dataset or model for a type")
        if owner != request.user:
            words = f'You don\'t have the rights to create a {kind} under the namespace "{owner}"'
            raise HubError(403, words)
        private = said.get("visibility") == "private"
        repo = self._state.create(kind, f"{owner}/{name}", private=private)
        return json_reply({"url": _page(request, repo), "name": repo.id, "id": repo.head.id})

    def _repo_info(self, request: HubRequest) -> Reply:
        repo, commit = self._seen(request)
        files = commit.files.values()
        blobs = "blobs" in request.arguments
        return json_reply(
            {
                "_id": repo.commits[0].id[:24],
                "id": repo.id,
                "author": repo.owner,
                "sha": commit.id,
                "private": repo.private,
                "gated": False,
                "disabled": False,
                "createdAt": _instant(repo.commits[0].created_at),
                "lastModified": _instant(commit.created_at),
                "downloads": 0,
                "likes": 0,
                "tags": [],
                "siblings": [_sibling(file, blobs=blobs) for file in files],
            }
        )

    def _list_commits(self, request: HubRequest) -> Reply:
        repo, commit = self._seen(request)
        until = repo.commits.index(commit) + 1
        return _page_of(request, [_told(each) for each in reversed(repo.commits[:until])], PAGE)

    def _list_tree(self, request: HubRequest) -> Reply:
        _, commit = self._seen(request)
        folder = request.said.get("folder", "")
        inside = f"{folder}/" if folder else ""
        recursive = request.arguments.get("recursive", "").lower() in ("1", "true")
        entries = _tree(commit, inside, recursive=recursive)
        if inside and not entries:
            raise HubError(404, f"{folder} does not exist", "EntryNotFound")
        return _page_of(request, entries, 20 * PAGE)

    def _paths_info(self, request: HubRequest) -> Reply:
        _, commit = self._seen(request)
        paths = parse_qs(request.data.decode()).get("paths", [])
        known = {entry["path"]: entry for entry in _tree(commit, "", recursive=True)}
        return json_reply([known[path] for path in paths if path in known])

    def _file(self, request: HubRequest) -> Reply:
        _, commit = self._seen(request)
        file = commit.files.get(request.said["path"])
        if file is None:
            raise HubError(404, "Entry not found", "EntryNotFound")
        etag = file.sha256 if file.large else file.blob_id
        headers = {
            "Content-Type": "application/octet-stream",
            "ETag": f'"{etag}"',
            "X-Repo-Commit": commit.id,
        }
        if file.large:
            headers |= {"X-Linked-ETag": f'"{etag}"', "X-Linked-Size": str(file.size)}
        return Reply(200, self._state.blobs[file.sha256], headers)

    # What comes in.

    def _preupload(self, request: HubRequest) -> Reply:
        repo, commit = self._writable(request)
        said = request.json_object()
        ignored = said.get("gitIgnore")
        if ignored is None and (file := commit.files.get(".gitignore")):
            ignored = self._state.blobs[file.sha256].decode()
        rules = (ignored or "").splitlines()
        try:
            files = [_mode(file, repo.head, rules) for file in said["files"]]
        except (KeyError, TypeError, ValueError) as error:
            raise HubError(400, f"the files cannot be understood: {error!r}") from error
        return json_reply({"files": files})

    def _lfs_batch(self, request: HubRequest) -> Reply:
        self._writable(request)
        said = request.json_object()
        verify = f"{request.base}{request.path.removesuffix('/objects/batch')}/verify"
        objects = [self._upload(request, each, verify) for each in said.get("objects", [])]
        return json_reply({"transfer": "basic", "objects": objects})

    def _upload(self, request: HubRequest, wanted: dict[str, Any], verify: str) -> dict[str, Any]:
        oid = str(wanted.get("oid", ""))
        if oid in self._state.blobs:
            return wanted
        href, size = f"{request.base}/storage/{oid}", int(wanted.get("size", 0))
        header = {}
        if size > self._part_size:
            count = -(-size // self._part_size)
            header = {str(number): f"{href}/{number}" for number in range(1, count + 1)}
            header["chunk_size"] = str(self._part_size)
        upload = {"href": href, "header": header}
        return {**wanted, "actions": {"upload": upload, "verify": {"href": verify}}}

    def _put_lfs(self, request: HubRequest) -> Reply:
        sha256, part = request.said["sha256"], request.said.get("part")
        if part is None:
            self._state.upload(sha256, request.data)
        else:
            self._state.parts.setdefault(sha256, {})[int(part)] = request.data
        return Reply(200, headers={"ETag": f'"{sha256}-{part or 0}"'})

    def _complete_lfs(self, request: HubRequest) -> Reply:
        parts = self._state.parts.get(request.said["sha256"], {})
        said = [part.get("partNumber") for part in request.json_object().get("parts", [])]
        if said != sorted(parts):
            raise HubError(400, f"the parts {sorted(parts)} are there, not {said}")
        data = b"".join(parts[number] for number in sorted(parts))
        self._state.upload(request.said["sha256"], data)
        return json_reply({})

    def _verify_lfs(self, request: HubRequest) -> Reply:
        said = request.json_object()
        data = self._state.blobs.get(str(said.get("oid")))
        if data is None or len(data) != said.get("size"):
            raise HubError(404, f"there is no upload {said.get('oid')} of that size")
        return json_reply({})

    def _validate_card(self, request: HubRequest) -> Reply:
        content = request.json_object().get("content")
        if isinstance(content, str) and content.startswith("---\n") and "\n---" not in content[3:]:
            fault = {"message": "the front matter has no end"}
            return json_reply({"errors": [fault], "warnings": []}, status=400)
        return json_reply({"errors": [], "warnings": []})

    def _commit(self, request: HubRequest) -> Reply:
        repo, _ = self._writable(request)
        commit = self._state.change(repo, read_change(request.data), user=request.user or "")
        url = f"{_page(request, repo)}/commit/{commit.id}"
        return json_reply({"success": True, "commitOid": commit.id, "commitUrl": url})

    # Who may.

    def _seen(self, request: HubRequest) -> tuple[HubRepo, HubCommit]:
        repo = self._state.repos.get((request.kind, request.id))
        if repo is None or (repo.private and request.user != repo.owner):
            status, words = 404, "Repository not found"
            if request.user is None:
                # Nobody is told whether it is missing or private.
                status, words = 401, "Invalid username or password."
            raise HubError(status, words, "RepoNotFound")
        return repo, self._state.commit(repo, request.revision)

    def _writable(self, request: HubRequest) -> tuple[HubRepo, HubCommit]:
        repo, commit = self._seen(request)
        if request.user != repo.owner:
            words = f"you don't have the required permissions to write to {repo.id}"
            raise HubError(403, f"Forbidden: {words}")
        return repo, commit


_READING = frozenset({"GetFile", "HeadFile", "ListCommits", "ListTree", "PathsInfo", "RepoInfo"})


def _mode(file: dict[str, Any], head: HubCommit, rules: list[str]) -> dict[str, Any]:
    """Return how a file is to come, and what there is under its name."""
    path, size = str(file["path"]), int(file["size"])
    large = is_large(path, size=size, sample=base64.b64decode(file["sample"], validate=True))
    told: dict[str, Any] = {
        "path": path,
        "uploadMode": "lfs" if large else "regular",
        "shouldIgnore": is_ignored(path, rules),
    }
    there = head.files.get(path)
    if there is not None and there.large == large:
        told["oid"] = there.sha256 if large else there.blob_id
    return told


def _tree(commit: HubCommit, inside: str, *, recursive: bool) -> list[dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = {}
    for path, file in sorted(commit.files.items()):
        if not path.startswith(inside):
            continue
        parts = path.removeprefix(inside).split("/")
        deepest = len(parts) if recursive else min(2, len(parts))
        for end in range(1, deepest):
            folder = inside + "/".join(parts[:end])
            entries[folder] = {"type": "directory", "path": folder, "oid": "0" * 40, "size": 0}
        if recursive or len(parts) == 1:
            entries[path] = _entry(file)
    return list(entries.values())


def _entry(file: HubFile) -> dict[str, Any]:
    told = {"type": "file", "path": file.path, "size": file.size, "oid": file.blob_id}
    return told | ({"lfs": _lfs(file, "oid")} if file.large else {})


def _sibling(file: HubFile, *, blobs: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"rfilename": file.path}
    if blobs:
        told |= {"size": file.size, "blobId": file.blob_id}
        told |= {"lfs": _lfs(file, "sha256")} if file.large else {}
    return told


def _lfs(file: HubFile, key: str) -> dict[str, Any]:
    pointed = len(pointer(file.sha256, file.size))
    return {key: file.sha256, "size": file.size, "pointerSize": pointed}


def _told(commit: HubCommit) -> dict[str, Any]:
    return {
        "id": commit.id,
        "title": commit.title,
        "message": commit.description,
        "authors": [{"user": commit.user}],
        "date": _instant(commit.created_at),
    }


def _page_of(request: HubRequest, entries: list[dict[str, Any]], size: int) -> Reply:
    """Return a part of a list, with a link to the next."""
    said = request.arguments
    cursor = said.get("cursor", "0")
    start = int(cursor) if cursor.isdecimal() else 0
    reply = json_reply(list(islice(entries, start, start + size)))
    if start + size >= len(entries):
        return reply
    query = urlencode({**said, "cursor": start + size})
    link = f'<{request.base}{request.path}?{query}>; rel="next"'
    return Reply(200, reply.data, {**reply.headers, "Link": link})


def _page(request: HubRequest, repo: HubRepo) -> str:
    return f"{request.base}/{'datasets/' if repo.kind == 'dataset' else ''}{repo.id}"


def _instant(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
