"""Where the service of this machine keeps its state, and the settings of the current folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stepline import settings
from stepline.errors import Location, SettingsError
from stepline.settings import Settings

DEFAULT_HOME = ".stepline"
AUTH_FILE = "auth.json"


def read_settings_file(environ: Mapping[str, str]) -> Settings:
    """Return the settings of the current folder's ``stepline.toml`` and the environment.

    Raises:
        SettingsError: They cannot be read, or are wrong.
    """
    path = Path(settings.FILE_NAME)
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot be read: {error}", where=Location(str(path))) from error
    return settings.read_settings(text, path=str(path), environ=environ)
