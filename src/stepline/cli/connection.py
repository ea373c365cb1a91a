"""Which service the command line talks to: from options, a file, or the environment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepline.cli.home import AUTH_FILE, DEFAULT_HOME
from stepline.errors import Location, SettingsError
from stepline.frozen import frozen

HOME_FILE = Path(DEFAULT_HOME, AUTH_FILE)
PREFIXES = ("STEPLINE_", "TS_")
_TRUE = (True, "true", "True", "1", 1)
_KEYS = ("api_url", "auth_token", "org", "ignore_ssl")
_HOW = "start a service here with stepline serve, or name its auth.json with --config"


@frozen(kw_only=True)
class Connection:
    """A service, and the right to use it.

    Attributes:
        api_url: Address of the API, with ``/v1`` and without a slash at its end.
        auth_token: The token.
        org: Slug of the organisation.
        ignore_ssl: Whether any certificate is good.
        origin: Where that is from, for messages.
    """

    api_url: str
    auth_token: str
    org: str
    ignore_ssl: bool
    origin: str

    def __repr__(self) -> str:
        return f"Connection({self.api_url!r}, org={self.org!r}, auth_token='***')"


def find_connection(
    given: Mapping[str, Any], *, config: Path | None, environ: Mapping[str, str]
) -> Connection:
    """Return the connection that options, a file or the environment describe.

    Options win. A file that is named stands for all the rest; else the environment does if
    it has an address or a token; else the file that ``stepline serve`` wrote here does.

    Args:
        given: Options by key of ``auth.json``; None where not given.
        config: The file that was named.
        environ: Environment variables.

    Raises:
        SettingsError: There is no such file, it is not usable, or something is missing.
    """
    options = {key: value for key, value in given.items() if value}
    found, origin = _behind_options(options, config, environ)
    values = {**found, **options}
    missing = [key for key in _KEYS[:3] if not values.get(key)]
    if missing:
        raise SettingsError(f"{origin} names no {', no '.join(missing)}", hint=_HOW)
    return Connection(
        api_url=_address(values["api_url"], origin),
        auth_token=_header(values["auth_token"], "auth_token", origin),
        org=_header(values["org"], "org", origin),
        ignore_ssl=values.get("ignore_ssl") in _TRUE,
        origin=origin,
    )


def names_service(environ: Mapping[str, str]) -> bool:
    """Tell whether a service is known without options."""
    return bool(_from_environ(environ)) or HOME_FILE.exists()


def _behind_options(
    options: Mapping[str, Any], config: Path | None, environ: Mapping[str, str]
) -> tuple[dict[str, Any], str]:
    """Return what options leave open, and where it is from."""
    if config is not None:
        return _read(config), str(config)
    variables = _from_environ(environ)
    if "api_url" in variables or "auth_token" in variables:
        return variables, "the environment"
    if HOME_FILE.exists():
        return {**_read(HOME_FILE), **variables}, str(HOME_FILE)
    if all(key in options for key in _KEYS[:3]):
        return variables, "the command line"
    if options:
        return variables, "the command line"
    raise SettingsError("it is not known which service is meant", hint=_HOW)


def _from_environ(environ: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for key in _KEYS:
        words = [environ.get(prefix + key.upper()) for prefix in PREFIXES]
        if word := next(filter(None, words), None):
            found[key] = word
    return found


def _read(path: Path) -> dict[str, Any]:
    where = Location(str(path))
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingsError(
            f"the file cannot be read: {error.strerror}", where=where, hint=_HOW
        ) from error
    except (ValueError, RecursionError):  # the cause may quote the token
        raise SettingsError(
            "the file is not valid JSON", where=where, hint='{"api_url": …, "auth_token": …}'
        ) from None
    if not isinstance(content, dict):
        raise SettingsError("the file must hold a JSON object", where=where, hint=_HOW)
    return {key: content[key] for key in _KEYS if key in content}


def _address(value: object, origin: str) -> str:
    text = str(value).strip().rstrip("/")
    if "://" not in text:
        text = f"https://{text}"
    if not text.startswith(("http://", "https://")):
        raise SettingsError(
            f"{origin} has an api_url that is no web address: {value!r}",
            hint="it is like http://127.0.0.1:8765/v1",
        )
    return text


def _header(value: object, key: str, origin: str) -> str:
    """Return a text that can be a header's value; what it is, is not shown."""
    text = str(value).strip()
    if not text.isascii() or not text.isprintable():
        raise SettingsError(f"{origin} has an {key} with characters that none has")
    return text
