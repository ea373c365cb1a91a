"""Import names of published task scripts, on the path as the worker puts them there."""

import subprocess
import sys
from pathlib import Path

import pytest

import stepline_sdk

COMPAT = Path(stepline_sdk.__file__).parent / "compat"
HOME = COMPAT.parent.parent


def run(source, *path):
    """Run a script that sees the sdk, and at the end of its path the given folders."""
    first = f"import sys; sys.path[1:1] = [{str(HOME)!r}]; sys.path += {[str(p) for p in path]!r}\n"
    return subprocess.run(
        [sys.executable, "-I", "-c", first + source],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "source",
    [
        "from ts_sdk.task import Context, File, FileCategory, Label, ReadResult",
        "from ts_sdk.task import ConcurrentModificationError, Experiment",
        "from ts_sdk.task.__task_script_runner import Context",
        "import ts_sdk.task.__task_script_runner as runner; runner.Context",
        "from ts_sdk.task.data_model import File, Label",
        "from ts_sdk.task.log_codes.log_code import LogCode",
        "from ts_sdk.task.log_codes.log_code_collection import LogCodeCollection as c; c.generic",
        "from ts_sdk.taskdev import Context, check_test_output, load_pipeline_config",
        "from ts_sdk.taskdev import load_test_file",
        "import ts_sdk; ts_sdk.__version__",
    ],
)
def test_published_import_works(source):
    done = run(source, COMPAT)
    assert (done.returncode, done.stderr) == (0, "")


def test_published_context_is_ours_under_both_names():
    done = run(
        "from stepline_sdk import Context as ours\n"
        "from ts_sdk.task import Context as one\n"
        "from ts_sdk.task.__task_script_runner import Context as two\n"
        "assert one is two is ours",
        COMPAT,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_published_test_kit_is_not_offered():
    done = run("import ts_sdk.testing", COMPAT)
    assert "No module named 'ts_sdk.testing'" in done.stderr


def test_real_package_comes_first(tmp_path):
    real = tmp_path / "ts_sdk"
    real.mkdir()
    (real / "__init__.py").write_text("real = True\n")
    assert run("import ts_sdk; assert ts_sdk.real", tmp_path, COMPAT).returncode == 0


def test_sdk_names_are_imported_late():
    done = run(
        "import stepline_sdk\n"
        "assert not [m for m in sys.modules if m.startswith('stepline_sdk.')]\n"
        "for name in dir(stepline_sdk): getattr(stepline_sdk, name)\n"
        "assert stepline_sdk.Context.__name__ == 'Context'"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_sdk_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'stepline_sdk' has no attribute 'Contxt'"):
        stepline_sdk.Contxt  # noqa: B018


def test_context_import_is_light():
    heavy = "uuid tempfile shutil logging urllib.request inspect typing dataclasses re".split()
    done = run(
        "before = set(sys.modules)\n"
        "from stepline_sdk.context import Context\n"
        f"heavy = set({heavy!r}) & (set(sys.modules) - before) - {{'re'}}\n"
        "assert not heavy, heavy"
    )
    assert (done.returncode, done.stderr) == (0, "")
