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
from contextlib import suppress
from typing import Any

from stepline.app.form_search import PREFIX, FormSearch
from stepline.errors import SettingsError

MASK = "***"
SHORTEST_SECRET = PREFIX

# What encodeURIComponent leaves as it is, and Python's quote does not.
_KEPT_BY_BROWSERS = "!'()*"

# What writers of JSON escape though they need not: Go, web frameworks, Gson, PHP, .NET.
_ESCAPED_BY_WRITERS = ("<>&", "<>&'", "<>&'=", "<>&'\"", "<>&'\"+`")
# An escape as a whole, so that its backslash is not taken for the next one's beginning.
_ESCAPED_BY_SOME = re.compile(r"\\(?:u[0-9a-f]{4}|.)|[<>&'=+`]")


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
        self._search: FormSearch | None = None
        self.add(values)

    def add(self, values: Iterable[str]) -> None:
        """Mask these values too, from now on."""
        new = set(values) - self._values
        if not new:
            return
        self._values |= new
        self._forms.update(*map(secret_forms, new))
        if self._forms:
            self._search = FormSearch(self._forms)

    def text(self, text: str) -> str:
        """Return a text without the values."""
        return text if self._search is None else _replaced(self._search, text, len(text))[0]

    def value(self, value: Any) -> Any:
        """Return a JSON value whose strings, keys included, are without the values.

        A number that holds one becomes the mask.
        """
        if self._search is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {self.text(key): self.value(item) for key, item in value.items()}
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value if self.text(text := repr(value)) == text else MASK
        return value

    def decoded(self, text: str) -> str:
        """Return a JSON object's text in which no string is a value once it is decoded.

        JSON may write any character as an escape, so that what reads it may show what
        could not be found in the text. Any other text is returned as it is.
        """
        if self._search is None or "\\" not in text or not text.lstrip().startswith("{"):
            return text
        try:
            record = json.loads(text)
            masked = self.value(record)
        except (ValueError, RecursionError):
            return text
        return text if masked == record else json.dumps(masked)

    def split(self, text: str) -> tuple[str, str]:
        """Mask as much of a text as what follows it cannot change.

        A value may begin at the end of one piece of text and go on in the next.

        Returns:
            The first part, masked, and the rest as it is.
        """
        if self._search is None:
            return text, ""
        shown, border = _replaced(self._search, text, self._search.open_from(text))
        return shown, text[border:]


_read_by_process: set[str] = set()


def remember_for_reports(value: str) -> None:
    """Let `process_masker` mask this value from now on."""
    _read_by_process.add(value)


def process_masker() -> Masker:
    """Return what masks every secret that this process has read.

    For reports of errors alone: where those are printed, no one workflow's masker is at
    hand. A workflow has a masker of its own, so that another's secrets change nothing in it.
    """
    return Masker(_read_by_process)


class StreamMasker:
    """Masks a text that arrives in pieces just as if it had come in one."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._rest = ""

    def feed(self, text: str) -> str:
        """Take the next piece; return what can be shown by now."""
        ready, self._rest = self._masker.split(self._rest + text)
        return self._masker.decoded(ready)

    def end(self, text: str = "") -> str:
        """Take the last piece; return all that was held back, masked."""
        ready = self._masker.text(self._masker.decoded(self._rest + text))
        self._rest = ""
        return ready


def _replaced(search: FormSearch, text: str, end: int) -> tuple[str, int]:
    """Mask what begins before a place; return that part, and where it ends."""
    shown: list[str] = []
    done = 0
    for start, stop in search.find(text, end=end):
        shown += (text[done:start], MASK)
        done = stop
    border = max(done, end)
    return "".join((*shown, text[done:border])), border


def secret_forms(value: str) -> set[str]:
    """Return the forms in which a secret value may be printed."""
    forms: set[str] = set()
    for part in {value, *value.splitlines()}:
        stripped = part.strip()
        for text in {part, stripped}:
            if len(text) >= SHORTEST_SECRET:
                forms.update(encodings(text))
    return {form for form in forms if len(form) >= SHORTEST_SECRET}


def encodings(text: str) -> Iterator[str]:
    """Give a text in the forms in which programs commonly write it, some more than once."""
    from urllib.parse import quote, quote_plus  # runs without secrets need not wait for it

    yield text
    yield from _json_forms(text)
    yield from _number_forms(text)
    yield repr(text)[1:-1]
    yield ascii(text)[1:-1]
    yield repr(text.encode())[2:-1]
    for kept in ("", "/", _KEPT_BY_BROWSERS):
        yield from _url_forms(quote(text, safe=kept))
    yield from _url_forms(quote_plus(text))
    yield from _base64_forms(text.encode())


def _json_forms(text: str) -> Iterator[str]:
    for ascii_only in (True, False):
        plain = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        forms = {plain}
        if _ESCAPED_BY_SOME.search(plain):
            for characters in _ESCAPED_BY_WRITERS:
                escaped = _escaped(plain, characters)
                forms |= {escaped, _in_capitals(escaped)}
        for form in forms:
            yield form
            yield form.replace("/", "\\/")


def _escaped(plain: str, characters: str) -> str:
    """Write some characters of a JSON text as escapes, by number."""

    def one(match: re.Match[str]) -> str:
        token = match[0][-1] if match[0] == '\\"' else match[0]
        return f"\\u{ord(token):04x}" if token in characters else match[0]

    return _ESCAPED_BY_SOME.sub(one, plain)


def _in_capitals(escaped: str) -> str:
    return _ESCAPED_BY_SOME.sub(
        lambda match: "\\u" + match[0][2:].upper() if match[0][:2] == "\\u" else match[0], escaped
    )


def _number_forms(text: str) -> Iterator[str]:
    """Give what a program prints that read a text of digits as a number."""
    for number in (int, float):
        with suppress(ValueError, OverflowError):  # int refuses thousands of digits
            yield repr(number(text))


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
