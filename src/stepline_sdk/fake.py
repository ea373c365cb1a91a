"""A context that knows no platform: files in a dict, most calls do nothing.

For tests that were written for it. Stepline's own test fixtures run the real Context.
"""

from __future__ import annotations

import io
import json
import os

from stepline_sdk.allowed_ids import AllowedIds
from stepline_sdk.log import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

BUCKET = "fake-unittest-bucket"


class Context:
    """Keeps files by their bare names.

    Args:
        slug: Function whose ``allowedIds`` are read from config.json in the current folder.
        pipeline_config: Configuration values.
    """

    def __init__(
        self,
        slug: str | None = None,
        pipeline_config: dict[str, Any] = {},  # noqa: B006  # the published signature
    ) -> None:
        self.slug = slug
        self._pipeline_config = pipeline_config
        self._storage: dict[str, dict[str, Any]] = {}
        self._log = Log()
        self._allowed_ids = _allowed_ids(slug)

    @property
    def allowed_ids(self) -> AllowedIds:
        """The IDS that config.json allows.

        Raises:
            KeyError: It does not say.
        """
        if self._allowed_ids is None:
            raise KeyError("config.json has no 'allowedIds' for this function")
        return self._allowed_ids

    @property
    def pipeline_config(self) -> dict[str, Any]:
        """Configuration values."""
        return self._pipeline_config

    def read_file(self, file: Mapping[str, Any], form: str = "body") -> dict[str, Any]:
        """Return a file that was written before, in the form asked for."""
        result = self._storage[file["fileKey"]]
        names = ("bucket", "fileKey", "fileId", "version")
        result["file"] = {"type": "s3file", **{name: file.get(name) for name in names}}
        if form == "file_obj":
            result["file_obj"] = io.BytesIO(result["body"])
        elif form == "download":
            result["download"] = _temporary_file(result["body"])
        elif form != "body":
            raise ValueError("form %r is not one of body, file_obj, download" % form)
        return result

    def write_file(  # noqa: PLR0917  # the published signature
        self,
        content: Any,
        file_name: str,
        file_category: str,
        ids: str | None = None,
        custom_metadata: Mapping[str, str] | None = None,
        custom_tags: Iterable[str] | None = None,
        source_type: str | None = None,
        labels: Iterable[Any] = (),
    ) -> dict[str, str]:
        """Keep a file under its name, and return a pointer without id and version."""
        if file_category == "IDS" and self._allowed_ids is not None:
            ids = self._allowed_ids.get_ids_to_be_written(ids)
        self._storage[file_name] = {
            "metadata": {
                "TS_IDS": ids,
                "TS_SOURCE_TYPE": source_type,
                "TS_FILE_CATEGORY": file_category,
            },
            "body": content.encode("utf-8") if isinstance(content, str) else content,
            "custom_metadata": custom_metadata,
            "custom_tags": custom_tags,
        }
        return {"type": "s3file", "bucket": BUCKET, "fileKey": file_name}

    def write_ids(  # noqa: PLR0917  # the published signature
        self,
        content_obj: Any,
        file_suffix: str,
        ids: str | None = None,
        custom_metadata: Mapping[str, str] = {},
        custom_tags: Iterable[str] = (),
        source_type: str | None = None,
        file_category: str | None = "IDS",
        labels: Iterable[Any] = (),
    ) -> dict[str, Any]:
        """Check that the IDS is allowed, and return ``{}``."""
        if file_category != "TMP" and self._allowed_ids is not None:
            self._allowed_ids.get_ids_to_be_written(ids)
        return {}

    def get_ids(self, namespace: str, slug: str, version: str) -> dict[str, Any]:
        """Return ``{}``."""
        return {}

    def validate_ids(self, data: Any, namespace: str, slug: str, version: str) -> bool:
        """Check that the IDS is allowed, and return True."""
        if self._allowed_ids is not None:
            self._allowed_ids.is_reconcilable("%s/%s:%s" % (namespace, slug, version))
        return True

    def get_file_name(self, file: Mapping[str, Any]) -> str:
        """Return an empty text."""
        return ""

    def get_logger(self) -> Log:
        """Return a logger that knows no task."""
        return self._log

    def get_secret_config_value(self, secret_name: str, silent_on_error: bool = True) -> Any:
        """Return the configuration value of this name."""
        return self._pipeline_config[secret_name]

    def resolve_secret(self, secret: Any) -> Any:
        """Return the argument."""
        return secret

    def find_secrets(self, path: Any) -> list[dict[str, str]]:
        """Return that there are none."""
        return []

    def get_presigned_url(self, file: Mapping[str, Any], ttl_sec: int = 300) -> str:
        """Return an empty text."""
        return ""

    def update_metadata_tags(
        self,
        file: Mapping[str, Any],
        custom_meta: Mapping[str, str] = {},
        custom_tags: Iterable[str] = (),
    ) -> dict[str, Any]:
        """Return ``{}``."""
        return {}

    def run_command(  # noqa: PLR0917  # the published signature
        self,
        org_slug: str,
        target_id: str,
        action: str,
        metadata: Any,
        payload: Any,
        ttl_sec: int = 300,
        initial_delay_sec: int = 0,
    ) -> dict[str, Any]:
        """Return ``{}``."""
        return {}

    def add_labels(self, file: Mapping[str, Any], labels: Any) -> dict[str, Any]:
        """Return ``{}``."""
        return {}

    def get_labels(self, file: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``{}``."""
        return {}

    def delete_labels(self, file: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``{}``."""
        return {}


def load_pipeline_config(context: Context, config: dict[str, Any]) -> None:
    """Give a context other configuration values."""
    context._pipeline_config = config


def load_test_file(
    context: Context, local_path: Any, datalake_path: str, mode: str = "r", **kwargs: Any
) -> dict[str, str]:
    """Write a local file into a context, and return its pointer."""
    with open(local_path, mode) as file:
        return context.write_file(file.read(), datalake_path, **kwargs)


def check_test_output(
    context: Context,
    local_path: Any,
    datalake_file: Mapping[str, Any],
    transform: Callable[[bytes], Any] | None = None,
) -> None:
    """Assert that a file of a context equals a local one, both as `transform` makes them."""
    with open(local_path, "rb") as file:
        expected = file.read()
    actual = context.read_file(datalake_file)["body"]
    if transform is not None:
        expected, actual = transform(expected), transform(actual)
    assert expected == actual


def _allowed_ids(slug: str | None) -> AllowedIds | None:
    if not slug or not os.path.exists("config.json"):
        return None
    with open("config.json", encoding="utf-8") as file:
        functions = json.load(file).get("functions", [])
    for function in functions:
        if function.get("slug") == slug and "allowedIds" in function:
            return AllowedIds.from_config(function["allowedIds"])
    return None


def _temporary_file(body: bytes) -> str:
    import tempfile

    with tempfile.NamedTemporaryFile("wb", delete=False) as file:
        file.write(body)
    return file.name
