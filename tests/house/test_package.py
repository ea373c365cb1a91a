"""What is in the wheel that users install."""

import zipfile
from pathlib import Path

import pytest
from poetry.core.masonry import api

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The built wheel, opened."""
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        name = api.build_wheel(str(folder))
    with zipfile.ZipFile(folder / name) as opened:
        yield opened


def test_wheel_has_all_source_files_and_nothing_else(wheel):
    sources = (path for path in (ROOT / "src").rglob("*") if path.is_file())
    wanted = {str(path.relative_to(ROOT / "src")) for path in sources if path.suffix != ".pyc"}
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == wanted
    assert {"stepline/py.typed", "stepline_sdk/py.typed"} <= wanted


def test_wheel_has_licence_and_entry_points(wheel):
    info = {name.split("/", 1)[1]: name for name in wheel.namelist() if ".dist-info/" in name}
    assert "Apache License" in wheel.read(info["licenses/LICENSE"]).decode()
    entry_points = wheel.read(info["entry_points.txt"]).decode()
    assert "[pytest11]\nstepline=stepline.testing.pytest_plugin" in entry_points
    assert "[console_scripts]\nstepline=stepline.launch:main" in entry_points
