"""Masking of secret values in all that is shown or stored.

Each value is looked for as it is and in the forms in which programs commonly print
it: escaped for JSON or by ``repr``, URL-encoded, in base64 at any alignment, and line
by line where it has several lines.

What is looked for has at least six characters: shorter words occur everywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from stepline.errors import SettingsError

MASK = "***"
SHORTEST_SECRET = 6

# What encodeURIComponent leaves as it is, and Python's quote does not.
_KEPT_BY_BROWSERS = "!'()*"


def check_secret(name: str, value: str) -> None:
    """Refuse a value that cannot be masked without masking half of every log.

    Raises:
        SettingsError: The value has under 6 characters, or no line that has more; or it
            is not Unicode text.
    """
    lines = value.splitlines()
    longest = max((len(line.strip()) for line in lines), default=0)
    if longest < SHORTEST_SECRET:
        what = "the secret" if len(lines) < 2 else "the longest line of the secret"
        raise SettingsError(
            f"{what} '{name}' has {longest} characters; "
            f"under {SHORTEST_SECRET} it could not be masked in logs",
            hint="use a longer value",
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise SettingsError(
            f"the secret '{name}' is not UTF-8 text, so it could not be masked in logs",
            hint="use a value of text, such as its base64",
        ) from None  # the cause holds the value


class Masker:
    """Replaces the values of secrets, in every form, by ``***``."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: set[str] = set()
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._longest = 0
        self.add(values)

    def add(self, values: Iterable[str]) -> None:
        """Mask these values too, from now on."""
        new = set(values) - self._values
        if not new:
            return
        self._values |= new
        self._forms.update(*map(secret_forms, new))
        longest_first = sorted(self._forms, key=lambda form: (-len(form), form))
        if longest_first:
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))
            self._longest = len(longest_first[0])

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

    def split(self, text: str) -> tuple[str, str]:
        """Mask as much of a text as what follows it cannot change.

        A value may begin at the end of one piece of text and go on in the next.

        Returns:
            The first part, masked, and the rest as it is.
        """
        if self._pattern is None:
            return text, ""
        open_from = self._open_from(text)
        shown: list[str] = []
        done = 0
        for match in self._pattern.finditer(text):
            if match.start() >= open_from:
                break
            shown += (text[done : match.start()], MASK)
            done = match.end()
        border = max(done, open_from)
        return "".join((*shown, text[done:border])), text[border:]

    def _open_from(self, text: str) -> int:
        """Return the first place where a form begins that the text may yet go on with."""
        for position in range(max(0, len(text) - self._longest + 1), len(text)):
            tail = text[position:]
            if any(form.startswith(tail) and form != tail for form in self._forms):
                return position
        return len(text)


class StreamMasker:
    """Masks a text that arrives in pieces just as if it had come in one."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._rest = ""

    def feed(self, text: str) -> str:
        """Take the next piece; return what can be shown by now."""
        ready, self._rest = self._masker.split(self._rest + text)
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
    from urllib.parse import quote, quote_plus  # runs without secrets need not wait for it

    yield text
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield json.dumps(text)[1:-1].replace("/", "\\/")
    yield repr(text)[1:-1]
    yield repr(text.encode())[2:-1]
    for kept in ("", "/", _KEPT_BY_BROWSERS):
        yield from _url_forms(quote(text, safe=kept))
    yield from _url_forms(quote_plus(text))
    yield from _base64_forms(text.encode())


def _url_forms(quoted: str) -> Iterator[str]:
    yield quoted
    yield re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), quoted)


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
