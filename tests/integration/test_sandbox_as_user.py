"""Sandboxes of an ordinary user: the contract suite again, and the limits that are left."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.sandboxes import need_bubblewrap

REPOSITORY = Path(__file__).parents[2]
USER = 1000
RUN_SECONDS = 300
TESTS = {
    "contract": ["tests/contract/test_executor_sandbox.py", "-k", "warm"],
    "own": ["tests/integration/test_sandbox.py"],
}


def opened(path):
    """Return what makes a program reachable for others, in folders that are closed to them.

    Those of a Python may be in root's home.
    """
    closed = [each for each in Path(path).resolve().parents if not each.stat().st_mode & 0o001]
    if not closed:
        return []
    top = closed[-1]
    words = ["bwrap", "--dev-bind", "/", "/", "--perms", "0755", "--tmpfs", str(top)]
    below = [each for each in reversed(Path(path).parents) if top in each.parents]
    for folder in below:
        words += ["--perms", "0755", "--dir", str(folder)]
    return [*words, "--ro-bind", path, path, "--"]


@pytest.fixture
def own_folder(slim_base, images_dir):
    """A folder of the user's, with images of the user's own."""
    if os.geteuid():
        pytest.skip("only root can be somebody else")
    with tempfile.TemporaryDirectory(prefix="stepline-user-", dir="/tmp") as folder:
        copy_bases(slim_base, images_dir, Path(folder, "images"))
        for path in [folder, *Path(folder).rglob("*")]:
            os.chown(path, USER, USER, follow_symlinks=False)
        yield Path(folder)


def copy_bases(images, source, target):
    """Copy the base images of a folder of images; other tests may be at work in it."""
    layers = {layer.digest for base in images.bases() for layer in base.image.layers}
    names = {f"{digest.removeprefix('sha256:')}.tar" for digest in layers}
    shutil.copytree(source / "notes" / "bases", target / "notes" / "bases")
    (target / "layers").mkdir()
    for name in names:
        shutil.copyfile(source / "layers" / name, target / "layers" / name)


@pytest.mark.sandbox
@pytest.mark.parametrize("tests", TESTS.values(), ids=TESTS.keys())
def test_sandbox_of_an_ordinary_user_keeps_the_same_promises(own_folder, tests):
    need_bubblewrap()
    become = ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups"]
    asked = [*tests, "--basetemp", str(own_folder / "pytest")]
    pytest_of_user = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *asked]
    done = subprocess.run(
        [*opened(sys.base_prefix), *become, *pytest_of_user],
        cwd=REPOSITORY,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(own_folder),
            "PYTHONPATH": f"{REPOSITORY / 'src'}:{REPOSITORY}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "STEPLINE_TEST_IMAGES_DIR": str(own_folder / "images"),
        },
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
