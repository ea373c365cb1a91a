import os
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import Reader


@pytest.fixture
def reader(tmp_path, stepline_cache):
    """A reader with Stepline on PATH and an empty HOME; what it starts ends with it."""
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: text for name, text in os.environ.items() if not name.startswith("STEPLINE_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    own = {"HOME": str(home), "PATH": path, "COLUMNS": "100", "TERM": "dumb"}
    reader = Reader(tmp_path, {**kept, **own, "STEPLINE_CACHE_DIR": str(stepline_cache)})
    yield reader
    reader.stop()
