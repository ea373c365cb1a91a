"""The secrets of one run: references for task scripts, values only when asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from stepline.app.masking import Masker, check_secret, remember_for_reports
from stepline.errors import PluginError, SettingsError, SteplineError
from stepline.model.values import Json
from stepline.ports.secrets import SecretBackend, SecretValue

_PREFIX = "/local/local/org-secrets/"


class SecretSource(NamedTuple):
    """Where a secret's value is: a backend, and the name that the backend knows."""

    backend: str
    name: str


def parse_source(key: str, text: str) -> SecretSource:
    """Return the source that ``BACKEND:NAME`` means; the name may be left out for a prompt.

    Raises:
        SettingsError: There is no backend's name in the text.
    """
    backend, colon, name = text.partition(":")
    if not backend or (not colon and backend != "prompt"):
        raise SettingsError(
            f"the secret '{key}' is given as a plain word, which would show in process lists",
            hint=f"use --secret {key}=env:VARIABLE, file:PATH or prompt",
        )
    return SecretSource(backend, name or key)


def reference(key: str) -> dict[str, Json]:
    """Return the config value by which task scripts know the secret of a config key."""
    return {"ssm": _PREFIX + key, "secret": True}


class RunSecrets:
    """Secrets by config key, read from their backends.

    Args:
        sources: Where each secret is, by config key.
        backend: Gives the backend of a name.
        masker: Learns every value that is read.
        paths: The ``ssm`` path of each key's reference, where it is not the usual one.
    """

    def __init__(
        self,
        sources: Mapping[str, SecretSource],
        *,
        backend: Callable[[str], SecretBackend],
        masker: Masker,
        paths: Mapping[str, str] | None = None,
    ) -> None:
        self._sources = sources
        self._keys = {path: key for key, path in (paths or {}).items()}
        self._backend = backend
        self._backends: dict[str, SecretBackend] = {}
        self._masker = masker

    def check(self) -> None:
        """Read every secret once, so that a missing one is known before the first step.

        Raises:
            SettingsError: A secret is missing, unreadable or too short to be masked.
            PluginError: A backend raised what it may not, or gave no text.
        """
        for key in self._sources:
            self._read(key)

    def references(self) -> dict[str, Json]:
        """Return the config values by which task scripts know the secrets."""
        return {key: reference(key) for key in self._sources}

    def read(self, name: str) -> SecretValue:
        """Return the newest value of a secret.

        Args:
            name: The ``ssm`` path of its reference.

        Raises:
            SettingsError: The run has no such secret.
            PluginError: Its backend raised what it may not, or gave no text.
        """
        key = self._keys.get(name) or name.removeprefix(_PREFIX)
        if key not in self._sources:
            raise SettingsError(
                f"no secret '{name}' was given to this run",
                hint=f"add --secret {key.rpartition('/')[2]}=env:VARIABLE",
            )
        return self._read(key)

    def _read(self, key: str) -> SecretValue:
        source = self._sources[key]
        return read_masked(
            lambda: self._ask(source),
            key=key,
            plugin=f"secrets.{source.backend}",
            mask=lambda value: self._masker.add([value]),
        )

    def _ask(self, source: SecretSource) -> SecretValue:
        # One backend for the whole run: it may remember what can be had only once.
        if source.backend not in self._backends:
            self._backends[source.backend] = self._backend(source.backend)
        return self._backends[source.backend].read(source.name)


def read_masked(
    read: Callable[[], object], *, key: str, plugin: str, mask: Callable[[str], None]
) -> SecretValue:
    """Return what a plugin gives for a secret, after it was masked.

    Args:
        read: Asks the plugin.
        key: What the secret is called in messages.
        plugin: The plugin's name.
        mask: Masks a value from now on.

    Raises:
        SettingsError: The plugin says so, or the value is too short to be masked.
        PluginError: It raised what it may not, or gave no text.
    """
    try:
        answer = read()
    except SteplineError:
        raise
    except Exception as error:  # noqa: BLE001  (a plugin's fault, whatever it is)
        fault = f"reading the secret '{key}' raised {type(error).__name__}"
        raise _broken(plugin, fault) from None  # its text may hold the value
    value: object = answer.value if isinstance(answer, SecretValue) else None
    if not isinstance(answer, SecretValue) or not isinstance(value, str):
        raise _broken(plugin, f"it gave no text for the secret '{key}'")
    check_secret(key, value)
    mask(value)
    remember_for_reports(value)
    return answer


def _broken(plugin: str, fault: str) -> PluginError:
    return PluginError(
        fault,
        plugin=plugin,
        hint="its author can mend that; another backend may hold the secret meanwhile",
    )
