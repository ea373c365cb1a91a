"""Masking of secret values in all that is shown or stored.

Each value is looked for as it is and in the forms in which programs commonly print
it: escaped for JSON or by ``repr``, URL-encoded, in base64 at any alignment, and line
by line where it has several lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from stepline.errors import SettingsError

MASK = "***"
SHORTEST_SECRET = 6


def check_secret(name: str, value: str) -> None:
    """Refuse a value that cannot be masked without masking half of every log.

    Raises:
        SettingsError: The value has under 6 characters.
    """
    if len(value) < SHORTEST_SECRET:
        raise SettingsError(
            f"the secret '{name}' has {len(value)} characters; "
            f"under {SHORTEST_SECRET} it could not be masked in logs",
            hint="use a longer value",
        )


class Masker:
    """Replaces the values of secrets, in every form, by ``***``."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.longest = 0
        self.add(values)

    def add(self, values: Iterable[str]) -> None:
        """Mask these values too, from now on."""
        new = {form for value in values for form in secret_forms(value)} - self._forms
        if not new:
            return
        self._forms |= new
        longest_first = sorted(self._forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))
        self.longest = len(longest_first[0])

    def text(self, text: str) -> str:
        """Return a text without the values."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def value(self, value: Any) -> Any:
        """Return a JSON value whose strings, keys included, are without the values."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {self.text(key): self.value(item) for key, item in value.items()}
        return value

    def held_back(self, text: str) -> int:
        """Return from where on a text must wait for what follows it.

        A value may begin at the end of one piece of text and go on in the next. What
        this returns is the first place at which that is possible.
        """
        if self._pattern is None:
            return len(text)
        start = max(0, len(text) - self.longest + 1)
        for position in range(start, len(text)):
            tail = text[position:]
            if any(form.startswith(tail) for form in self._forms):
                return position
        return len(text)


class StreamMasker:
    """Masks a text that arrives in pieces, also where a value spans two of them."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._rest = ""

    def feed(self, text: str) -> str:
        """Take the next piece; return what can be shown by now."""
        self._rest = self._masker.text(self._rest + text)
        border = self._masker.held_back(self._rest)
        ready, self._rest = self._rest[:border], self._rest[border:]
        return ready

    def end(self, text: str = "") -> str:
        """Take the last piece; return all that was held back, masked."""
        ready = self._masker.text(self._rest + text)
        self._rest = ""
        return ready


def secret_forms(value: str) -> set[str]:
    """Return the forms in which a secret value may be printed."""
    forms: set[str] = set()
    for part in {value, *value.splitlines()}:
        stripped = part.strip()
        for text in {part, stripped}:
            if len(text) >= SHORTEST_SECRET:
                forms.update(_encodings(text))
    return {form for form in forms if len(form) >= SHORTEST_SECRET}


def _encodings(text: str) -> Iterator[str]:
    from urllib.parse import quote, quote_plus

    yield text
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield json.dumps(text)[1:-1].replace("/", "\\/")
    yield repr(text)[1:-1]
    for quoted in (quote(text, safe=""), quote(text), quote_plus(text)):
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), quoted)
    yield from _base64_forms(text.encode())


def _base64_forms(data: bytes) -> Iterator[str]:
    """Give the part of the base64 text that does not depend on what stands around."""
    import base64

    for offset in range(3):
        whole = base64.b64encode(b"\0" * offset + data).decode()
        first = -(-offset * 8 // 6)
        last = (offset + len(data)) * 8 // 6
        sure = whole[first:last]
        yield sure
        yield sure.replace("+", "-").replace("/", "_")
