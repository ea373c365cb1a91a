"""Results on disks of their own: mounted, read-only and full ones, in a private namespace."""

import json
import subprocess
import sys

import pytest

UNSHARE = ["unshare", "--map-root-user", "--mount"]
RUN = """
import json, os, sys
from pathlib import Path
from stepline.errors import SteplineError
from stepline.plugins.files_local.run_lake import RunLake

def run(home, name, size=10):
    out, work = home / "out", home / ".work"
    lake = RunLake(work / "files")
    lake.check_results(out, beside=["workflow.json"], read=[])
    work.mkdir()
    (work / "record").write_text(name * size)
    beside = {"workflow.json": work / "record"}
    return lake.export(out, workflow_id=name, beside=beside)

def seen(home):
    return [sorted(os.listdir(home / "out")), (home / "out/workflow.json").read_text()[:1]]

def attempt(home, name, size=10):
    try:
        run(home, name, size)
        return None
    except SteplineError as error:
        return [type(error).__name__, error.what, error.hint]
    finally:
        os.system(f"rm -rf '{home}/.work'")

home = Path(sys.argv[1])
"""


@pytest.fixture
def mounted(tmp_path):
    """Run a script in a namespace where shell commands have mounted something."""
    probe = subprocess.run([*UNSHARE, "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("this machine lets nobody mount")
    (tmp_path / "out").mkdir()

    def run(mount, script):
        command = f'{mount} && exec "$0" -c "$1" .'
        done = subprocess.run(
            [*UNSHARE, "sh", "-c", command, sys.executable, RUN + script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize("mount", ["mount -t tmpfs none out", "mount --bind out out"])
def test_results_on_a_mount_point_replace_the_earlier_ones(mounted, mount):
    script = (
        "run(home, 'a'); os.system('rm -rf .work'); run(home, 'b'); print(json.dumps(seen(home)))"
    )
    assert mounted(mount, script) == [["files.json", "workflow.json"], "b"]


def test_results_that_do_not_fit_leave_the_earlier_ones(mounted):
    script = (
        "run(home, 'a'); os.system('rm -rf .work');"
        " error = attempt(home, 'b', 3_000_000); print(json.dumps([error, seen(home)]))"
    )
    error, seen = mounted("mount -t tmpfs -o size=1m none out", script)
    assert error[0] == "PlatformError"
    assert "make room on the disk" in error[2]
    assert seen == [["files.json", "workflow.json"], "a"]


def test_results_that_can_be_written_nowhere_are_refused_before_the_run(mounted):
    mount = "mount -t tmpfs -o ro none out"
    kind, what, hint = mounted(mount, "print(json.dumps(attempt(home, 'a')))")
    assert (kind, "no results can be written to 'out'" in what) == ("SettingsError", True)
    assert "use another one" in hint


def test_results_beside_which_nothing_can_be_written_are_refused_before_the_run(mounted):
    mount = "mount -t tmpfs none out && mount --bind . . && mount -o remount,ro,bind . && cd ."
    kind, what, hint = mounted(mount + ' && cd "$PWD"', "print(json.dumps(attempt(home, 'a')))")
    assert (kind, "where the run keeps its files" in what) == ("SettingsError", True)
    assert "deeper" in hint
