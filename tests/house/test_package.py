"""What is in the wheel that users install."""

import zipfile
from pathlib import Path

import pytest

import build_backend
from stepline.app.common import shipped
from stepline.app.discover import Kind
from stepline.app.validate import validate_paths

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The built wheel, opened."""
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        name = build_backend.build_wheel(str(folder))
    with zipfile.ZipFile(folder / name) as opened:
        yield opened


def test_wheel_has_all_source_files_and_nothing_else(wheel):
    wanted = {str(path.relative_to(ROOT / "src")) for path in files_below("src")}
    ours = [*files_below("task-scripts"), *files_below("protocols")]
    wanted |= {f"stepline/common/{path.relative_to(ROOT)}" for path in ours}
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == wanted
    assert {"stepline/py.typed", "stepline_sdk/py.typed"} <= wanted


def files_below(name):
    return [p for p in (ROOT / name).rglob("*") if p.is_file() and p.suffix != ".pyc"]


def test_common_artifacts_are_valid_without_a_warning(tmp_path):
    reports = validate_paths([ROOT / "task-scripts", ROOT / "protocols"], tmp_path)
    assert [each.path for each in reports if each.kind is Kind.PROTOCOL]
    assert [str(problem) for each in reports for problem in each.problems] == []


def test_common_artifacts_travel_under_their_own_names(tmp_path):
    for each in shipped(tmp_path):
        assert each.folder.name == each.name.slug, each.folder
        assert each.description, each.folder


def test_wheel_has_licence_and_entry_points(wheel):
    info = {name.split("/", 1)[1]: name for name in wheel.namelist() if ".dist-info/" in name}
    assert "Apache License" in wheel.read(info["licenses/LICENSE"]).decode()
    entry_points = wheel.read(info["entry_points.txt"]).decode()
    assert "[pytest11]\nstepline=stepline.testing.pytest_plugin" in entry_points
    assert "[console_scripts]\nstepline=stepline.launch:main" in entry_points
