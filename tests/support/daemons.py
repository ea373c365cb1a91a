"""A Docker daemon of a test's own, which it may kill."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.executors import process_is_there

PROGRAM = "/usr/sbin/dockerd"
_BRIDGE = "slt"
_OWNER = "owner"
_UP_S = 30.0
_DOWN_S = 20.0


class Daemon:
    """A daemon with a bridge, folders and a socket of its own, so that it disturbs no other.

    Args:
        folder: An empty folder with a short path, since it holds sockets.

    Attributes:
        host: Value of DOCKER_HOST.
    """

    def __init__(self, folder: Path) -> None:
        self.host = f"unix://{folder}/docker.sock"
        self._folder = folder
        self._bridge = f"{_BRIDGE}{os.getpid()}"
        self._process: subprocess.Popen[bytes] | None = None
        (folder / _OWNER).write_text(str(os.getpid()))
        run("ip", "link", "add", self._bridge, "type", "bridge")
        address = f"172.31.{os.getpid() % 250}.1/24"
        run("ip", "addr", "add", address, "dev", self._bridge)
        run("ip", "link", "set", self._bridge, "up")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [PROGRAM, "--bridge", self._bridge, "-H", self.host]
        command += ["--iptables=false", "--ip6tables=false", "--ip-masq=false"]
        command += ["--userland-proxy=false", "--pidfile", f"{self._folder}/pid"]
        command += ["--data-root", f"{self._folder}/data", "--exec-root", f"{self._folder}/exec"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        end = time.monotonic() + _UP_S
        while not self._answers():
            assert time.monotonic() < end, (self._folder / "log").read_text()[-2000:]
            time.sleep(0.1)

    def kill(self) -> None:
        """Kill it, as a crash would; containers live on until it comes back."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(_DOWN_S)
        # What it had started dies with it, but where nobody waits for that, it looks alive.
        (self._folder / "exec/containerd/containerd.pid").unlink(missing_ok=True)

    def restart(self) -> None:
        """Have it end in order, and start it anew."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """Have it end in order, with all containers."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(_DOWN_S)

    def remove(self) -> None:
        """End what is left of it, and remove its bridge and all that it kept."""
        with suppress(subprocess.TimeoutExpired):
            if self._process is not None and self._process.poll() is None:
                self.stop()
        clear(self._folder)
        remove_bridge(self._bridge)
        assert mounts_below(self._folder) == []

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(5)
            try:
                link.connect(self.host.removeprefix("unix://"))
                link.sendall(b"GET /_ping HTTP/1.0\r\nHost: localhost\r\n\r\n")
                return b" 200 " in link.recv(100)
            except OSError:
                return False


@contextmanager
def own_daemon(folder: Path) -> Iterator[Daemon]:
    """Give a daemon that is up; skip the test where none can be."""
    if os.geteuid() or not os.path.exists(PROGRAM) or shutil.which("ip") is None:
        pytest.skip("a daemon of one's own takes root, dockerd and ip")
    remove_forsaken(folder.parent.parent)
    daemon = Daemon(folder)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.remove()


def remove_forsaken(root: Path) -> None:
    """Remove what is left of daemons whose test was killed.

    Args:
        root: Folder of the temporary folders of all test sessions, which rename old ones.
    """
    for bridge in os.listdir("/sys/class/net"):
        owner = bridge.removeprefix(_BRIDGE)
        if bridge.startswith(_BRIDGE) and owner.isdecimal() and not is_alive(owner):
            for pid, words in commands():
                if words[:1] == [PROGRAM] and bridge in words:
                    clear(Path(words[words.index("--pidfile") + 1]).parent, first=pid)
            remove_bridge(bridge)
    for mount in reversed(mounts_below(root)):
        owned = [each for each in Path(mount).parents if (each / _OWNER).is_file()]
        if owned and not is_alive((owned[0] / _OWNER).read_text()):
            clear(owned[0])
        elif not owned and "/garbage-" in mount:
            unmount(mount)


def clear(folder: Path, *, first: int = 0) -> None:
    """End what a daemon's folder is named by, unmount what is mounted in it, and remove it."""
    end = time.monotonic() + _DOWN_S
    while found := [pid for pid, words in commands() if any(f"{folder}/" in w for w in words)]:
        assert time.monotonic() < end, f"they do not end: {found}"
        for pid in [first] if first in found else found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    for mount in reversed(mounts_below(folder)):
        unmount(mount)
    shutil.rmtree(folder, ignore_errors=True)


def unmount(path: str) -> None:
    """Unmount what may be gone by now."""
    subprocess.run(["umount", "--lazy", path], check=False, capture_output=True, timeout=30)


def remove_bridge(name: str) -> None:
    """Remove a bridge, if it is there."""
    if os.path.exists(f"/sys/class/net/{name}"):
        run("ip", "link", "del", name)


def mounts_below(folder: Path) -> list[str]:
    """Return where something is mounted in a folder, in the order of mounting."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return [each for each in mounts if each.startswith(f"{folder}/")]


def commands() -> Iterator[tuple[int, list[str]]]:
    """Give the processes that run, but this one, with the words of their commands."""
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if (pid := int(command.parent.name)) != os.getpid():
                words = command.read_bytes().decode(errors="replace").split("\0")
                if any(words) and process_is_there(pid):
                    yield pid, words


def is_alive(pid: str) -> bool:
    """Tell whether a process runs."""
    return process_is_there(int(pid))


def run(*command: str) -> None:
    """Run a command that has to succeed."""
    subprocess.run(command, check=True, capture_output=True, timeout=30)
