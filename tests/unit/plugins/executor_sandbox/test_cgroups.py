"""Where cgroups can be made, and what is written into them."""

import os

import pytest

from stepline.errors import PlatformError
from stepline.model.task import Network
from stepline.plugins.executor_sandbox.cgroups import NOWHERE, Cgroup, Place, find_place
from stepline.workers.held import Held

MIB = 1024 * 1024
HELD = Held(100, 20, 0.5, None, Network.NONE)
NOTHING_HELD = Held(None, None, None, None, Network.NONE)


def written(parent):
    """Return what was written into the one cgroup below a folder."""
    (folder,) = parent.iterdir()
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.fixture
def folders(tmp_path):
    """A folder for each controller of version 1."""
    made = {name: tmp_path / name for name in ("memory", "pids", "cpu")}
    for folder in made.values():
        folder.mkdir()
    return made


def test_cgroup_of_version_1_has_the_limits_and_room_for_the_worker(folders):
    Cgroup(Place(1, {name: str(folder) for name, folder in folders.items()}), HELD)
    assert written(folders["memory"])["memory.limit_in_bytes"] == str(124 * MIB)
    assert written(folders["pids"]) == {"pids.max": "27"}
    assert written(folders["cpu"]) == {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"}


def test_cgroup_of_version_2_is_one_with_the_limits(tmp_path):
    made = Cgroup(Place(2, dict.fromkeys(("memory", "pids", "cpu"), str(tmp_path))), HELD)
    assert written(tmp_path) == {
        "memory.max": str(124 * MIB),
        "memory.swap.max": "0",
        "pids.max": "27",
        "cpu.max": "50000 100000",
    }
    assert made.seen_at == "/sys/fs/cgroup"
    assert made.entered_by(["x"])[-3:] == [made.memory, "--", "x"]


def test_cgroup_without_limits_is_made_all_the_same(tmp_path):
    made = Cgroup(Place(2, {"memory": str(tmp_path)}), NOTHING_HELD)
    assert os.listdir(made.memory) == []
    made.remove()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("kills", "expected"), [("0", False), ("2", True)])
@pytest.mark.parametrize(("version", "name"), [(1, "memory.oom_control"), (2, "memory.events")])
def test_cgroup_tells_whether_somebody_was_out_of_memory(tmp_path, version, name, kills, expected):
    made = Cgroup(Place(version, {"memory": str(tmp_path)}), NOTHING_HELD)
    with open(os.path.join(made.memory, name), "w") as file:
        file.write(f"low 5\noom 1\noom_kill {kills}\n")
    assert made.out_of_memory() is expected


def test_cgroup_that_cannot_be_made_is_an_error_that_passes(tmp_path):
    with pytest.raises(PlatformError, match="a cgroup for the task cannot be made") as raised:
        Cgroup(Place(2, {"memory": str(tmp_path / "gone")}), HELD)
    assert raised.value.retryable


@pytest.mark.parametrize("told", ["", "no lines of it", "0::/x\n"], ids=["empty", "other", "none"])
def test_find_place_on_a_machine_without_cgroups_is_nowhere(tmp_path, told):
    own = tmp_path / "cgroup"
    own.write_text(told)
    assert find_place(own=str(own), root=str(tmp_path)) == NOWHERE
    assert NOWHERE.holds == frozenset()
