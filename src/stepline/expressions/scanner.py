"""A cursor over an expression's text that reads white space, names, text and numbers.

Source:
    ECMAScript 2025, section 12.9 (literals). Octal escapes and numbers with a leading
    zero, which mean different things in different modes of that language, are refused.
"""

from __future__ import annotations

import math
from typing import NoReturn

from stepline.errors import ExpressionError
from stepline.expressions.text import LINE_ENDS, SPACE, continues_name, starts_name

_SIMPLE_ESCAPES = {"n": "\n", "t": "\t", "b": "\b", "v": "\v", "f": "\f", "r": "\r"}
_RADIX = {"x": 16, "o": 8, "b": 2}
_DIGITS = "0123456789"
_EXACT_INTEGER = 2**53
_MAX_CODE_POINT = 0x10FFFF


class Scanner:
    """Reads `text` from `position` up to, not including, `end`."""

    def __init__(self, text: str, position: int, end: int) -> None:
        self.text = text
        self.position = position
        self.end = end

    def peek(self, ahead: int = 0) -> str:
        """Return the character at the cursor, or the empty text at the end."""
        at = self.position + ahead
        return self.text[at] if at < self.end else ""

    def starts_with(self, token: str) -> bool:
        """Tell whether `token` comes next."""
        return self.text.startswith(token, self.position, self.end)

    def take(self, token: str) -> bool:
        """Step over `token` if it comes next, and tell whether it did."""
        found = self.starts_with(token)
        if found:
            self.position += len(token)
        return found

    def fail(self, code: str, what: str, *, offset: int | None = None, hint: str = "") -> NoReturn:
        """Raise an error at `offset`, by default at the cursor."""
        at = self.position if offset is None else offset
        raise ExpressionError(what, code=code, offset=at, hint=hint)

    def skip_space(self) -> None:
        """Step over white space and comments."""
        while True:
            char = self.peek()
            if char and char in SPACE:
                self.position += 1
            elif self.starts_with("//"):
                self._skip_line()
            elif self.starts_with("/*"):
                self._skip_block()
            else:
                return

    def name(self) -> str:
        """Read a name; the empty text if none comes next."""
        start = self.position
        if starts_name(self.peek() or " "):
            self.position += 1
            while self.peek() and continues_name(self.peek()):
                self.position += 1
        return self.text[start : self.position]

    def string(self) -> str:
        """Read text in quotes; the cursor is on the opening quote."""
        start = self.position
        quote = self.peek()
        self.position += 1
        parts: list[str] = []
        while self.peek() != quote:
            char = self.peek()
            if not char or char in "\n\r":
                self.fail("unterminated-string", "text is not closed", offset=start)
            if char == "\\":
                parts.append(self._escape())
            else:
                parts.append(char)
                self.position += 1
        self.position += 1
        return self._joined(parts, start)

    def at_number(self) -> bool:
        """Tell whether a number without sign comes next."""
        char = self.peek(1) if self.peek() == "." else self.peek()
        return "0" <= char <= "9"

    def number(self) -> int | float:
        """Read a number without sign; the cursor is on a digit or a dot."""
        start = self.position
        radix = _RADIX.get(self.peek(1).lower() or " ") if self.peek() == "0" else None
        value = self._radix_number(radix) if radix else self._decimal_number()
        if self.peek() == "n":
            self.fail("big-integer", "big integers are not allowed", offset=start)
        if self.peek() and continues_name(self.peek()):
            self._bad_number(start)
        return self._finite(value, start)

    def _skip_line(self) -> None:
        while self.peek() and self.peek() not in LINE_ENDS:
            self.position += 1

    def _skip_block(self) -> None:
        close = self.text.find("*/", self.position + 2, self.end)
        if close < 0:
            self.fail("unterminated-comment", "a comment is not closed", hint="end it with */")
        self.position = close + 2

    def _joined(self, parts: list[str], start: int) -> str:
        """Join characters, pairing surrogates that were escaped one by one."""
        text = "".join(parts)
        if not any("\ud800" <= char <= "\udfff" for char in text):
            return text
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self.fail("invalid-escape", "half of a surrogate pair is not a character", offset=start)

    def _escape(self) -> str:
        start = self.position
        char = self.peek(1)
        self.position += 2
        if char in _SIMPLE_ESCAPES:
            return _SIMPLE_ESCAPES[char]
        if char == "x":
            return chr(self._hex(2, start))
        if char == "u":
            return self._unicode_escape(start)
        if char == "\r" and self.peek() == "\n":
            self.position += 1
        if char and char in LINE_ENDS:
            return ""
        if char == "0" and self.peek() not in tuple(_DIGITS):
            return "\0"
        if char in tuple(_DIGITS):
            self.fail("invalid-escape", "octal escapes are not allowed", offset=start)
        return char

    def _unicode_escape(self, start: int) -> str:
        if not self.take("{"):
            return chr(self._hex(4, start))
        close = self.text.find("}", self.position, self.end)
        digits = self.text[self.position : close] if close >= 0 else ""
        if not digits or len(digits) > 8 or not _all_in(digits, "0123456789abcdefABCDEF"):
            self.fail("invalid-escape", "not a valid \\u{…} escape", offset=start)
        self.position = close + 1
        if int(digits, 16) > _MAX_CODE_POINT:
            self.fail("invalid-escape", "no character has this number", offset=start)
        return chr(int(digits, 16))

    def _hex(self, length: int, start: int) -> int:
        digits = self.text[self.position : min(self.position + length, self.end)]
        if len(digits) != length or not _all_in(digits, "0123456789abcdefABCDEF"):
            self.fail("invalid-escape", f"an escape needs {length} hex digits", offset=start)
        self.position += length
        return int(digits, 16)

    def _radix_number(self, radix: int) -> int:
        start = self.position
        self.position += 2
        digits = self._digits("0123456789abcdefABCDEF"[: radix if radix < 16 else None], start)
        if not digits:
            self._bad_number(start)
        return int(digits, radix)

    def _decimal_number(self) -> int | float:
        start = self.position
        whole = self._digits(_DIGITS, start)
        if len(whole) > 1 and whole[0] == "0":
            self._bad_number(start, "a number cannot start with 0")
        fraction = self._digits(_DIGITS, start) if self.take(".") else None
        if not whole and not fraction:
            self._bad_number(start)
        exponent = ""
        if self.peek() in ("e", "E"):
            self.position += 1
            sign = self.peek() if self.peek() in ("+", "-") else ""
            self.position += len(sign)
            exponent = self._digits(_DIGITS, start)
            if not exponent:
                self._bad_number(start)
            exponent = sign + exponent
        if fraction is None and not exponent:
            return _parse_integer(whole)
        return float(f"{whole or 0}.{fraction or 0}e{exponent or 0}")

    def _digits(self, allowed: str, start: int) -> str:
        """Read digits with single underscores between them."""
        begin = self.position
        while self.peek() and (self.peek() in allowed or self.peek() == "_"):
            self.position += 1
        text = self.text[begin : self.position]
        if text.startswith("_") or text.endswith("_") or "__" in text:
            self._bad_number(start)
        return text.replace("_", "")

    def _finite(self, value: int | float, start: int) -> int | float:
        try:
            as_float = float(value)
        except OverflowError:
            as_float = math.inf
        if math.isinf(as_float):
            self.fail("invalid-number", "the number is too large", offset=start)
        if as_float.is_integer() and abs(as_float) <= _EXACT_INTEGER:
            return int(value)
        return as_float

    def _bad_number(self, start: int, what: str = "not a valid number") -> NoReturn:
        self.fail("invalid-number", what, offset=start)


def _all_in(text: str, allowed: str) -> bool:
    return all(char in allowed for char in text)


def _parse_integer(digits: str) -> int | float:
    """Parse digits; longer ones than a float can hold would only be slow to parse exactly."""
    return int(digits) if len(digits) < 18 else float(digits)
