"""Registries of a test's own: one that wants a login, and tells what it was asked for."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepline.ports.engine import Credential

# Passwords and how the registry keeps them. These are of tests alone.
PASSWORDS = {
    "robot": "correct horse, battery",
    "_json_key": '{"type": "service_account", "key": "a\\nb\\"c"}',
}
HASHES = {
    "robot": "$2b$04$asRS7AmHNMczuBg9ux1dAuoaaksbFFxva7fBXRurFFjiQbwUKtJFy",
    "_json_key": "$2b$04$tp4Cm.UXgBzZ48qfLQcNMOlXx7hyr773cEHq.7hceo2f0YHBkTIwC",
}
CONFIG = """\
version: 0.1
log: {{level: info, accesslog: {{disabled: false}}}}
storage: {{filesystem: {{rootdirectory: {folder}/blobs}}, delete: {{enabled: true}}}}
auth: {{htpasswd: {{realm: tests, path: {folder}/htpasswd}}}}
http: {{addr: "{address}"}}
"""


class LockedRegistry:
    """A registry that wants a login.

    Attributes:
        address: Host and port.
        folder: Where it keeps everything, its log included.
    """

    def __init__(self, address: str, folder: Path) -> None:
        self.address = address
        self.folder = folder

    def credential(self, user: str = "robot", *, password: str | None = None) -> Credential:
        """Return a credential of a user, or a wrong one."""
        given = PASSWORDS[user] if password is None else password
        return Credential(
            connection="our-registry", server=self.address, username=user, password=given
        )

    def accept(self, **hashes: str) -> None:
        """Let these users in from now on, by the hashes of their passwords."""
        lines = "".join(f"{user}:{kept}\n" for user, kept in hashes.items())
        (self.folder / "htpasswd").write_text(lines)

    def requests(self) -> list[str]:
        """Return all requests that it has answered so far, as method and path."""
        log = (self.folder / "log").read_text()
        return re.findall(r'"((?:GET|HEAD|PUT|POST|PATCH) /v2/[^ "]*) HTTP', log)


@contextlib.contextmanager
def locked_registry(folder: Path) -> Iterator[LockedRegistry]:
    """Run a registry that wants a login."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("there is no docker-registry")
    found = LockedRegistry(f"127.0.0.1:{free_port()}", folder)
    found.accept(**HASHES)
    (folder / "config.yml").write_text(CONFIG.format(folder=folder, address=found.address))
    command = [program, "serve", str(folder / "config.yml")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_for_listener(found.address)
        yield found
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    """Return a port of the loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_listener(address: str, *, seconds: float = 10) -> None:
    """Wait until somebody listens at an address."""
    host, _, port = address.partition(":")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
            return
        time.sleep(0.02)
    raise AssertionError(f"nobody listens at {address}")
