"""A pipeline's config as a person writes it, turned into the values of a workflow."""

from __future__ import annotations

from collections.abc import Mapping

from stepline.errors import Location, Problem, SettingsError
from stepline.expressions.suggest import nearest_hint, or_else
from stepline.model.values import Json
from stepline.ports.secrets import check_secret_name

_FOLDER = "/org-secrets/"


def look_up_config(
    config: Mapping[str, Json],
    settings: Mapping[str, Json],
    *,
    org: str,
    path: str = "pipeline",
) -> tuple[dict[str, Json], list[Problem]]:
    """Return the config values of a workflow: settings as values, secrets as references.

    An object with the one name ``setting`` or ``secret`` stands for a shared setting or a
    secret; anything else stands for itself.

    Args:
        config: A pipeline's config.
        settings: Shared settings by name.
        org: The organisation, whose secrets may be named.
        path: Where the config is from, for messages.

    Returns:
        The values, but for keys with a problem; and a problem for each shared setting that
        is missing and each reference that is wrong.
    """
    values: dict[str, Json] = {}
    problems: list[Problem] = []
    for key, value in config.items():
        try:
            values[key] = _resolved(value, settings, org=org)
        except SettingsError as error:
            message = f"config '{key}': {error.what}"
            source = _source(key, value)
            where = Location(path)
            problems.append(Problem("config-reference", message, where, error.hint, source=source))
    return values, problems


def secret_reference(name: str, *, org: str) -> dict[str, Json]:
    """Return the config value by which a workflow and its task scripts know a secret."""
    return {"ssm": f"/local/{org}{_FOLDER}{name}", "secret": True}


def referenced_path(value: Json) -> str | None:
    """Return the path of a config value that is a reference to a secret; else None."""
    if isinstance(value, dict) and value.get("secret") is True:
        path = value.get("ssm")
        return path if isinstance(path, str) else None
    return None


def secret_name(path: str) -> str:
    """Return the name in ``/<env>/<org>/org-secrets/<name>``."""
    return path.partition(_FOLDER)[2] or path


def _source(key: str, value: Json) -> str:
    """Return the path of a reference's name."""
    from stepline.parsing.checker import join

    word = [
        each for each in ("setting", "secret") if isinstance(value, dict) and [each] == [*value]
    ]
    return join("config", key, *word)


def _resolved(value: Json, settings: Mapping[str, Json], *, org: str) -> Json:
    if isinstance(value, dict) and list(value) == ["setting"]:
        return _setting(value["setting"], settings)
    if isinstance(value, dict) and list(value) == ["secret"]:
        return _secret(value["secret"], org)
    reference = referenced_path(value)
    if reference is not None:
        _check_reference(reference, org)
    return value


def _setting(name: Json, settings: Mapping[str, Json]) -> Json:
    if not isinstance(name, str):
        raise SettingsError(
            f"a shared setting is named by a text, not {name!r}", hint='write {"setting": "name"}'
        )
    if name not in settings:
        raise SettingsError(
            f"there is no shared setting '{name}'",
            hint=_setting_hint(name, settings),
        )
    if referenced_path(settings[name]) is not None:
        raise SettingsError(
            f"the shared setting '{name}' is a reference to a secret, not a plain value",
            hint='name the secret in the pipeline: {"secret": "name"}',
        )
    return settings[name]


def _setting_hint(name: str, settings: Mapping[str, Json]) -> str:
    return or_else(nearest_hint(name, settings), f"set it: stepline setting set {name} VALUE")


def _secret(name: Json, org: str) -> Json:
    if not isinstance(name, str):
        raise SettingsError(
            f"a secret is named by a text, not {name!r}", hint='write {"secret": "name"}'
        )
    check_secret_name(name)
    return secret_reference(name, org=org)


def _check_reference(reference: str, org: str) -> None:
    name = secret_name(reference)
    parts = reference.split("/")
    if len(parts) != 5 or parts[0] or parts[3] != "org-secrets":
        raise SettingsError(
            f"'{reference}' is not the path of a secret",
            hint='name the secret instead: {"secret": "name"}',
        )
    check_secret_name(name)
    if parts[2] != org:
        raise SettingsError(
            f"the secret '{reference}' is of another organisation than '{org}'",
            hint=f'set it here, and write {{"secret": "{name}"}}',
        )
