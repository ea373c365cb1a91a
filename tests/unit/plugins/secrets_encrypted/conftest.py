"""A store of secrets in a temporary folder, with a clock that ticks once per change."""

import base64
import itertools

import pytest

from stepline.plugins.secrets_encrypted.store import EncryptedSecrets

KEY = bytes(range(32))


class Folder:
    """The folder of a store."""

    def __init__(self, path):
        self.path = path
        self.ticks = itertools.count(1)

    def now(self):
        return f"2030-01-01T00:00:{next(self.ticks):02d}Z"

    def store(self, key=None):
        """Open the store as a new process would; ``key`` comes from the environment."""
        environ = {} if key is None else {"STEPLINE_SECRETS_KEY": base64.b64encode(key).decode()}
        return EncryptedSecrets(self.path, environ, now=self.now)

    def names(self):
        return sorted(path.name for path in self.path.iterdir())

    def contents(self):
        """Return every file's bytes, by name."""
        return {path.name: path.read_bytes() for path in self.path.iterdir()}


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "secrets")


@pytest.fixture
def filled(folder):
    """A folder with the secrets ``a`` and ``b``."""
    folder.store().put("a", "value-of-a")
    folder.store().put("b", "value-of-b")
    return folder
