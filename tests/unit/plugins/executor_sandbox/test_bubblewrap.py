"""The command of a sandbox says all that it is to be."""

import pytest

from stepline.model.task import Network
from stepline.plugins.executor_sandbox import lowered
from stepline.plugins.executor_sandbox.bubblewrap import Bubblewrap, Sandbox


def sandbox(*, size=None, network=Network.NONE, cgroup=""):
    """Return what a sandbox is like."""
    return Sandbox(
        root="/root-of-image",
        sdk="/sdk",
        task="/task",
        environ={"A": "1", "B": "two words"},
        network=network,
        tmp_bytes=size,
        cgroup=cgroup,
        cgroup_at="/sys/fs/cgroup/memory" if cgroup else "",
    )


def command(*, can_size=True, changes_user=False, **like):
    """Return the words of a sandbox's command."""
    bubblewrap = Bubblewrap("/bwrap", can_size, changes_user)
    return bubblewrap.command(sandbox(**like), ["/python", "start.py"])


def has(words, *wanted):
    """Tell whether words stand in others one after another."""
    count = len(wanted)
    return any(tuple(words[i : i + count]) == wanted for i in range(len(words) - count + 1))


def test_sandbox_of_root_is_started_by_the_user_of_tasks():
    words = command(changes_user=True, cgroup="/cgroup")
    end = words.index("--")
    assert words[3:end] == [
        *[lowered.__file__, "10001", "10001"],
        *["/root-of-image", "/sdk", "/task", "/cgroup"],
    ]
    assert words[end + 1] == "/bwrap"
    assert has(words, "--ro-bind", "/sys/0", "/")
    assert has(words, "--bind", "/sys/2", "/run/stepline-task")
    assert has(words, "--ro-bind", "/sys/3", "/sys/fs/cgroup/memory")


@pytest.mark.parametrize("changes_user", [True, False])
def test_sandbox_has_a_user_namespace_and_no_privileges(changes_user):
    words = command(changes_user=changes_user)
    assert has(words, "--uid", "10001", "--gid", "10001")
    assert has(words, "--cap-drop", "ALL")
    assert "--unshare-user" in words
    assert "--cap-add" not in words


@pytest.mark.parametrize("changes_user", [True, False])
def test_sandbox_is_shut_off_and_its_root_read_only(changes_user):
    words = command(changes_user=changes_user)
    for word in ("--unshare-pid", "--unshare-net", "--unshare-ipc", "--die-with-parent"):
        assert word in words
    assert has(words, "--ro-bind", "/sys/0" if changes_user else "/root-of-image", "/")
    assert has(words, "--ro-bind", "/proc/sys", "/proc/sys")
    assert has(words, "--clearenv", "--args", "5", "--", "/python", "start.py")
    assert words.count("--bind") == 1
    assert "--share-net" not in words


def test_sandbox_variables_are_not_among_the_words_of_its_command():
    given = Bubblewrap.given(sandbox())
    assert given == b"--setenv\0A\x001\0--setenv\0B\0two words\0"
    assert "two words" not in " ".join(command())


def test_sandbox_with_the_network_of_the_host_finds_names_as_it_does():
    words = command(network=Network.HOST)
    assert "--share-net" in words
    assert has(words, "--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf")


@pytest.mark.parametrize(
    ("size", "can_size", "shm", "tmp"),
    [(None, True, "16777216", None), (1000, True, "1000", "1000"), (None, False, None, None)],
    ids=["no limit", "limit", "old bubblewrap"],
)
def test_sandbox_folders_in_memory_have_a_size(size, can_size, shm, tmp):
    words = command(size=size, can_size=can_size)
    for path, bound in (("/dev/shm", shm), ("/tmp", tmp)):
        sized = ["--size", bound] if bound else []
        assert has(words, "--perms", "1777", *sized, "--tmpfs", path)
