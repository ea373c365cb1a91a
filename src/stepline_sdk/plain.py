"""Python values as JSON that the platform can judge, and say what is wrong with them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from stepline_sdk.labels import AnyLabel


def labels_to_plain(labels: Iterable[AnyLabel] | None) -> list[Any]:
    """Return labels as ``{name, value}``; what is no label is described instead.

    Raises:
        ValueError: ``labels`` cannot be iterated.
    """
    from stepline_sdk.labels import Label

    if labels is None:
        return []
    try:
        entries = [labels] if isinstance(labels, (str, dict)) else list(labels)
    except TypeError:
        kind = type(labels).__name__
        raise ValueError("labels must be a list of labels, not of type %s" % kind) from None
    plain = [
        {"name": entry.name, "value": entry.value} if isinstance(entry, Label) else entry
        for entry in entries
    ]
    return [jsonable(entry) for entry in plain]


def metadata_to_plain(
    metadata: Mapping[str, Any] | None, keep_none: bool = False
) -> dict[str, str | None]:
    """Return metadata with every value as text.

    Args:
        metadata: Metadata by key.
        keep_none: Keep None, which deletes a key, as it is.

    Raises:
        TypeError: A key is not text.
    """
    plain = {}
    for key, value in (metadata or {}).items():
        if not isinstance(key, str):
            raise TypeError("metadata key %r is not text" % (key,))
        plain[key] = None if keep_none and value is None else str(value)
    return plain


def tags_to_plain(tags: Iterable[str] | None) -> list[str]:
    """Return tags as a list.

    Raises:
        TypeError: A tag is not text, or ``tags`` is one text instead of several.
    """
    if isinstance(tags, str):
        raise TypeError("custom_tags must be a list of texts, not one text: %r" % tags)
    plain = list(tags or ())
    for tag in plain:
        if not isinstance(tag, str):
            raise TypeError("tag %r is not text but %s" % (tag, type(tag).__name__))
    return plain


def jsonable(value: Any) -> Any:
    """Return a value as strict JSON; what JSON cannot hold becomes its ``repr``."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        # NaN and the infinities are the only floats of which this is not zero.
        return value if value - value == 0 else None
    return {"pythonType": type(value).__name__, "repr": repr(value)}
