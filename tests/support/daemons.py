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

PROGRAM = "/usr/sbin/dockerd"
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
        self._bridge = f"slt{os.getpid() % 100_000}"
        self._process: subprocess.Popen[bytes] | None = None
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
        with suppress(AssertionError):
            if self._process is not None and self._process.poll() is None:
                self.stop()
        for command in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if f"{self._folder}/".encode() in command.read_bytes():
                    os.kill(int(command.parent.name), signal.SIGKILL)
        run("ip", "link", "del", self._bridge)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in reversed([each for each in mounts if each.startswith(f"{self._folder}/")]):
            run("umount", "--lazy", mount)
        shutil.rmtree(self._folder)

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
    daemon = Daemon(folder)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.remove()


def run(*command: str) -> None:
    """Run a command that has to succeed."""
    subprocess.run(command, check=True, capture_output=True, timeout=30)
