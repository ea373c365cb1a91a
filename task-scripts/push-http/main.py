"""Push files to a plain HTTP endpoint; what it is asked for stands in README.md."""

from typing import Any

from endpoint import Endpoint
from posting import Posted
from putting import Put

from stepline_sdk import Context
from stepline_sdk.push import Destination, Given, plain_url, push

METHODS = ("POST", "PUT")
TIMEOUT_S = 60.0


def push_files(input: dict[str, Any], context: Context) -> dict[str, Any]:
    """Push files in one signed request, and see for oneself that they are there."""
    given = Given(input)
    files = given.files(context)
    method = given.choice("method", METHODS, default="POST")
    template = given.text("read_back_url", default="")
    url, headers = address_of(input, context), headers_of(given, context)
    secret = [name for name, value in given.mapping("headers").items() if isinstance(value, dict)]
    hides = isinstance(input.get("url"), dict)
    with Endpoint(
        url,
        token=given.secret(context, "token", default=""),
        signing_secret=given.secret(context, "signing_secret", default=""),
        headers=headers,
        secret_headers=secret,
        is_secret=hides,
        timeout_s=given.number("timeout_s", TIMEOUT_S),
    ) as endpoint:
        kind: type[Put] | type[Posted] = Put if method == "PUT" else Posted
        destination: Destination = kind(endpoint, read_back_url=template)
        destination.aside = {
            "url": "" if hides else url,
            "headers": {name: text for name, text in headers.items() if name not in secret},
            "read_back_url": template,
        }
        return push(
            context,
            destination,
            files,
            **given.options(),
        )


def address_of(input: dict[str, Any], context: Context) -> str:
    """Return the address of the endpoint, which is a text or the reference of a secret.

    Raises:
        TypeError, ValueError: It is neither, or no address of HTTP.
    """
    given = Given(input)
    if not isinstance(input.get("url"), dict):
        given.address("url")
        return given.text("url")
    url = given.secret(context, "url").strip()
    Given({"url": url}).address("url")
    if plain_url(url) == url:
        raise ValueError(
            "input 'url' is a secret without a part after '?': only that is kept out of receipts "
            "and logs; give the address as a text, and what lets in as 'token' or 'headers'"
        )
    return url


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
