"""Secrets that a test declares."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping

from stepline.app.masking import Masker, check_secret
from stepline.app.run_secrets import reference
from stepline.errors import SettingsError
from stepline.model.values import Json
from stepline.ports.secrets import SecretValue


class Secrets(MutableMapping[str, "str | None"]):
    """Secrets by name: the key in a protocol's config, or the whole path of a reference.

    ``secrets["api_key"] = "value"`` declares one; None declares that there is none, for
    a function that can do without. Resolving anything else fails the test.

    Args:
        masker: Learns every value, to keep it out of output and records.
        config: Values of a context's ``pipeline_config``; gets a reference to each secret.
    """

    def __init__(self, masker: Masker, config: dict[str, Json]) -> None:
        self._values: dict[str, str | None] = {}
        self._masker = masker
        self._config = config

    def reference(self, name: str) -> dict[str, Json]:
        """Return what a function gets in place of the value, ``{"ssm": …, "secret": true}``.

        Raises:
            KeyError: The secret was not declared.
        """
        if name not in self._values:
            raise KeyError(f"declare it first: secrets[{name!r}] = '…'")
        return {"ssm": name, "secret": True} if name.startswith("/") else reference(name)

    def declares(self, path: str) -> bool:
        """Return whether the test declared the secret of a reference, be it as None."""
        return self._key(path) in self._values

    def declares_none(self, path: str) -> bool:
        """Return whether the test declared that there is no secret of a reference."""
        return self.declares(path) and self._values[self._key(path)] is None

    def read(self, name: str) -> SecretValue:
        """Return the value of a secret, as a secret backend does.

        Args:
            name: Its name, or the path of its reference.

        Raises:
            SettingsError: It was not declared, or as None.
        """
        value = self._values.get(self._key(name))
        if value is None:
            raise SettingsError(f"there is no secret '{name}'")
        return SecretValue(value, version="1")

    def __getitem__(self, name: str) -> str | None:
        return self._values[name]

    def __setitem__(self, name: str, value: str | None) -> None:
        if value is not None:
            if not isinstance(value, str):
                raise TypeError(f"a secret is text or None, not {type(value).__name__}")
            check_secret(name, value)
            self._masker.add([value])
        self._values[name] = value
        if not name.startswith("/"):
            self._config[name] = None if value is None else reference(name)

    def __delitem__(self, name: str) -> None:
        del self._values[name]
        self._config.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(f'{name}=***' for name in self._values)})"

    def _key(self, path: str) -> str:
        if path in self._values:
            return path
        return path.removeprefix(str(reference("")["ssm"]))
