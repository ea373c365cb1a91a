"""Functions of the service's self-test: they read, write with labels, and fail on purpose."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any


def read(given: Mapping[str, Any], context: Any) -> str:
    """Return the text of the input file."""
    text: str = context.read_file(given["file"])["body"].decode()
    print(f"read: {text}")
    return text


def write(given: Mapping[str, Any], context: Any) -> Any:
    """Write a text in capitals, with labels; fail where the text says so, but write even then."""
    text: str = given["text"]
    labels = [{"name": "kind", "value": text.split()[0]}, {"name": "text", "value": text}]
    result = context.write_file(text.upper(), given["name"], "PROCESSED", labels=labels)
    print(f"wrote: {text}")
    if text.startswith("bad") or (text.startswith("flaky") and _is_first(text)):
        raise ValueError("fails on purpose")
    return result


def tell(given: Mapping[str, Any], context: Any) -> str:
    """Label the input file, and write nothing."""
    context.add_labels(given["file"], [{"name": "told", "value": "yes"}])
    print("told")
    return "told"


def _is_first(text: str) -> bool:
    """Return whether nobody asked about this text before."""
    marks = os.environ["SELFTEST_MARKS"]
    with suppress(FileExistsError):
        os.mkdir(os.path.join(marks, text.replace(" ", "-")))
        return True
    return False
