"""Reading the input of a function that pushes, with errors that name the field."""

from __future__ import annotations

from urllib.parse import urlsplit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_POINTER_KEYS = ("fileKey", "fileId")


class Given:
    """The input of a function, field by field. None counts as left out.

    Args:
        input: What the function was called with.

    Raises:
        TypeError: It is not an object.
    """

    def __init__(self, input: Any) -> None:
        if not isinstance(input, dict):
            raise TypeError("the input is an object, not %s" % type(input).__name__)
        self._input = input

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text, without space around it.

        Args:
            name: The field.
            default: What it is where it is left out; None: it may not be.

        Raises:
            ValueError: It is missing, or empty though there is no default.
            TypeError: It is not text.
        """
        value = self._value(name)
        if value is None and default is not None:
            return default
        if value is None:
            raise ValueError("input '%s' is missing" % name)
        if not isinstance(value, str):
            raise _wrong(name, "text", value)
        if not value.strip() and default is None:
            raise ValueError("input '%s' is empty" % name)
        return value.strip()

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a boolean.

        Raises:
            TypeError: It is something else, such as the text ``false``.
        """
        value = self._value(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise _wrong(name, "true or false", value)
        return value

    def number(self, name: str, default: float) -> float:
        """Return a number above zero.

        Raises:
            ValueError: It is not above zero, or not finite.
            TypeError: It is no number.
        """
        value = self._value(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _wrong(name, "a number", value)
        if not 0 < value < float("inf"):
            raise ValueError("input '%s' is %r, it must be above 0" % (name, value))
        return float(value)

    def address(self, name: str, default: str | None = None) -> str:
        """Return an address of HTTP, without a slash at its end.

        Raises:
            ValueError: It is missing, none, or has credentials in it.
            TypeError: It is not text.
        """
        url = self.text(name, default)
        if not url:
            return url
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("input '%s' is no address that begins with https:// or http://" % name)
        if "@" in parts.netloc:
            raise ValueError(
                "input '%s' has credentials in it: give them as secrets of their own" % name
            )
        return url.rstrip("/")

    def choice(self, name: str, options: Sequence[str], default: str | None = None) -> str:
        """Return one of some texts.

        Raises:
            ValueError: It is none of them, or missing.
            TypeError: It is not text.
        """
        value = self.text(name, default)
        if value not in options:
            known = ", ".join(options)
            raise ValueError("input '%s' is '%s', it must be one of: %s" % (name, value, known))
        return value

    def texts(self, name: str) -> list[str]:
        """Return a list of texts; empty where it is left out.

        Raises:
            TypeError: It is something else.
        """
        value = self._value(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise _wrong(name, "a list of texts", value)
        return list(value)

    def mapping(self, name: str) -> dict[str, Any]:
        """Return an object; empty where it is left out.

        Raises:
            TypeError: It is something else.
        """
        value = self._value(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise _wrong(name, "an object", value)
        return dict(value)

    def options(self) -> dict[str, Any]:
        """Return the fields ``note``, ``dry_run`` and ``force``, as `push` takes them.

        Raises:
            TypeError: One is of a wrong type.
        """
        return {
            "note": self.text("note", ""),
            "dry_run": self.flag("dry_run"),
            "force": self.flag("force"),
        }

    def files(self, context: Any, name: str = "files") -> dict[str, Any]:
        """Return file pointers by the names that the files are to have at the platform.

        Args:
            context: Knows the names of files.
            name: The field: a file pointer, a list of them, or an object of them by name.

        Raises:
            ValueError: It is missing, or two files have one name.
            TypeError: It is something else.
        """
        value = self._value(name)
        if value is None:
            raise ValueError("input '%s' is missing: which files to push" % name)
        if _is_pointer(value):
            value = [value]
        if isinstance(value, dict) and all(_is_pointer(each) for each in value.values()):
            return dict(value)
        if not isinstance(value, list) or not all(_is_pointer(each) for each in value):
            raise _wrong(name, "a file pointer, a list of them, or an object of them", value)
        return _by_name(context, name, value)

    def secret(self, context: Any, name: str, default: str | None = None) -> str:
        """Return the value of a secret that the field refers to.

        Args:
            context: Resolves it.
            name: The field.
            default: What it is where it is left out; None: it may not be.

        Raises:
            ValueError: It is missing, there is no such secret, or it is no reference to one: a
                value given in the clear would be kept with the workflow, and not be masked.
        """
        value = self._value(name)
        if value in (None, "") and default is not None:
            return default
        if isinstance(value, str):
            raise ValueError(
                "input '%s' is a plain text: refer to a secret, such as $( config.%s )"
                " of type secret" % (name, name)
            )
        resolved = context.resolve_secret(value)
        if not isinstance(resolved, str) or not resolved:
            raise ValueError("input '%s' is no secret that has a value" % name)
        return resolved

    def _value(self, name: str) -> Any:
        return self._input.get(name)


def _by_name(
    context: Any, field: str, pointers: Sequence[Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for given in pointers:
        pointer = given if "fileKey" in given else context.get_file_pointer(given["fileId"])
        name = context.get_file_name(pointer)
        if name in found:
            raise ValueError(
                "input '%s' has two files named %s: give an object with a name for each"
                % (field, name)
            )
        found[name] = pointer
    return found


def _is_pointer(value: Any) -> bool:
    return isinstance(value, dict) and any(isinstance(value.get(key), str) for key in _POINTER_KEYS)


def _wrong(name: str, wanted: str, value: Any) -> TypeError:
    return TypeError("input '%s' is %s, not %s" % (name, wanted, type(value).__name__))
