"""Files of requests that are under way, on the disk where the service keeps its files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stepline.app.service.service import Service
from stepline.errors import PlatformError

_FOLDER = "http"


@contextmanager
def scratch_folder(service: Service) -> Iterator[Path]:
    """Give a folder that is removed afterwards; after a crash, at the next start.

    Raises:
        PlatformError: There is no place, also for what the caller does in it; retryable.
    """
    root = service.options.scratch / _FOLDER
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root) as folder:
            yield Path(folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise PlatformError(
            f"there is no place for the request: {reason}", retryable=True
        ) from error
