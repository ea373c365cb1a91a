"""Release tags in registries: ``vX.Y.Z`` stays what it is, unless it is moved by force.

A registry moves any tag for anybody, so it is asked first what the tag is. Of two that push
the same new tag at the same moment, the later one may still win.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from stepline.errors import PlatformError, UserError, VersionExists
from stepline.frozen import frozen
from stepline.model.image import split_reference
from stepline.ports.engine import ContainerEngine, Credential

_RELEASE = re.compile(r"v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")
_LOG_NAME = "moved-releases.jsonl"


@frozen(kw_only=True)
class Move:
    """A release tag that was moved by force, or was to be.

    Attributes:
        at: When it began, ISO 8601, UTC.
        reference: The tag, with registry and repository.
        before: Digest that it pointed at.
        image: Id of the image that was pushed.
        after: Digest that it points at since; empty where the push did not get to its end.
    """

    at: str
    reference: str
    before: str
    image: str
    after: str = ""


@frozen(kw_only=True)
class Pushed:
    """An image in a registry.

    Attributes:
        reference: Its tag there.
        digest: Of its manifest.
        sent: Whether it was not there before.
        moved_from: Digest that the tag pointed at, where it was moved.
    """

    reference: str
    digest: str
    sent: bool = True
    moved_from: str = ""


class MoveLog:
    """Moves of release tags, a line of JSON for the begin and the end of each.

    Args:
        folder: Folder of images; the log is kept in it.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / _LOG_NAME

    def add(self, move: Move) -> None:
        """Write a move down, for good when this returns.

        Raises:
            PlatformError: It cannot be written.
        """
        # It begins with a line's end, in case a crash left the last line without one.
        line = b"\n" + json.dumps(asdict(move)).encode() + b"\n"
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            # One write to the end of the file: lines of several processes stay apart.
            file = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                if (written := os.write(file, line)) < len(line):
                    raise OSError(errno.ENOSPC, f"{written} of {len(line)} bytes were written")
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            what = f"the move of {move.reference} cannot be recorded: {error}"
            raise PlatformError(what, hint="free space, or choose another images_dir") from error

    def moves(self) -> list[Move]:
        """Return all moves, oldest first; what a crash left half written is left out."""
        try:
            lines = self._file.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        found: dict[tuple[str, str, str], Move] = {}
        for line in lines:
            try:
                move = Move(**json.loads(line))
            except (ValueError, TypeError):
                continue
            found[move.at, move.reference, move.image] = move
        return list(found.values())


def push_image(
    engine: ContainerEngine,
    image_id: str,
    *,
    reference: str,
    credential: Credential | None,
    force: bool,
    log: MoveLog,
    now: Callable[[], str],
) -> Pushed:
    """Send an image to a registry, and leave a release tag that is another image's alone.

    Args:
        engine: It holds the image.
        image_id: The image.
        reference: The tag, with registry and repository.
        credential: What the registry asks for.
        force: Move a release tag; that is recorded before it happens.
        log: Takes what is moved.
        now: Returns the time, ISO 8601, UTC.

    Raises:
        VersionExists: The release tag is another image's.
        UserError: The reference has no tag, or the registry refuses.
        PlatformError: It cannot be reached, or the move not be recorded.
    """
    require_tag(reference)
    before = engine.remote_digest(reference, credential) if is_release(reference) else None
    if before is None:
        return Pushed(
            reference=reference, digest=engine.push(image_id, reference, credential=credential)
        )
    if _is_image(engine, image_id, reference=reference, digest=before, credential=credential):
        return Pushed(reference=reference, digest=before, sent=False)
    if not force:
        raise VersionExists(
            f"{reference} is in the registry already, as another image: {before}",
            hint="raise the version, or move the tag with --force, which is recorded",
        )
    move = Move(at=now(), reference=reference, before=before, image=image_id)
    log.add(move)
    after = engine.push(image_id, reference, credential=credential)
    log.add(Move(**{**asdict(move), "after": after}))
    return Pushed(reference=reference, digest=after, moved_from=before)


def require_tag(reference: str) -> None:
    """Refuse a reference without a tag, and one by a digest.

    Raises:
        UserError: It is one.
    """
    repository, tag = split_reference(reference)
    if reference != f"{repository}:{tag}":
        raise UserError(
            f"{reference} has no tag, and one that nobody chose may be another image's",
            hint=f"name one: {repository}:v1.0.0",
        )


def is_release(reference: str) -> bool:
    """Tell whether a reference's tag is a version, ``vX.Y.Z``."""
    return _RELEASE.fullmatch(split_reference(reference)[1]) is not None


def _is_image(
    engine: ContainerEngine,
    image_id: str,
    *,
    reference: str,
    digest: str,
    credential: Credential | None,
) -> bool:
    """Tell whether what a registry has by a digest is an image of this engine.

    One image may have several digests, since each engine packs layers in its own way; so
    it is fetched. What the engine has of it already is not.
    """
    pinned = f"{split_reference(reference)[0]}@{digest}"
    try:
        return engine.pull(pinned, credential).id == image_id
    except UserError:  # it is for another platform, or no longer whole
        return False
