"""Secret store ``encrypted``: a file of this machine, encrypted with a key beside it.

Values are encrypted with AES-256-GCM. The key is in the file ``secrets.key``, made at
first use, or in the variable ``STEPLINE_SECRETS_KEY``; then there is no key file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from stepline.ports.hookspecs import hookimpl

if TYPE_CHECKING:
    from stepline.ports.secrets import SecretStore


@hookimpl
def stepline_secret_store(
    name: str, folder: Path, environ: Mapping[str, str]
) -> SecretStore | None:
    """Provide the store ``encrypted``."""
    if name != "encrypted":
        return None
    from stepline.plugins.secrets_encrypted.store import EncryptedSecrets

    return EncryptedSecrets(folder, environ)
