"""Bytes to and from the service: in parts, verified, over connections that break."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from stepline.cli.client import Answered, Client, Unreachable, delay_s, path_of
from stepline.errors import Location, PlatformError, UploadError

MIB = 1024 * 1024
PART_BYTES = 8 * MIB
_CHUNK_BYTES = MIB
# Somebody else's part is just being taken in, or one of ours that broke off is.
_ASK_AGAIN = (409, 423)
_NOT_THERE = 404
_REFUSED = 422
_PARTIAL = 206
_BEYOND = 416

Advance = Callable[[int], None]


class Told(Protocol):
    """Told how far an upload is."""

    def phase(self, name: str, *, done: bool = False) -> None:
        """Note that something else begins: no byte of it is done, or all of them are."""

    def advance(self, count: int) -> None:
        """Note how many bytes are done in addition."""


class Silent:
    """Told, and tells nobody."""

    def phase(self, name: str, *, done: bool = False) -> None:
        """Do nothing."""

    def advance(self, count: int) -> None:
        """Do nothing."""


def upload_file(
    client: Client, path: Path, *, about: Mapping[str, Any], tries: int, told: Told
) -> dict[str, Any]:
    """Send a file and return what the service knows about it.

    Args:
        client: The service.
        path: The file.
        about: ``path`` and others, as ``POST /v1/uploads`` takes them.
        tries: How often in a row the connection may break.
        told: Told how far it is.

    Raises:
        UploadError: It is no plain file, or changes while it is sent.
        SteplineError: As `Client.send`.
    """
    if not path.is_file():
        raise UploadError("this is no plain file", where=Location(str(path)))
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest = _digest(file, told)
            file.seek(0)
            told.phase("sending")
            named = {"fileId": str(uuid.uuid4()), **about}
            if size <= PART_BYTES:
                return _send_whole(client, file, {**named, "sha256": digest}, tries=tries)
            sending = _Sending(client, file, size=size, tries=tries, told=told)
            return sending.run(named, digest)
    except OSError as error:
        raise UploadError(
            f"the file cannot be read: {error.strerror}", where=Location(str(path))
        ) from error


def _digest(file: BinaryIO, told: Told) -> str:
    told.phase("reading")
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
        told.advance(len(chunk))
    return digest.hexdigest()


def _send_whole(
    client: Client, file: BinaryIO, about: Mapping[str, Any], *, tries: int
) -> dict[str, Any]:
    """Send a small file in one request; it has an id, so doing it again does no harm."""
    params: dict[str, Any] = {
        key: about[key]
        for key in ("path", "sourceId", "sourceType", "sourceName", "fileId", "sha256")
        if key in about
    }
    params["label"] = [f"{each['name']}={each['value']}" for each in about.get("labels", ())]
    params["tag"] = list(about.get("tags", ()))
    params.update({f"meta.{key}": value for key, value in about.get("metadata", {}).items()})
    sent = client.send(
        "POST",
        "files",
        content=file.read(PART_BYTES + 1),
        headers={"content-type": "application/octet-stream"},
        params=params,
        tries=tries,
    )
    return dict(sent)


class _Sending:
    """A file on its way, in parts."""

    def __init__(
        self, client: Client, file: BinaryIO, *, size: int, tries: int, told: Told
    ) -> None:
        self._client = client
        self._file = file
        self._size = size
        self._tries = tries
        self._told = told

    def run(self, about: Mapping[str, Any], digest: str) -> dict[str, Any]:
        """Send all parts and return the file's record."""
        # One that was begun in vain is removed by the service.
        body = {**about, "size": self._size}
        begun = self._client.send("POST", "uploads", body=body, tries=self._tries)
        path = path_of("uploads", begun["id"])
        self._send_parts(path, int(begun["offset"]))
        self._told.phase("verifying", done=True)
        return self._finish(path, digest, begun["fileId"])

    def _send_parts(self, path: str, offset: int) -> None:
        failures = 0
        while offset < self._size:
            try:
                here = self._send_part(path, offset)
            except (Answered, PlatformError) as error:
                failures += 1
                if failures > self._tries or not _may_go_on(error):
                    raise
                here = self._offset_again(path, failures, offset=offset)
            if here > offset:
                failures = 0
                self._told.advance(here - offset)
            offset = here

    def _offset_again(self, path: str, failures: int, *, offset: int) -> int:
        """Wait, and return how much the service has."""
        self._told.phase("waiting for the service")
        self._told.advance(offset)
        time.sleep(delay_s(failures))
        found = self._client.get(path, tries=self._tries, patient=True)
        self._told.phase("sending")
        self._told.advance(offset)
        return int(found["offset"])

    def _send_part(self, path: str, offset: int) -> int:
        self._file.seek(offset)
        part = self._file.read(min(PART_BYTES, self._size - offset))
        if not part:
            raise UploadError("the file became shorter while it was sent", hint="send it again")
        headers = {
            "upload-offset": str(offset),
            "content-type": "application/octet-stream",
        }
        self._client.send("PATCH", path, content=part, headers=headers)
        return offset + len(part)

    def _finish(self, path: str, digest: str, file_id: str) -> dict[str, Any]:
        number = 0
        while True:
            number += 1
            try:
                sent = self._client.send("POST", f"{path}/finish", body={"sha256": digest})
                return dict(sent)
            except Unreachable:
                if number >= self._tries:
                    raise
                time.sleep(delay_s(number))
            except Answered as error:
                if error.status == _NOT_THERE and number > 1:  # the answer was lost, not the file
                    found = self._client.get(path_of("fileinfo", file_id), patient=True)
                    return dict(found)
                if error.status == _REFUSED:
                    self._client.send("DELETE", path)
                raise


def _may_go_on(error: Exception) -> bool:
    if isinstance(error, Answered):
        return error.status in _ASK_AGAIN
    return isinstance(error, PlatformError) and error.retryable


def download_file(
    client: Client,
    info: Mapping[str, Any],
    *,
    target: Path,
    tries: int,
    advance: Advance,
) -> None:
    """Fetch a file's bytes; ``target`` appears when they are all there and verified.

    What a broken download leaves beside ``target`` is what the next one begins with.

    Args:
        client: The service.
        info: The file's record.
        target: Where it goes; what is there is replaced.
        tries: How often in a row the connection may break.
        advance: Told how many bytes are there in addition.

    Raises:
        PlatformError: It cannot be written, or the bytes are not those that it should have.
        SteplineError: As `Client.get`.
    """
    part = target.with_name(f".{target.name}.{info['fileId']}.part")
    try:
        with part.open("ab") as file:
            advance(file.tell())
            _fetch(client, info, file, tries=tries, advance=advance)
        _verify(part, str(info["sha256"]))
        part.replace(target)
    except OSError as error:
        raise PlatformError(
            f"the file cannot be written: {error.strerror}", where=Location(str(target))
        ) from error


def stream_file(client: Client, info: Mapping[str, Any], *, output: BinaryIO, tries: int) -> None:
    """Write a file's bytes to a stream, verified at the end.

    Raises:
        PlatformError: The bytes are not those that it should have.
        SteplineError: As `Client.get`.
    """
    digest = hashlib.sha256()
    tee = _Tee(output, digest.update)
    _fetch(client, info, tee, tries=tries, advance=lambda count: None)
    _check(digest.hexdigest(), str(info["sha256"]))


class _Tee:
    """A stream that also tells somebody what goes through it."""

    def __init__(self, output: BinaryIO, told: Callable[[bytes], None]) -> None:
        self._output = output
        self._told = told
        self._count = 0

    def write(self, data: bytes) -> None:
        self._output.write(data)
        self._told(data)
        self._count += len(data)

    def tell(self) -> int:
        return self._count


def _fetch(
    client: Client,
    info: Mapping[str, Any],
    file: BinaryIO | _Tee,
    *,
    tries: int,
    advance: Advance,
) -> None:
    size, failures = int(info["size"]), 0
    while file.tell() < size:
        before = file.tell()
        try:
            _fetch_rest(client, str(info["fileId"]), file, advance=advance)
        except PlatformError as error:
            failures = 1 if file.tell() > before else failures + 1
            if failures >= tries or not error.retryable:
                raise
            time.sleep(delay_s(failures))


def _fetch_rest(client: Client, file_id: str, file: BinaryIO | _Tee, *, advance: Advance) -> None:
    offset = file.tell()
    headers = {"range": f"bytes={offset}-", "accept-encoding": "identity"}
    with client.stream(path_of("files", file_id, "content"), headers=headers) as response:
        if offset and response.status_code != _PARTIAL:
            raise PlatformError("the service does not send a part of a file")
        for chunk in response.iter_raw(_CHUNK_BYTES):
            file.write(chunk)
            advance(len(chunk))
    if file.tell() == offset:
        raise PlatformError("the service sent nothing", retryable=True)


def _verify(part: Path, expected: str) -> None:
    with part.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        _check(actual, expected)
    except PlatformError:
        part.unlink()
        raise


def _check(actual: str, expected: str) -> None:
    if expected and actual != expected:
        raise PlatformError(
            f"the bytes that came have the SHA-256 {actual}, not {expected}",
            hint="try again; if it stays so, look at the service's disk",
            retryable=True,
        )
