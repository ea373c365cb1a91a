"""Bubblewrap: where it is, what it may do here, and the command of a sandbox."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence

from stepline.errors import PlatformError
from stepline.frozen import frozen
from stepline.model.task import Network
from stepline.plugins.executor_sandbox import lowered
from stepline.workers import inside
from stepline.workers.held import shared_memory_bytes
from stepline.workers.program import GIVEN

_OLDEST = (0, 5)
_WITH_SIZE = (0, 7)
_TRY_SECONDS = 30
_NAMESPACES = (
    "--unshare-ipc",
    "--unshare-pid",
    "--unshare-net",
    "--unshare-uts",
    "--unshare-cgroup-try",
)
# The kernel's settings are for nobody inside to write to, whoever owns them.
_PROC = ("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys")
_OF_HOST = ("/etc/hosts", "/etc/resolv.conf")
_HINT = (
    "let ordinary users make user namespaces (sysctl user.max_user_namespaces, "
    "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns), since no "
    "task begins as root; in a container, the platform needs the right to mount, and a /proc of "
    "which nothing is hidden"
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
        changes_user: Whether the platform, as root, becomes the user of tasks before it starts
            the program; otherwise tasks are the platform's own user under that number.
    """

    path: str
    can_size: bool
    changes_user: bool

    def command(self, sandbox: Sandbox, command: Sequence[str]) -> list[str]:
        """Return the command that runs another one in a sandbox.

        It reads the variables from the descriptor `GIVEN`: what is among a command's words, all
        users of the machine can read.
        """
        sources = [sandbox.root, sandbox.sdk, sandbox.task]
        sources += [sandbox.cgroup] if sandbox.cgroup else []
        root, sdk, task, *cgroup = self._seen(sources)
        return [
            *self._started(sources),
            *self._isolation(),
            *(["--share-net"] if sandbox.network is Network.HOST else []),
            *["--ro-bind", root, "/", *_PROC, "--dev", "/dev"],
            *self._memory_folder("/dev/shm", shared_memory_bytes(sandbox.tmp_bytes)),
            *["--remount-ro", "/dev"],
            *self._memory_folder("/tmp", sandbox.tmp_bytes),
            *["--ro-bind", sdk, inside.SDK],
            *["--bind", task, inside.TASK],
            *_names(sandbox.network),
            *(_shown_cgroup(cgroup[0], sandbox.cgroup_at) if cgroup else []),
            *["--chdir", "/", "--clearenv", "--args", str(GIVEN), "--", *command],
        ]

    @staticmethod
    def given(sandbox: Sandbox) -> bytes:
        """Return what the command of a sandbox has to find at the descriptor `GIVEN`."""
        words = [
            word for name, value in sandbox.environ.items() for word in ("--setenv", name, value)
        ]
        return b"".join(os.fsencode(word) + b"\0" for word in words)

    def try_out(self) -> str:
        """Start a sandbox that does nothing; return what it said where that failed."""
        import subprocess

        command = [*self._started([]), *self._isolation(), "--ro-bind", "/", "/", *_PROC]
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

    def _started(self, sources: Sequence[str]) -> list[str]:
        """Return the words that start the program; the sources may be closed to its user."""
        if not self.changes_user:
            return [self.path]
        user = [str(inside.USER), str(inside.GROUP)]
        python = [sys.executable, "-I", "-S", lowered.__file__]
        return [*python, *user, *sources, "--", self.path]

    def _seen(self, sources: Sequence[str]) -> list[str]:
        """Return where the program finds sources."""
        if not self.changes_user:
            return [*sources]
        return [f"{lowered.STAGE}/{number}" for number in range(len(sources))]

    def _isolation(self) -> list[str]:
        user = ["--uid", str(inside.USER), "--gid", str(inside.GROUP)]
        arguments = ["--die-with-parent", "--new-session", "--cap-drop", "ALL"]
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
    found = Bubblewrap(path, version >= _WITH_SIZE, changes_user=os.geteuid() == 0)
    if found.changes_user and not _has_user():
        raise PlatformError(
            f"there is no user {inside.USER} here for tasks to be, and they are never root",
            hint="run the platform as an ordinary user, or map more users into its namespace",
        )
    words = found.try_out()
    if words:
        raise PlatformError(f"bubblewrap may not make sandboxes here: {words}", hint=_HINT)
    return found


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


def _names(network: Network) -> list[str]:
    """Return the arguments that have names of hosts found as the platform does."""
    if network is not Network.HOST:
        return []
    return [part for path in _OF_HOST for part in ("--ro-bind-try", path, path)]


def _shown_cgroup(folder: str, at: str) -> list[str]:
    shown = [*open_folders(at), "--ro-bind", folder, at]
    return ["--tmpfs", "/sys", *shown, "--remount-ro", "/sys"]


def open_folders(path: str) -> list[str]:
    """Return the arguments that make the folders above a path, for all to go through.

    Those that it makes of itself are for the first user alone. The uppermost is there.
    """
    parts = path.strip("/").split("/")[:-1]
    folders = ["/" + "/".join(parts[:number]) for number in range(2, len(parts) + 1)]
    return [part for folder in folders for part in ("--perms", "0755", "--dir", folder)]
