"""Reading files: contents, names, pointers and links."""

from __future__ import annotations

import os

from stepline_sdk.context import scratch
from stepline_sdk.context.base import ContextBase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

    from stepline_sdk.files import File, ReadResult

FORMS = ("body", "file_obj", "download")
MAX_TTL_S = 900


class ReadingMixin(ContextBase):
    """The part of a Context that reads files."""

    def read_file(self, file: File, form: str = "body") -> ReadResult:
        """Read one version of a file.

        Args:
            file: A file pointer, or only ``{"fileId": …}``. Without ``version`` the
                newest version is read.
            form: ``body`` for bytes, ``file_obj`` for a binary stream, ``download`` for
                the path of a private copy in the task's temporary folder.

        Returns:
            ``metadata``, ``custom_metadata``, ``custom_tags``, ``file`` (pointer to the
            version that was read), and the content under the name of the form.

        Raises:
            ValueError: The form is none of these, or ``version`` is not text.
            KeyError: The pointer lacks ``bucket`` or ``fileKey``.
            FileNotFoundError: There is no such file or version.
        """
        if form not in FORMS:
            raise ValueError("form %r is not one of %s" % (form, ", ".join(FORMS)))
        answer = self._call("read_file", {"file": self._pointer(file)})
        result = {name: answer[name] for name in _ATTRIBUTES}
        name = answer["scratch"]
        try:
            result[form] = self._content(name, form, answer)
        finally:
            scratch.remove(self._scratch_dir, name)
        return result  # type: ignore[return-value]  # built key by key

    def get_file_name(self, file: File) -> str:
        """Return the last part of a file's key."""
        return os.path.basename(file["fileKey"])

    def get_file_id(self, file: File) -> str:
        """Return a pointer's ``fileId``, or look it up where the pointer has none."""
        if file.get("fileId"):
            return file["fileId"]
        found: str = self._call("get_file_id", {"file": self._pointer(file)})
        return found

    def get_file_info(self, file_id: str) -> dict[str, Any]:
        """Return the record of a file version: category, path, source, labels and so on.

        Raises:
            FileNotFoundError: No file has this id.
        """
        info: dict[str, Any] = self._call("get_file_info", {"fileId": file_id})
        return info

    def get_file_pointer(self, file_id: str) -> File:
        """Return a pointer to the file version with this id.

        Raises:
            FileNotFoundError: No file has this id.
        """
        pointer: File = self._call("get_file_pointer", {"fileId": file_id})
        return pointer

    def get_file_permalink(self, file: File) -> str:
        """Return the address of a file's page, ``<platform_api_url>/o/fi/<fileId>``."""
        url = self._values.get("platformApiUrl")
        if not isinstance(url, str):
            raise ValueError("the context has no platform_api_url to build a link from")
        return "%s/o/fi/%s" % (url.rstrip("/"), self.get_file_id(file))

    def get_presigned_url(self, file: File, ttl_sec: int | None = 300) -> str | None:
        """Return an address under which the file can be fetched for a while.

        Where files lie in a folder this is a ``file://`` address, for this machine only
        and gone with the task.

        Args:
            file: A file pointer.
            ttl_sec: Seconds, 0 to 900.

        Returns:
            The address, or None where none can be had.

        Raises:
            ValueError: ``ttl_sec`` is out of range.
        """
        if ttl_sec is None or not 0 <= ttl_sec <= MAX_TTL_S:
            raise ValueError("ttl_sec is %r, it must be between 0 and %d" % (ttl_sec, MAX_TTL_S))
        try:
            params = {"file": self._pointer(file), "ttlSec": ttl_sec}
            answer = self._call("get_presigned_url", params)
            return answer["url"] or self._local_url(answer["scratch"])
        except Exception as error:
            print("no presigned URL: %s" % (error,))
            return None

    def _local_url(self, name: str) -> str:
        from urllib.request import pathname2url

        return "file://" + pathname2url(os.path.abspath(os.path.join(self._scratch_dir, name)))

    def _content(self, name: str, form: str, answer: dict[str, Any]) -> bytes | BinaryIO | str:
        path = os.path.join(self._scratch_dir, name)
        if form == "file_obj":
            return open(path, "rb")
        if form == "body":
            with open(path, "rb") as stream:
                return stream.read()
        target = os.path.join(scratch.fresh_folder(self.tmp_dir), answer["fileName"])
        _copy(path, target, owned=answer["owned"])
        return target

    def _pointer(self, file: Any) -> dict[str, Any]:
        """Return what names the file version; other keys of the pointer stay here."""
        if not isinstance(file, dict):
            raise TypeError("a file pointer is a dict, not %r" % (file,))
        if list(file) == ["fileId"]:
            return {"fileId": file["fileId"]}
        pointer = {name: file[name] for name in ("bucket", "fileKey")}
        for name in ("fileId", "version"):
            if name in file:
                pointer[name] = file[name]
        return pointer


_ATTRIBUTES = ("metadata", "custom_metadata", "custom_tags", "file")


def _copy(path: str, target: str, owned: bool) -> None:
    """Make a private copy; bytes that belong to nobody else are moved."""
    if owned:
        try:
            os.rename(path, target)
        except OSError:
            pass
        else:
            return
    import shutil

    # In the kernel where it can be, in pieces otherwise; without the source's mode.
    shutil.copyfile(path, target)
