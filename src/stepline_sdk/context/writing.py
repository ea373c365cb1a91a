"""Writing files: one call each, with the content in the scratch folder."""

from __future__ import annotations

import json

from stepline_sdk.context import scratch
from stepline_sdk.context.base import ContextBase
from stepline_sdk.plain import labels_to_plain, metadata_to_plain, tags_to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, BinaryIO, Dict, Union

    from stepline_sdk.files import File, FileCategory
    from stepline_sdk.labels import AnyLabel

    Content = Union[str, bytes, BinaryIO, Dict[str, Any]]

DEFAULT_GZIP_COMPRESS_LEVEL = 5
CONDITIONAL_WRITES = "conditional_writes"


class WritingMixin(ContextBase):
    """The part of a Context that writes files.

    ``gzip_compress_level`` is taken for compatibility: how bytes are kept is up to the
    platform's store, and a reader always gets what was written.
    """

    def write_file(  # noqa: PLR0917  # the published signature
        self,
        content: Content,
        file_name: str,
        file_category: FileCategory,
        ids: str | None = None,
        custom_metadata: Mapping[str, Any] | None = None,
        custom_tags: Iterable[str] = (),
        source_type: str | None = None,
        labels: Iterable[AnyLabel] = (),
        gzip_compress_level: int = DEFAULT_GZIP_COMPRESS_LEVEL,
        if_match: File | None = None,
        if_none_match: str | None = None,
    ) -> File:
        """Write a file that belongs to the input file, and return its pointer.

        Its key is the input file's with the category replaced and ``file_name`` added. It
        inherits the input file's metadata, tags, source and trace id. A name that exists
        gets a new version.

        Args:
            content: Text (stored as UTF-8), bytes, a binary stream from its present
                position on, or a dict of IDS data, which is validated.
            file_name: Name, possibly with folders, below the input file's path.
            file_category: ``IDS``, ``PROCESSED`` or ``TMP``.
            ids: ``namespace/slug:version``; needed for IDS where config.json names not
                exactly one.
            custom_metadata: Metadata beyond the inherited ones.
            custom_tags: Tags beyond the inherited ones.
            source_type: ``[-a-z0-9]+``; otherwise inherited.
            labels: Labels of the new file.
            gzip_compress_level: Without effect.
            if_match: Write only if this version is still the newest; experimental.
            if_none_match: ``"*"``: write only if there is no such file; experimental.

        Raises:
            InvalidFileCategoryError: The category is not one of the three.
            InvalidPathException: The name leads out of the input file's folder.
            IDSNotAllowed, IDSInvalidWrite: config.json does not allow the IDS.
            IDSInvalidData: The dict does not follow its IDS.
            ConcurrentModificationError: The condition does not hold.
            ValueError: Another argument is not usable, such as a tag that is there already.
            TypeError: The content, a tag or a metadata key is of a wrong type.
            NotImplementedError: A condition together with a stream or 5 GB of content.
        """
        params = _common(ids, custom_metadata, custom_tags, labels)
        params.update(fileName=file_name, category=file_category, sourceType=source_type)
        params.update(self._conditions(content, if_match, if_none_match))
        return self._write("write_file", content, params)

    def write_detached_file(  # noqa: PLR0917  # the published signature
        self,
        content: Content,
        file_name: str,
        file_category: FileCategory,
        ids: str | None = None,
        custom_metadata: Mapping[str, Any] | None = None,
        custom_tags: Iterable[str] = (),
        source_type: str | None = "pipeline",
        source_name: str | None = None,
        source_id: str | None = None,
        labels: Iterable[AnyLabel] = (),
        gzip_compress_level: int = DEFAULT_GZIP_COMPRESS_LEVEL,
        if_match: File | None = None,
        if_none_match: str | None = None,
    ) -> File:
        """Write a file that belongs to no input file and inherits nothing.

        Its key is ``<org>/<source_id>/<category>/<file_name>``.

        Args:
            content: As for `write_file`.
            file_name: Name, possibly with folders.
            file_category: ``IDS``, ``PROCESSED`` or ``TMP``.
            ids: As for `write_file`.
            custom_metadata: All metadata of the file.
            custom_tags: All tags of the file.
            source_type: ``[-a-z0-9]+``.
            source_name: The pipeline's name by default.
            source_id: The pipeline's id by default.
            labels: Labels of the new file.
            gzip_compress_level: Without effect.
            if_match: As for `write_file`.
            if_none_match: As for `write_file`.

        Raises:
            EnvironmentError: The platform has no bucket for such files.
            Exception: As `write_file` does.
        """
        params = _common(ids, custom_metadata, custom_tags, labels)
        params.update(fileName=file_name, category=file_category, sourceType=source_type)
        params.update(sourceName=source_name, sourceId=source_id)
        params.update(self._conditions(content, if_match, if_none_match))
        return self._write("write_detached_file", content, params)

    def write_ids(  # noqa: PLR0917  # the published signature
        self,
        content_obj: Any,
        file_suffix: str,
        ids: str | None = None,
        custom_metadata: Mapping[str, Any] | None = None,
        custom_tags: Iterable[str] = (),
        source_type: str | None = None,
        file_category: FileCategory | None = "IDS",
        labels: Iterable[AnyLabel] = (),
        gzip_compress_level: int = DEFAULT_GZIP_COMPRESS_LEVEL,
        if_match: File | None = None,
        if_none_match: str | None = None,
    ) -> File:
        """Write IDS data under the name ``<ids namespace>-<ids slug>-<file_suffix>``.

        Args:
            content_obj: The data; validated against its IDS.
            file_suffix: End of the name; no extension is added.
            ids: As for `write_file`.
            custom_metadata: As for `write_file`.
            custom_tags: As for `write_file`.
            source_type: As for `write_file`.
            file_category: Anything but ``TMP`` means ``IDS``.
            labels: As for `write_file`.
            gzip_compress_level: Without effect.
            if_match: As for `write_file`.
            if_none_match: As for `write_file`.

        Raises:
            TypeError: The content is not a dict.
            Exception: As `write_file` does; a dict cannot be written as TMP.
        """
        params = _common(ids, custom_metadata, custom_tags, labels)
        category = file_category if file_category in ("IDS", "TMP") else "IDS"
        params.update(fileSuffix=file_suffix, category=category, sourceType=source_type)
        params.update(self._conditions(content_obj, if_match, if_none_match))
        if not isinstance(content_obj, dict):
            kind = type(content_obj).__name__
            raise TypeError("write_ids takes the content as a dict, not as %s" % kind)
        return self._write("write_ids", content_obj, params)

    def _write(self, method: str, content: Content, params: dict[str, Any]) -> File:
        name = scratch.store(self._scratch_dir, _chunks(content))
        params.update(scratch=name, isData=isinstance(content, dict))
        try:
            pointer: File = self._call(method, params)
        finally:
            # The platform takes the file away; after a refusal it is still there.
            scratch.remove(self._scratch_dir, name)
        return pointer

    def _conditions(
        self, content: Content, if_match: File | None, if_none_match: str | None
    ) -> dict[str, Any]:
        if if_match is None and if_none_match is None:
            return {}
        if if_match is not None and if_none_match is not None:
            raise ValueError("if_match and if_none_match exclude each other")
        if CONDITIONAL_WRITES not in self._experiments:
            raise ValueError(
                "if_match and if_none_match are experimental: call"
                ' context.enable_experiment("%s") first' % CONDITIONAL_WRITES
            )
        if hasattr(content, "read"):
            raise NotImplementedError("a stream cannot be written under a condition")
        if if_match is not None and not isinstance(if_match, dict):
            raise ValueError("if_match is not a file pointer: %r" % (if_match,))
        return {"ifMatch": if_match, "ifNoneMatch": if_none_match}


def _common(
    ids: str | None,
    custom_metadata: Mapping[str, Any] | None,
    custom_tags: Iterable[str],
    labels: Iterable[AnyLabel],
) -> dict[str, Any]:
    return {
        "ids": ids,
        "customMetadata": metadata_to_plain(custom_metadata),
        "customTags": tags_to_plain(custom_tags),
        "labels": labels_to_plain(labels),
    }


def _chunks(content: Any) -> Iterable[Any]:
    if hasattr(content, "read"):
        return scratch.chunks_of(content)
    if isinstance(content, dict):
        # NaN stays here: schemas see a number, and the platform stores null.
        return [json.dumps(content)]
    if isinstance(content, (str, bytes, bytearray, memoryview)):
        return [content]
    kind = type(content).__name__
    raise TypeError("content is of type %s, not text, bytes, a stream or a dict" % kind)
