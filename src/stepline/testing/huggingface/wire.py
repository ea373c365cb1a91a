"""What a request asks for.

Source:
    huggingface_hub 2.4.0, as it sends them.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any
from urllib.parse import unquote

from stepline.frozen import frozen
from stepline.testing.huggingface.state import Change
from stepline.testing.loopback.messages import RefusedError, Request

_API = r"/api/(?P<kind>dataset|model)s/(?P<id>[^/]+/[^/]+)"
_GIT = r"/(?:(?P<kind>dataset)s/)?(?P<id>[^/]+/[^/]+)"
_REVISION = r"(?P<revision>[^/]+)"

_OPERATIONS: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (method, re.compile(pattern), operation)
    for method, pattern, operation in (
        ("GET", r"/api/whoami-v2", "WhoAmI"),
        ("POST", r"/api/repos/create", "CreateRepo"),
        ("POST", r"/api/validate-yaml", "ValidateCard"),
        ("POST", rf"{_API}/preupload/{_REVISION}", "Preupload"),
        ("POST", rf"{_GIT}\.git/info/lfs/objects/batch", "LfsBatch"),
        ("POST", rf"{_GIT}\.git/info/lfs/verify", "VerifyLfs"),
        ("PUT", r"/storage/(?P<sha256>[0-9a-f]{64})(?:/(?P<part>\d+))?", "PutLfs"),
        ("POST", r"/storage/(?P<sha256>[0-9a-f]{64})", "CompleteLfs"),
        ("POST", rf"{_API}/commit/{_REVISION}", "Commit"),
        ("GET", rf"{_API}/commits/{_REVISION}", "ListCommits"),
        ("GET", rf"{_API}/tree/{_REVISION}(?:/(?P<folder>.+))?", "ListTree"),
        ("POST", rf"{_API}/paths-info/{_REVISION}", "PathsInfo"),
        ("GET", rf"{_API}(?:/revision/{_REVISION})?", "RepoInfo"),
        ("HEAD", rf"{_GIT}/resolve/{_REVISION}/(?P<path>.+)", "HeadFile"),
        ("GET", rf"{_GIT}/resolve/{_REVISION}/(?P<path>.+)", "GetFile"),
    )
)


@frozen(kw_only=True)
class HubRequest(Request):
    """One request, with what its path says and who sends it.

    Attributes:
        said: Parts of the path, unquoted.
        user: Who sends it; None for nobody.
        known: Whether the token is good, where there is one.
    """

    said: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    known: bool = True

    @property
    def kind(self) -> str:
        """Return ``dataset`` or ``model``."""
        return self.said.get("kind", "model")

    @property
    def id(self) -> str:
        """Return ``owner/name`` of the repository."""
        return self.said["id"]

    @property
    def revision(self) -> str:
        """Return what is asked for: ``main`` or the id of a commit."""
        return self.said.get("revision", "main")


def identify(method: str, path: str) -> tuple[str, dict[str, str]]:
    """Return the operation that a request asks for, and the parts of its path.

    The operation is ``Unknown`` where the stand-in has no answer.
    """
    for verb, pattern, operation in _OPERATIONS:
        match = pattern.fullmatch(path) if verb == method else None
        if match:
            parts = match.groupdict().items()
            return operation, {name: unquote(text) for name, text in parts if text is not None}
    return "Unknown", {}


def read_change(data: bytes) -> Change:
    """Return what the body of a commit says; a JSON object in each line.

    Raises:
        RefusedError: 400; it cannot be understood.
    """
    header: Mapping[str, Any] = {}
    files: dict[str, bytes] = {}
    large: dict[str, tuple[str, int]] = {}
    deleted: list[str] = []
    try:
        for key, value in ((line["key"], line["value"]) for line in map(json.loads, _lines(data))):
            if key == "header":
                header = value
            elif key == "file":
                files[value["path"]] = base64.b64decode(value["content"], validate=True)
            elif key == "lfsFile":
                large[value["path"]] = (value["oid"], value["size"])
            elif key in ("deletedFile", "deletedFolder"):
                deleted.append(_deleted(value["path"], folder=key == "deletedFolder"))
            else:
                raise RefusedError(400, f"a commit has no {key}")
        return Change(
            title=header["summary"],
            description=header.get("description") or "",
            parent=header.get("parentCommit"),
            files=files,
            large=large,
            deleted=tuple(deleted),
        )
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise RefusedError(400, f"the commit cannot be understood: {error!r}") from error


def _lines(data: bytes) -> list[bytes]:
    return [line for line in data.split(b"\n") if line.strip()]


def _deleted(path: str, *, folder: bool) -> str:
    return path.rstrip("/") + "/" if folder else path
