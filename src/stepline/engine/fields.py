"""Fields of a searched document: dotted paths, values, words, patterns.

Source:
    Elasticsearch reference: array, nested and keyword field types, standard
    analyzer, wildcard query.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

NESTED = frozenset({"labels"})
"""Arrays of objects that only a ``nested`` query sees, one element at a time."""

TEXT = frozenset({"filePath", "source.name"})
"""Fields that ``match`` compares word by word; all others hold exact values."""

# A dot, colon or apostrophe joins letters, a dot, comma, semicolon or apostrophe digits.
_WORD = re.compile(
    r"\w+(?:(?:(?<=[^\W\d_])[.:'\u2019\u00b7](?=[^\W\d_])|(?<=\d)[.,;'\u2019](?=\d))\w+)*"
)


class View(NamedTuple):
    """What a query sees: a document, or one element of a nested array.

    Attributes:
        document: The document; below a nested array only ``{<array>: <element>}``.
        nested: Name of the nested array that is seen, or empty.
    """

    document: Mapping[str, Any]
    nested: str = ""


def field_values(view: View, path: str) -> list[Any]:
    """Return the leaves at a dotted path, arrays flattened, nulls left out.

    ``_id`` stands for ``fileId``; a suffix ``.keyword`` is dropped where there is no
    such field.
    """
    if path == "_id":
        path = "fileId"
    root = path.partition(".")[0]
    if root in NESTED and view.nested != root:
        return []
    found = list(_leaves(view.document, path.split(".")))
    if not found and path.endswith(".keyword"):
        return field_values(view, path.removesuffix(".keyword"))
    return found


def elements(view: View, path: str) -> Iterator[View]:
    """Yield a view of each element of a nested array."""
    for element in _as_list(view.document.get(path)):
        yield View({path: element}, nested=path)


def words(text: str) -> list[str]:
    """Return the words of a text in lower case, as the standard analyzer cuts them."""
    return _WORD.findall(text.lower())


def glob_matches(pattern: str, text: str) -> bool:
    r"""Return whether a whole text fits a pattern of ``*`` and ``?``; ``\`` escapes.

    Takes time proportional to the two lengths' product at most.
    """
    tokens = _glob_tokens(pattern)
    at = star = 0
    star_text = -1
    position = 0
    while position < len(text):
        if at < len(tokens) and tokens[at] == "*":
            star, star_text = at, position
            at += 1
        elif at < len(tokens) and tokens[at] in ("?", "\\" + text[position]):
            at, position = at + 1, position + 1
        elif star_text >= 0:
            star_text += 1
            at, position = star + 1, star_text
        else:
            return False
    return all(token == "*" for token in tokens[at:])


def _glob_tokens(pattern: str) -> list[str]:
    r"""Cut a pattern into ``*``, ``?`` and literal characters written ``\c``."""
    tokens = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            tokens.append("\\" + next(characters, "\\"))
        elif character in "*?":
            tokens.append(character)
        else:
            tokens.append("\\" + character)
    return tokens


def _leaves(value: Any, parts: list[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item, parts)
    elif not parts:
        if value is not None:
            yield value
    elif isinstance(value, Mapping):
        yield from _leaves(value.get(parts[0]), parts[1:])


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
