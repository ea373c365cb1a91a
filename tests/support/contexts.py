"""A Context over the platform's real end, on files in a temporary folder."""

import itertools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stepline.app.attempt_files import AttemptFiles
from stepline.app.attempt_scope import AttemptScope
from stepline.app.file_views import input_file_value
from stepline.app.task_context import TaskContextService
from stepline.errors import SettingsError
from stepline.model.file import FileRecord, Label
from stepline.model.task_script import IdsReference
from stepline.plugins.files_local.catalog import MemoryCatalog
from stepline.plugins.files_local.lake import local_file
from stepline.plugins.files_local.schemas import FolderSchemas
from stepline.plugins.files_local.store import FolderStore
from stepline.ports.secrets import SecretValue
from stepline.testing.in_process import InProcessChannel
from stepline_sdk.context import Context

IDS = "common/plate-reader:v1.0.0"
OTHER_IDS = "common/balance:v2.0.0"
SCHEMA = {
    "type": "object",
    "properties": {"run": {"type": "integer"}, "value": {"type": "number"}},
    "required": ["run"],
}
VALUES = {
    "orgSlug": "local",
    "pipelineId": "pipeline-1",
    "workflowId": "workflow-1",
    "taskId": "task-1",
    "taskSlug": "decode",
    "taskScript": "private-local/demo:v1.0.0",
    "masterScriptNamespace": "private-local",
    "masterScriptSlug": "push",
    "masterScriptVersion": "v1.0.0",
    "platformApiUrl": "http://127.0.0.1/api/",
    "pipelineConfig": {"pipelineName": "Push"},
}


class Secrets:
    """Secrets of a dict."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def read(self, name: str) -> SecretValue:
        if name not in self._values:
            raise SettingsError(f"no secret '{name}'")
        return SecretValue(self._values[name], version="7")


@dataclass
class World:
    """Files, schemas and secrets, and attempts that work on them."""

    root: Path
    input_bytes: bytes = b'{"a": 1}'
    secrets: dict[str, str] = field(default_factory=dict)
    input_size: int | None = None

    def __post_init__(self) -> None:
        self.store = FolderStore(str(self.root / "store"))
        self.input_path = self.root / "data" / "run42.json"
        self.input_path.parent.mkdir(parents=True)
        self.input_path.write_bytes(self.input_bytes)
        if self.input_size is not None:
            os.truncate(self.input_path, self.input_size)
        found = local_file(str(self.input_path), store=self.store)
        self.input = replace(
            found,
            metadata={"batch": "7"},
            tags=("raw",),
            labels=(Label("project", "apollo", id=1),),
            source={**found.source, "type": "reader", "name": "Reader 1"},
        )
        self.catalog = MemoryCatalog([self.input])
        self._numbers = itertools.count(1)
        self.publish_schema("ids", IDS, SCHEMA)

    def publish_schema(self, kind: str, name: str, schema: Any) -> None:
        """Put a schema into the folder of schemas."""
        folder = self.root / "ids" / kind / name.replace(":", "/")
        folder.mkdir(parents=True)
        (folder / "schema.json").write_text(json.dumps(schema))

    def new_id(self) -> str:
        """Return ``id-1``, ``id-2`` and so on."""
        return f"id-{next(self._numbers)}"

    def attempt(self, values: Mapping[str, Any] | None = None, **scope: Any) -> "Attempt":
        """Return a new attempt; ``scope`` holds fields of its `AttemptScope`."""
        number = next(self._numbers)
        scratch, tmp = self.root / f"scratch-{number}", self.root / f"tmp-{number}"
        scratch.mkdir()
        tmp.mkdir()
        given = {**VALUES, "inputFile": input_file_value(self.input), **(values or {})}
        made: dict[str, Any] = {
            "values": given,
            "files": AttemptFiles(self.catalog, self.store),
            "scratch_dir": str(scratch),
            "now": lambda: "2030-01-02T03:04:05Z",
            "new_id": self.new_id,
            "schemas": FolderSchemas(str(self.root / "ids")),
            "secrets": Secrets(self.secrets),
            "bucket": "local",
            **scope,
        }
        return Attempt(AttemptScope(**made), tmp)


class Attempt:
    """One attempt: both ends of its Context."""

    def __init__(self, scope: AttemptScope, tmp: Path) -> None:
        self.scope = scope
        self.files = scope.files
        self.scratch = Path(scope.scratch_dir)
        self.tmp = tmp
        self.service = TaskContextService(scope)
        self.context = Context(
            scope.values,
            channel=InProcessChannel(self.service),
            scratch_dir=str(self.scratch),
            tmp_dir=str(tmp),
            function=_function(scope.allowed_ids),
        )

    def record(self, pointer: Mapping[str, Any]) -> FileRecord:
        """Return what the attempt knows about a file version."""
        found = self.files.get(pointer["fileId"])
        assert found is not None
        return found

    def written(self, pointer: Mapping[str, Any]) -> bytes:
        """Return the bytes of a file version."""
        with self.files.bytes.open(self.record(pointer).blob) as file:
            return file.read()


def references(*names: str) -> tuple[IdsReference, ...]:
    """Return IDS by their texts."""
    parts = [(*name.partition(":")[0].split("/"), name.partition(":")[2]) for name in names]
    return tuple(IdsReference(*part) for part in parts)


def short(value: Any) -> str:
    """Return a name for a test's parameter."""
    return repr(value)[:40]


def _function(allowed: tuple[IdsReference, ...] | None) -> dict[str, Any]:
    if allowed is None:
        return {"slug": "decode"}
    return {"slug": "decode", "allowedIds": [vars(reference) for reference in allowed]}
