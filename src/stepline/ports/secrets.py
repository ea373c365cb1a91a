"""Secret backends: where values of secrets come from."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class SecretValue(NamedTuple):
    """A secret as it was at one moment.

    Attributes:
        value: The value; printing the tuple does not show it.
        version: What tells this value from earlier ones, recorded with the attempt.
    """

    value: str
    version: str

    def __repr__(self) -> str:
        return f"SecretValue(value='***', version={self.version!r})"


class SecretBackend(Protocol):
    """Reads secrets of one kind of store."""

    def read(self, name: str) -> SecretValue:
        """Return the newest value of a secret.

        Args:
            name: What the store knows the secret by.

        Raises:
            SettingsError: There is no such secret, or it may not be read.
            PlatformError: The store does not answer.
        """
