"""Bubblewrap: where it is, what it may do here, and the command of a sandbox."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from stepline.errors import PlatformError
from stepline.frozen import frozen
from stepline.model.task import Network
from stepline.workers import inside

_OLDEST = (0, 5)
_WITH_SIZE = (0, 7)
_SHM_BYTES = 64 * 1024 * 1024
_TRY_SECONDS = 30
_NAMESPACES = (
    "--unshare-ipc",
    "--unshare-pid",
    "--unshare-net",
    "--unshare-uts",
    "--unshare-cgroup-try",
)
# What it takes to become the user of tasks, and to have no way back.
_TO_CHANGE_USER = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
_OF_HOST = ("/etc/hosts", "/etc/resolv.conf")
_HINT = (
    "let this user make user namespaces (sysctl user.max_user_namespaces, "
    "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns), or run "
    "the platform as root; in a container, it needs the right to mount"
)


@frozen(kw_only=True)
class Sandbox:
    """What a sandbox is like.

    Attributes:
        root: Folder that is its root, read-only.
        sdk: Folder of the platform's ``stepline_sdk``.
        task: Folder to mount at `inside.TASK`.
        environ: All variables.
        network: What it may reach.
        tmp_bytes: Size of its temporary folder; None for what the kernel gives.
        cgroup: Folder to show at `cgroup_at`; empty for none.
        cgroup_at: Where its worker looks for that.
    """

    root: str
    sdk: str
    task: str
    environ: Mapping[str, str]
    network: Network
    tmp_bytes: int | None
    cgroup: str = ""
    cgroup_at: str = ""


@frozen
class Bubblewrap:
    """The program, as it can be used here.

    Attributes:
        path: The program.
        can_size: Whether it can limit temporary folders.
        changes_user: Whether what runs inside becomes the user of tasks; otherwise it is the
            platform's own user under that number.
    """

    path: str
    can_size: bool
    changes_user: bool

    @property
    def user(self) -> str:
        """User, ``uid:gid``, to become inside; empty where that was done before."""
        return f"{inside.USER}:{inside.GROUP}" if self.changes_user else ""

    def command(self, sandbox: Sandbox, command: Sequence[str]) -> list[str]:
        """Return the command that runs another one in a sandbox."""
        variables = [
            part for name, value in sandbox.environ.items() for part in ("--setenv", name, value)
        ]
        return [
            self.path,
            *self._isolation(),
            *(["--share-net"] if sandbox.network is Network.HOST else []),
            *["--ro-bind", sandbox.root, "/", "--proc", "/proc", "--dev", "/dev"],
            *self._memory_folder("/dev/shm", _shm_bytes(sandbox.tmp_bytes)),
            *["--remount-ro", "/dev"],
            *self._memory_folder("/tmp", sandbox.tmp_bytes),
            *["--ro-bind", sandbox.sdk, inside.SDK],
            *["--bind", sandbox.task, inside.TASK],
            *_names(sandbox.network),
            *_shown_cgroup(sandbox),
            *["--chdir", "/", "--clearenv", *variables, "--", *command],
        ]

    def try_out(self) -> str:
        """Start a sandbox that does nothing; return what it said where that failed."""
        import subprocess

        command = [self.path, *self._isolation(), "--ro-bind", "/", "/", "--proc", "/proc"]
        try:
            tried = subprocess.run(
                [*command, "--", "/bin/true"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=_TRY_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        words = tried.stderr.decode(errors="replace").strip()
        return "" if tried.returncode == 0 else words or f"it ended with {tried.returncode}"

    def _isolation(self) -> list[str]:
        arguments = ["--die-with-parent", "--new-session", "--cap-drop", "ALL"]
        if self.changes_user:
            added = [part for name in _TO_CHANGE_USER for part in ("--cap-add", name)]
            return [*_NAMESPACES, *arguments, *added]
        user = ["--uid", str(inside.USER), "--gid", str(inside.GROUP)]
        return ["--unshare-user", *_NAMESPACES, *user, *arguments]

    def _memory_folder(self, path: str, size: int | None) -> list[str]:
        """Return the arguments for a folder in memory that all may write to."""
        sized = ["--size", str(size)] if size is not None and self.can_size else []
        return ["--perms", "1777", *sized, "--tmpfs", path]


def find_bubblewrap(environ: Mapping[str, str]) -> Bubblewrap:
    """Return the program, after trying it out.

    Raises:
        PlatformError: It is not there, too old, or may not do what it has to.
    """
    import shutil

    path = shutil.which("bwrap", path=environ.get("PATH", os.defpath))
    if path is None:
        raise PlatformError(
            "the executor 'sandbox' needs bubblewrap, which is not on this machine",
            hint="apt-get install bubblewrap",
        )
    version = _version(path)
    if version < _OLDEST:
        raise PlatformError(
            f"{path} is bubblewrap {'.'.join(map(str, version))}, which is too old",
            hint=f"install {'.'.join(map(str, _OLDEST))} or newer",
        )
    words = ""
    for changes_user in [True, False] if os.geteuid() == 0 and _has_user() else [False]:
        found = Bubblewrap(path, version >= _WITH_SIZE, changes_user)
        words = found.try_out()
        if not words:
            return found
    raise PlatformError(f"bubblewrap may not make sandboxes here: {words}", hint=_HINT)


def _version(path: str) -> tuple[int, ...]:
    import subprocess

    told = subprocess.run(
        [path, "--version"], capture_output=True, stdin=subprocess.DEVNULL, check=False
    )
    numbers = re.search(rb"(\d+)\.(\d+)", told.stdout)
    return tuple(map(int, numbers.groups())) if numbers else (0, 0)


def _has_user() -> bool:
    """Tell whether there are the user and group of tasks where this process is.

    In a user namespace there may be few.
    """
    for name, number in (("uid_map", inside.USER), ("gid_map", inside.GROUP)):
        with open(f"/proc/self/{name}") as file:
            ranges = [[int(part) for part in line.split()] for line in file]
        if not any(first <= number < first + count for first, _, count in ranges):
            return False
    return True


def _shm_bytes(tmp_bytes: int | None) -> int:
    return _SHM_BYTES if tmp_bytes is None else min(tmp_bytes, _SHM_BYTES)


def _names(network: Network) -> list[str]:
    """Return the arguments that have names of hosts found as the platform does."""
    if network is not Network.HOST:
        return []
    return [part for path in _OF_HOST for part in ("--ro-bind-try", path, path)]


def _shown_cgroup(sandbox: Sandbox) -> list[str]:
    if not sandbox.cgroup:
        return []
    shown = [*open_folders(sandbox.cgroup_at), "--ro-bind", sandbox.cgroup, sandbox.cgroup_at]
    return ["--tmpfs", "/sys", *shown, "--remount-ro", "/sys"]


def open_folders(path: str) -> list[str]:
    """Return the arguments that make the folders above a path, for all to go through.

    Those that it makes of itself are for the first user alone. The uppermost is there.
    """
    parts = path.strip("/").split("/")[:-1]
    folders = ["/" + "/".join(parts[:number]) for number in range(2, len(parts) + 1)]
    return [part for folder in folders for part in ("--perms", "0755", "--dir", folder)]
