"""Secrets of a replay: placeholders, and real ones where a person gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from stepline.app.pipeline_config import referenced_path, secret_name
from stepline.app.run_secrets import SecretSource, parse_source
from stepline.errors import ConfigError
from stepline.expressions.suggest import nearest_of_all
from stepline.frozen import frozen
from stepline.ports.secrets import SecretBackend, SecretValue

PLACEHOLDER = "placeholder"


@frozen
class RecordedSecrets:
    """The secrets that a recorded workflow names or has read.

    Attributes:
        sources: Where each value comes from now, by config key.
        paths: What tasks know each secret by, by config key.
    """

    sources: Mapping[str, SecretSource]
    paths: Mapping[str, str]


class Placeholders:
    """Gives ``placeholder-<key>`` for every secret."""

    def read(self, name: str) -> SecretValue:
        """Return the placeholder of a config key."""
        return SecretValue(f"{PLACEHOLDER}-{name}", version=PLACEHOLDER)


def with_placeholders(
    backend: Callable[[str], SecretBackend],
) -> Callable[[str], SecretBackend]:
    """Return what gives backends by name, the one of placeholders included."""
    return lambda name: Placeholders() if name == PLACEHOLDER else backend(name)


def recorded_secrets(
    config: Mapping[str, Any],
    reads: Iterable[Mapping[str, Any]],
    *,
    given: Mapping[str, str],
) -> RecordedSecrets:
    """Return the secrets of a workflow, each from where it is to come now.

    Args:
        config: Values of the workflow's config, secrets as references.
        reads: What its recorded attempts have read. A secret that is among that and that
            no config value refers to has its name for a key.
        given: ``backend:name`` by config key; the others are placeholders.

    Raises:
        ConfigError: A secret is given that the workflow does not have.
        SettingsError: A source is not one.
    """
    references = {key: referenced_path(value) for key, value in config.items()}
    paths = {key: path for key, path in references.items() if path is not None}
    for path in [read["name"] for read in reads if read["kind"] == "secret"]:
        if path not in paths.values():
            paths[secret_name(path)] = path
    for key in given:
        if key not in paths:
            hint = nearest_of_all(key, paths, those="it has:")
            raise ConfigError(f"the workflow has no secret '{key}'", hint=hint)
    sources = {
        key: parse_source(key, given[key]) if key in given else SecretSource(PLACEHOLDER, key)
        for key in paths
    }
    return RecordedSecrets(sources, paths)
