"""Metadata, tags and labels of files that exist."""

from __future__ import annotations

from stepline_sdk.context.reading import ReadingMixin
from stepline_sdk.plain import labels_to_plain, metadata_to_plain, tags_to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from stepline_sdk.files import File
    from stepline_sdk.labels import AnyLabel


class AttributesMixin(ReadingMixin):
    """The part of a Context that changes what is known about files."""

    def update_metadata_tags(
        self,
        file: File,
        custom_meta: Mapping[str, Any] | None = None,
        custom_tags: Iterable[str] = (),
        options: Mapping[str, Any] = {},  # the published signature; never changed
    ) -> File:
        """Change metadata and add tags, as a new version of the newest content.

        Args:
            file: Pointer to a version of the file.
            custom_meta: Metadata to set; a value of None deletes the key.
            custom_tags: Tags to add.
            options: ``new_file_id`` sets the id of the new version.

        Returns:
            Pointer to the new version; the given one where there is nothing to change.

        Raises:
            ValueError: A key, value or tag is not allowed, or all of them are too long.
            TypeError: A tag is not text.
        """
        metadata = metadata_to_plain(custom_meta, keep_none=True)
        tags = tags_to_plain(custom_tags)
        if not metadata and not tags:
            return file
        params = {
            "file": self._pointer(file),
            "customMetadata": metadata,
            "customTags": tags,
            "newFileId": (options or {}).get("new_file_id"),
        }
        pointer: File = self._call("update_metadata_tags", params)
        return pointer

    def add_labels(
        self, file: File, labels: Iterable[AnyLabel] | None, no_propagate: bool = False
    ) -> list[dict[str, Any]]:
        """Add labels to a file, without a new version.

        Args:
            file: Pointer to the file.
            labels: Labels, or dicts with ``name`` and ``value``.
            no_propagate: Whether this change may start no pipeline.

        Returns:
            All labels of the file, ``{id, name, value}``.

        Raises:
            ValueError: Some labels are wrong; the text names every one.
        """
        plain = labels_to_plain(labels)
        if not plain:
            self._warn("add_labels was called without labels")
            return self.get_labels(file)
        params = {"file": self._pointer(file), "labels": plain, "noPropagate": bool(no_propagate)}
        added: list[dict[str, Any]] = self._call("add_labels", params)
        return added

    def get_labels(self, file: File) -> list[dict[str, Any]]:
        """Return all labels of a file, ``{id, name, value}``."""
        labels: list[dict[str, Any]] = self._call("get_labels", {"file": self._pointer(file)})
        return labels

    def delete_labels(
        self, file: File, label_ids: Iterable[int] | None, no_propagate: bool = False
    ) -> list[dict[str, Any]]:
        """Delete labels by the ids that `add_labels` and `get_labels` return.

        Returns:
            The labels that remain.
        """
        params = {
            "file": self._pointer(file),
            "labelIds": list(label_ids or ()),
            "noPropagate": bool(no_propagate),
        }
        labels: list[dict[str, Any]] = self._call("delete_labels", params)
        return labels

    def add_attributes(
        self,
        file: File,
        custom_meta: Mapping[str, Any] | None = None,
        custom_tags: Iterable[str] = (),
        labels: Iterable[AnyLabel] = (),
    ) -> File:
        """Add metadata, tags and labels in one go.

        With metadata or tags there is a new version, whose labels are the given ones where
        any are given. With labels only, they are added and there is none.

        Returns:
            Pointer to the new version, or the given pointer.
        """
        metadata = metadata_to_plain(custom_meta, keep_none=True)
        tags = tags_to_plain(custom_tags)
        plain = labels_to_plain(labels)
        if metadata or tags:
            params = {
                "file": self._pointer(file),
                "customMetadata": metadata,
                "customTags": tags,
                "labels": plain,
            }
            pointer: File = self._call("add_attributes", params)
            return pointer
        if plain:
            self.add_labels(file, plain)
        else:
            self._warn("add_attributes was called without attributes")
        return file

    def _warn(self, message: str) -> None:
        self.get_logger().log({"level": "warning", "message": message})
