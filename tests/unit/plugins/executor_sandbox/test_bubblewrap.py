"""The command of a sandbox says all that it is to be."""

import pytest

from stepline.model.task import Network
from stepline.plugins.executor_sandbox.bubblewrap import Bubblewrap, Sandbox


def command(*, size=None, network=Network.NONE, can_size=True, changes_user=True):
    """Return the words of a sandbox's command."""
    sandbox = Sandbox(
        root="/root-of-image",
        sdk="/sdk",
        task="/task",
        environ={"A": "1"},
        network=network,
        tmp_bytes=size,
    )
    return Bubblewrap("/bwrap", can_size, changes_user).command(sandbox, ["/python", "start.py"])


def has(words, *wanted):
    """Tell whether words stand in others one after another."""
    count = len(wanted)
    return any(tuple(words[i : i + count]) == wanted for i in range(len(words) - count + 1))


def test_sandbox_of_root_keeps_only_what_it_takes_to_become_another_user():
    words = command()
    added = [words[at + 1] for at, word in enumerate(words) if word == "--cap-add"]
    assert has(words, "--cap-drop", "ALL")
    assert added == ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"]
    assert "--unshare-user" not in words


def test_sandbox_of_an_ordinary_user_has_the_number_of_the_user_of_tasks():
    words = command(changes_user=False)
    assert has(words, "--uid", "10001", "--gid", "10001")
    assert "--unshare-user" in words
    assert "--cap-add" not in words


@pytest.mark.parametrize("changes_user", [True, False])
def test_sandbox_is_shut_off_and_its_root_read_only(changes_user):
    words = command(changes_user=changes_user)
    for word in ("--unshare-pid", "--unshare-net", "--unshare-ipc", "--die-with-parent"):
        assert word in words
    assert has(words, "--ro-bind", "/root-of-image", "/")
    assert has(words, "--clearenv", "--setenv", "A", "1", "--", "/python", "start.py")
    assert words.count("--bind") == 1
    assert "--share-net" not in words


def test_sandbox_with_the_network_of_the_host_finds_names_as_it_does():
    words = command(network=Network.HOST)
    assert "--share-net" in words
    assert has(words, "--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf")


@pytest.mark.parametrize(
    ("size", "can_size", "shm", "tmp"),
    [(None, True, "67108864", None), (1000, True, "1000", "1000"), (None, False, None, None)],
    ids=["no limit", "limit", "old bubblewrap"],
)
def test_sandbox_folders_in_memory_have_a_size(size, can_size, shm, tmp):
    words = command(size=size, can_size=can_size)
    for path, bound in (("/dev/shm", shm), ("/tmp", tmp)):
        sized = ["--size", bound] if bound else []
        assert has(words, "--perms", "1777", *sized, "--tmpfs", path)
