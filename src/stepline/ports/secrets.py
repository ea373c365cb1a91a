"""Secret backends and stores: where values of secrets come from, and where they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from stepline.errors import SettingsError
from stepline.frozen import frozen

SHORTEST_VALUE = 6
LONGEST_VALUE = 65_536
LONGEST_NAME = 128

_IN_NAMES = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.")
_NAME_RULE = (
    f"a name has at most {LONGEST_NAME} lower-case letters, digits, '-' and '.', "
    "and begins with a letter or digit"
)


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
            SecretNotFound: There is no such secret.
            SettingsError: It may not be read.
            PlatformError: The store does not answer.
        """


@frozen
class SecretInfo:
    """What may be shown of a stored secret.

    Attributes:
        name: Its name.
        version: Number of its value, from 1; never used again, not even after a deletion.
        edits: How often the value was replaced since the secret was made.
        updated_at: When the value was stored, ISO 8601, UTC.
    """

    name: str
    version: int
    edits: int
    updated_at: str


class SecretStore(SecretBackend, Protocol):
    """Keeps secrets; only the newest value of each.

    What `read` returns has the version's number, in digits.
    """

    def put(self, name: str, value: str) -> int:
        """Store a value; return the number of its version.

        Args:
            name: As `check_secret_name` wants it.
            value: As `check_secret_value` wants it.

        Raises:
            SettingsError: Name or value are refused, or the store may not be changed.
            PlatformError: The value cannot be stored; the one before is still there.
        """

    def delete(self, name: str) -> None:
        """Remove a secret.

        Raises:
            SecretNotFound: There is no such secret.
            SettingsError: The store may not be changed.
            PlatformError: It cannot be removed; it is still there.
        """

    def list(self) -> Sequence[SecretInfo]:
        """Return what may be shown of all secrets, by name.

        Raises:
            SettingsError: The store may not be read.
            PlatformError: The store does not answer.
        """


def check_secret_name(name: str) -> None:
    """Refuse what cannot be a secret's name.

    Raises:
        SettingsError: It breaks the rule, which the hint says.
    """
    sound = 0 < len(name) <= LONGEST_NAME and _IN_NAMES.issuperset(name) and name[0] not in "-."
    if not sound:
        shown = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
        raise SettingsError(f"a secret cannot be named {shown!r}", hint=_NAME_RULE)


def check_secret_value(name: str, value: str) -> None:
    """Refuse a value that is too short to be masked, too long, or no text.

    Raises:
        SettingsError: It has under 6 characters, over 65,536 bytes, or no UTF-8 form.
    """
    if len(value) < SHORTEST_VALUE:
        raise SettingsError(
            f"the secret '{name}' has {len(value)} characters; "
            f"under {SHORTEST_VALUE} it could not be masked in logs",
            hint="use a longer value",
        )
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise SettingsError(
            f"the secret '{name}' is not UTF-8 text",
            hint="use a value of text, such as its base64",
        ) from None  # the cause holds the value
    if size > LONGEST_VALUE:
        raise SettingsError(
            f"the secret '{name}' has {size:,} bytes, and {LONGEST_VALUE:,} are allowed",
            hint="store the key that opens it, and what is large as a file",
        )
