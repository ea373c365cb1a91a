"""Reading JSON that the user keeps in folders: schemas, and ``files.json``."""

from __future__ import annotations

import json
from typing import Any

from stepline.errors import Location, UserError


def read_json(path: str, *, error_class: type[UserError]) -> Any:
    """Return what a file holds; it must be JSON by the book, with finite numbers only.

    Args:
        path: The file.
        error_class: What is raised.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: It cannot be read, or is not JSON; of the class that was given.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file, parse_constant=_refuse, parse_float=_finite)
    except FileNotFoundError:
        raise
    except json.JSONDecodeError as error:
        where = Location(path, error.lineno, error.colno)
        raise error_class(f"not valid JSON: {error.msg}", where=where) from error
    except (OSError, ValueError, RecursionError) as error:
        raise error_class(f"cannot be read: {error}", where=Location(path)) from error


def _finite(text: str) -> float:
    number = float(text)
    return number if number - number == 0 else _refuse(text)


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is no number that JSON can hold")
