"""Versions of files in a bucket.

Each version's objects have a folder of their own, ``<prefix>/v<number>-<part of the mark>/``.
They are published by the last act of a push alone, the writing of ``<prefix>/manifest.json``:
who goes by the manifest sees whole versions only. It is written on the condition that it is
still the one that was read, so of two pushes at once one is refused by the store.
"""

import mimetypes
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from boto3.s3.transfer import TransferConfig
from manifest import Manifest
from s3_client import Clients, code_of, is_missing, status_of, store_errors

from stepline_sdk.push import Destination, Mark, Published, Refused, RemoteFile, Staged, StagedFile

LONGEST_KEY = 1024  # bytes
PART = 16 * 1024 * 1024  # bytes; larger files go up in parts, and longer ones in larger parts
LEDGER = "manifest.json"


class VersionsInBucket(Destination):
    """Versions below one prefix of a bucket.

    Args:
        clients: Of the store.
        bucket: Name of the bucket, which is there.
        prefix: Of the keys of all objects; may be empty.
        store: Host of the store; empty for Amazon's own.
        checksums: Whether the store takes checksums.
        conditional_writes: Whether the store holds conditions of writing.
        workflow: Id of the workflow, kept with the version.
    """

    kind = "s3"
    looks_back = sys.maxsize  # the manifest is read whole
    # Each part on its way is in memory.
    transfer = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=4)

    def __init__(
        self,
        clients: Clients,
        *,
        bucket: str,
        prefix: str = "",
        store: str = "",
        checksums: bool = True,
        conditional_writes: bool = True,
        workflow: str = "",
    ) -> None:
        self._client, self._once = clients
        self._bucket = bucket
        self._prefix = prefix.strip("/")
        self._checksums = checksums
        self._conditional = conditional_writes
        self._workflow = workflow
        self.ref = "/".join(part for part in (store, bucket, self._prefix) if part)

    def check(self, staged: Staged) -> None:
        """Refuse names of objects that the store would refuse."""
        if any(part in ("", ".", "..") for part in self._prefix.split("/") if self._prefix):
            raise Refused(f"the prefix '{self._prefix}' has an empty part, or one of dots")
        for name in staged.files:
            # The number of a version has ten digits at most.
            length = len(self._key(f"v{'9' * 10}-{staged.mark.key[:8]}/{name}").encode())
            if length > LONGEST_KEY:
                raise Refused(f"{name}: the key of its object would be longer than 1024 bytes")

    def versions(self) -> Iterator[Published]:
        """Give what the manifest holds."""
        manifest = self._read_manifest()
        for version in manifest.versions:
            yield Published(
                self.ref,
                str(version["number"]),
                url=f"s3://{self._bucket}/{self._key(version['folder'])}",
                mark=Mark(version["key"], version["content"]),
                token=(version["folder"], manifest),
            )

    def caveats(self) -> Sequence[str]:
        """Say what a store cannot hold."""
        if self._conditional:
            return ()
        return ("two pushes at the same moment may lose one of them: no conditional writes",)

    def upload(self, staged: Staged, newest: Published | None) -> None:
        """Write the objects, and last the manifest."""
        manifest = newest.token[1] if newest else Manifest([], None)
        number = manifest.newest + 1
        folder = f"v{number}-{staged.mark.key[:8]}/"
        for file in staged.files.values():
            self._put_file(folder, file, staged.mark)
        version = {
            "number": number,
            "folder": folder,
            "key": staged.mark.key,
            "content": staged.mark.content,
            "note": staged.note,
            "workflow": self._workflow,
            "published_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "files": [
                {"name": file.name, "size": file.size, "sha256": file.sha256}
                for file in staged.files.values()
            ],
        }
        self._publish(manifest, version)

    def files(self, published: Published) -> dict[str, RemoteFile]:
        """Return what the store lists in a version's folder."""
        folder = self._key(published.token[0])
        pages = self._client.get_paginator("list_objects_v2")
        with store_errors():
            return {
                entry["Key"].removeprefix(folder): RemoteFile(entry["Size"])
                for page in pages.paginate(Bucket=self._bucket, Prefix=folder)
                for entry in page.get("Contents", ())
            }

    def download(self, published: Published, name: str, path: str) -> None:
        """Fetch an object."""
        key = self._key(published.token[0] + name)
        with store_errors(name), open(path, "wb") as file:
            self._client.download_fileobj(self._bucket, key, file, Config=self.transfer)

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _read_manifest(self) -> Manifest:
        key = self._key(LEDGER)
        try:
            with store_errors():
                answer = self._client.get_object(Bucket=self._bucket, Key=key)
                data = answer["Body"].read()
        except Refused as error:
            if is_missing(error):
                return Manifest([], None)
            raise _with_advice(error) from error
        try:
            return Manifest.parse(data, answer["ETag"])
        except ValueError as error:
            raise Refused(f"{key} is no manifest of pushes: {error}") from error

    def _put_file(self, folder: str, file: StagedFile, mark: Mark) -> None:
        extra: dict[str, Any] = {
            "ContentType": mimetypes.guess_type(file.name)[0] or "application/octet-stream",
            "Metadata": {
                "stepline-push": mark.key,
                "stepline-content": mark.content,
                "sha256": file.sha256,
            },
        }
        if self._checksums:
            extra["ChecksumAlgorithm"] = "SHA256"
        key = self._key(folder + file.name)
        with store_errors(file.name), open(file.path, "rb") as body:
            self._client.upload_fileobj(
                body, self._bucket, key, ExtraArgs=extra, Config=self.transfer
            )

    def _publish(self, manifest: Manifest, version: dict[str, Any]) -> None:
        condition: dict[str, str] = {}
        if not self._conditional:
            self._refuse_if_changed(manifest)
        elif manifest.etag:
            condition["IfMatch"] = manifest.etag
        else:
            condition["IfNoneMatch"] = "*"
        if self._checksums:
            condition["ChecksumAlgorithm"] = "SHA256"
        try:
            with store_errors(publishes=True):
                self._once.put_object(
                    Bucket=self._bucket,
                    Key=self._key(LEDGER),
                    Body=manifest.with_version(version),
                    ContentType="application/json",
                    **condition,
                )
        except Refused as error:
            if status_of(error) == 412 or (manifest.etag and is_missing(error)):
                raise _changed(str(error)) from error
            raise _with_advice(error) from error

    def _refuse_if_changed(self, manifest: Manifest) -> None:
        """Look just before writing; what happens between the two is not noticed."""
        now = self._read_manifest()
        if now.etag != manifest.etag:
            raise _changed("the manifest is another one by now")


def _changed(words: str) -> Refused:
    return Refused(f"somebody else published in the meantime: {words}; the step may be retried")


def _with_advice(error: Refused) -> Refused:
    """Return a refusal with what to do about it, where that is not plain."""
    advice = ""
    if status_of(error) == 403:
        # Without the right to list, the store says this of what is not there, too.
        advice = ". Needed are s3:ListBucket, s3:GetObject and s3:PutObject"
    elif status_of(error) == 501 or code_of(error) == "NotImplemented":
        advice = ". Where the store has no conditional writes, set conditional_writes to false"
    refusal = Refused(f"{error}{advice}")
    refusal.__cause__ = error.__cause__
    return refusal
