"""Calls of a Context about IDS and other schemas."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

from stepline.app.attempt_scope import AttemptScope
from stepline.app.call_errors import CallRefused
from stepline.errors import UploadError
from stepline.model.file import FileCategory
from stepline.model.task_script import IdsReference
from stepline.model.values import Json
from stepline.ports.files import open_plain
from stepline.ports.schemas import SchemaKind

DATA_BYTES = 64 * 1024**2
"""Largest data that are checked against an IDS; Python needs several times their size."""

# A part is a name in folders and addresses, so it is neither ``.`` nor ``..``.
_PART = r"(?!\.{1,2}(?:[/:]|$))[^/:\s]+"
_IDS = re.compile(rf"({_PART})/({_PART}):({_PART})")


def get_ids(scope: AttemptScope, params: Mapping[str, Any]) -> Json:
    """Return the schema of an IDS."""
    return dict(_schema(scope, "ids", _reference(params)))


def get_schema_artifact(scope: AttemptScope, params: Mapping[str, Any]) -> Json:
    """Return the schema of a schema artifact."""
    return dict(_schema(scope, "schemas", _reference(params)))


def validate_ids(scope: AttemptScope, params: Mapping[str, Any]) -> Json:
    """Check data in the scratch folder against an IDS."""
    parts = [params.get(part) for part in ("namespace", "slug", "version")]
    if any(parts) and not all(parts):
        message = f"namespace, slug and version belong together: all or none, not {parts}"
        raise CallRefused("IDSValidateWrongParams", message)
    reference = _reference(params) if all(parts) else _only_allowed(scope)
    if not params.get("ignoreAllowedIds") and scope.allowed_ids is not None:
        _check_allowed(scope.allowed_ids, str(reference))
    path = scope.scratch_path(params.get("scratch"))
    _validate(scope, _data(path)[0], reference)
    return None


def parsed_ids(ids: Any) -> IdsReference:
    """Return the IDS that a text names.

    Raises:
        CallRefused: It is not ``namespace/slug:version``.
    """
    match = _IDS.fullmatch(ids) if isinstance(ids, str) else None
    if match is None:
        raise CallRefused("ValueError", f"IDS {ids!r} is not namespace/slug:version")
    return IdsReference(*match.groups())


def ids_to_write(scope: AttemptScope, *, category: FileCategory, ids: Any) -> str | None:
    """Return the IDS that a file to write follows, after config.json's ``allowedIds``.

    Raises:
        CallRefused: The function may not write it, or it is open which one.
    """
    given = str(parsed_ids(ids)) if ids else None
    if category is not FileCategory.IDS:
        return given
    if scope.allowed_ids is not None:
        return _check_allowed(scope.allowed_ids, given)
    if given is None:
        raise CallRefused(
            "ValueError", "category IDS needs ids: config.json has no allowedIds to take it from"
        )
    return given


def clean_data(scope: AttemptScope, path: str, *, ids: str) -> None:
    """Validate data in a file against its IDS, and put null where NaN and infinities are.

    Raises:
        CallRefused: The data do not follow the IDS.
    """
    data, has_nan = _data(path)
    # Before the nulls: to a schema NaN is a number.
    _validate(scope, data, parsed_ids(ids))
    if has_nan:
        text = json.dumps(_without_nan(data), allow_nan=False)
        os.unlink(path)
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)


def _reference(params: Mapping[str, Any]) -> IdsReference:
    parts = [params.get(part) for part in ("namespace", "slug", "version")]
    for part in parts:
        if not isinstance(part, str) or not re.fullmatch(_PART, part):
            message = f"namespace, slug and version must be names, not {parts}"
            raise CallRefused("ValueError", message)
    return IdsReference(*(str(part) for part in parts))


def _check_allowed(allowed: tuple[IdsReference, ...], given: str | None) -> str:
    names = [str(one) for one in allowed]
    if not names:
        raise CallRefused("IDSInvalidWrite", "config.json allows this function no IDS")
    if given is None:
        if len(names) > 1:
            message = f"say which IDS to use; config.json allows {', '.join(names)}"
            raise CallRefused("IDSInvalidWrite", message)
        return names[0]
    if given not in names:
        message = f"IDS {given} is not allowed; config.json allows {', '.join(names)}"
        raise CallRefused("IDSNotAllowed", message)
    return given


def _only_allowed(scope: AttemptScope) -> IdsReference:
    if scope.allowed_ids is None or len(scope.allowed_ids) != 1:
        message = "say which IDS to validate against: config.json does not allow exactly one"
        raise CallRefused("IDSValidateWrongParams", message)
    return scope.allowed_ids[0]


def _schema(scope: AttemptScope, kind: SchemaKind, reference: IdsReference) -> Mapping[str, Any]:
    what = "IDS" if kind == "ids" else "schema artifact"
    if "-" in reference.version and not scope.values.get("includePrereleases"):
        message = f"{what} {reference} is a prerelease, which the pipeline does not include"
        raise CallRefused("FileNotFoundError", message)
    schema = scope.schemas.schema(kind, reference) if scope.schemas else None
    if schema is None:
        raise CallRefused("FileNotFoundError", f"there is no {what} {reference}")
    scope.reads.add(kind, name=str(reference))
    return schema


def _data(path: str) -> tuple[Any, bool]:
    """Return the JSON of a file, and whether NaN or an infinity is in it."""
    odd: list[str] = []

    def constant(name: str) -> float:
        odd.append(name)
        return float(name)

    try:
        with open_plain(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > DATA_BYTES:
                message = f"the data are {size} bytes; at most {DATA_BYTES} are checked or written"
                raise CallRefused("ValueError", message)
            # Not more than that: the task may be writing to it.
            return json.loads(file.read(size).decode(), parse_constant=constant), bool(odd)
    except UploadError as error:
        raise CallRefused("ValueError", error.what) from error
    except (OSError, ValueError, RecursionError) as error:
        raise CallRefused("ValueError", f"the data cannot be read as JSON: {error}") from error


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and value - value != 0 else value


def _validate(scope: AttemptScope, data: Any, reference: IdsReference) -> None:
    from stepline.app.ids_validation import ids_problems

    problems = ids_problems(data, _schema(scope, "ids", reference))
    if problems:
        text = "\n".join(problems)
        raise CallRefused("IDSInvalidData", f"the data do not follow IDS {reference}:\n{text}")
