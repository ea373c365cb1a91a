"""Push files to a plain HTTP endpoint; what it is asked for stands in README.md."""

from typing import Any

from endpoint import Endpoint
from posting import Posted
from putting import Put

from stepline_sdk import Context
from stepline_sdk.push import Destination, Given, push

METHODS = ("POST", "PUT")
TIMEOUT_S = 60.0


def push_files(input: dict[str, Any], context: Context) -> dict[str, Any]:
    """Push files in one signed request, and see for oneself that they are there."""
    given = Given(input)
    files = given.files(context)
    method = given.choice("method", METHODS, default="POST")
    template = given.text("read_back_url", default="")
    with Endpoint(
        given.text("url"),
        token=given.secret(context, "token", default=""),
        signing_secret=given.secret(context, "signing_secret", default=""),
        headers=headers_of(given, context),
        timeout_s=seconds(input, "timeout_s"),
    ) as endpoint:
        destination: Destination
        if method == "PUT":
            destination = Put(endpoint, read_back_url=template)
        else:
            destination = Posted(endpoint, read_back_url=template)
        return push(
            context,
            destination,
            files,
            note=given.text("note", default=""),
            dry_run=given.flag("dry_run"),
            force=given.flag("force"),
        )


def headers_of(given: Given, context: Context) -> dict[str, str]:
    """Return the headers to add; their values are texts, or references of secrets.

    Raises:
        TypeError, ValueError: One is neither.
    """
    found = {}
    for name, value in given.mapping("headers").items():
        resolved = context.resolve_secret(value)
        if resolved is None:
            raise ValueError(f"input 'headers': '{name}' is no secret that has a value")
        if not isinstance(resolved, str):
            raise TypeError(f"input 'headers': '{name}' is text, not {type(resolved).__name__}")
        found[name] = resolved
    return found


def seconds(input: dict[str, Any], name: str) -> float:
    """Return a time in seconds.

    Raises:
        ValueError: It is no number above 0.
    """
    value = input.get(name)
    if value is None:
        return TIMEOUT_S
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ValueError(f"input '{name}' is a number of seconds above 0, not {value!r}")
    return float(value)
