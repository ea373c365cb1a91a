"""Where a hook can run: a container of an engine, or a sandbox where the platform is root."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import tarfile
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, BinaryIO, Protocol

from stepline.errors import PlatformError, SteplineError
from stepline.frozen import frozen
from stepline.model.image import SEARCH_PATH, Image, Layer
from stepline.model.task import Limits, Network
from stepline.plugins.images_local.archive import write_archive
from stepline.plugins.images_local.printed import Output
from stepline.plugins.images_local.trees import Tree, read_folder, read_layers
from stepline.plugins.images_local.unpacking import unpack
from stepline.ports.engine import Container, ContainerEngine, ContainerSpec, Mount
from stepline.ports.images import ImageOptions, Tell
from stepline.workers.following import follow_until
from stepline.workers.lines import Lines
from stepline.workers.loading import load_image
from stepline.workers.owners import BUILDS, own_name, remove_orphans

# More than builds take, and less than what brings down a machine.
_LIMITS = Limits(memory_mb=16 * 1024, timeout_s=None, pids=8192)
# What Docker lets root do in a container.
_CAPABILITIES = """CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP SYS_CHROOT MKNOD
    AUDIT_WRITE SETFCAP NET_BIND_SERVICE""".split()


@frozen(kw_only=True)
class Order:
    """A command to be run as root in the root file system of an image.

    Attributes:
        image: The image.
        tars: Files of its layers, lowest first.
        command: Program and arguments.
        mounts: Folders of this machine to be seen inside.
        folder: Current folder inside.
        network: Whether it may use the network of this machine.
        limit_s: Seconds after which it is killed.
        keep: Whether the engine may hold on to the image: it is used for other commands too.
    """

    image: Image
    tars: Sequence[Path]
    command: Sequence[str]
    mounts: Sequence[Mount]
    folder: str = "/"
    network: bool = True
    limit_s: float = 1800.0
    keep: bool = True


@frozen
class Ended:
    """How a command ended.

    Attributes:
        code: Its exit code; None where it was killed for its time.
        output: What it printed; the beginning is left out of very much.
        root: What the root file system is after it.
    """

    code: int | None
    output: str
    root: Tree


class Runner(Protocol):
    """Runs commands as root in images."""

    name: str

    def run(self, order: Order, *, scratch: Path, tell: Tell) -> Ended:
        """Run a command to its end.

        Args:
            order: The command.
            scratch: An empty folder, which has to stay while the result is used.
            tell: Takes each line that it prints.

        Raises:
            PlatformError: It cannot be run here.
        """


class EngineRunner:
    """Runs commands in containers.

    Args:
        engine: The engine.
        path: Returns the file of a layer.
    """

    name = "container"

    def __init__(self, engine: ContainerEngine, path: Callable[[Layer], Path]) -> None:
        self._engine = engine
        self._path = path

    def run(self, order: Order, *, scratch: Path, tell: Tell) -> Ended:
        """See `Runner.run`."""
        with contextlib.suppress(SteplineError):
            remove_orphans(self._engine, kinds=[BUILDS])
        try:
            return self._run(order, scratch=scratch, tell=tell)
        finally:
            if not order.keep:
                self._forget(order.image)

    def _run(self, order: Order, *, scratch: Path, tell: Tell) -> Ended:
        container = self._start(order)
        try:
            output = Output(tell)
            ended = follow_until(container, order.limit_s, tell=output.add)
            changes = scratch / "changes.tar"
            with changes.open("wb") as file, contextlib.closing(container.changes()) as stream:
                shutil.copyfileobj(stream, file, 1 << 20)
        finally:
            container.remove()
        code = ended.exit_code if ended else None
        return Ended(code, output.text(), read_layers([*order.tars, changes]))

    def _start(self, order: Order) -> Container:
        network = Network.HOST if order.network else Network.NONE
        spec = ContainerSpec(
            image=order.image.id,
            command=order.command,
            owner=own_name(BUILDS),
            mounts=order.mounts,
            limits=replace(_LIMITS, network=network),
            user="0:0",
            folder=order.folder,
            trusted=True,
            followed=True,
        )
        self._load(order.image)
        try:
            return self._engine.start(spec)
        except SteplineError:
            if self._engine.image(order.image.id) is not None:
                raise
        # Another build has just done with it.
        self._load(order.image)
        return self._engine.start(spec)

    def _forget(self, image: Image) -> None:
        """Remove an image from the engine, unless somebody uses it or has named it."""
        with contextlib.suppress(SteplineError):
            held = self._engine.image(image.id)
            if held is not None and not held.tags:
                self._engine.remove_image(image.id)

    def _load(self, image: Image) -> None:
        def write(file: BinaryIO, without: Collection[str]) -> None:
            write_archive(image, file, path=self._path, without=without)

        load_image(image, self._engine, write=write)


class SandboxRunner:
    """Runs commands in copies of root file systems, entered with bubblewrap, as root.

    Args:
        bwrap: The program.
    """

    name = "sandbox"

    def __init__(self, bwrap: str) -> None:
        self._bwrap = bwrap

    def run(self, order: Order, *, scratch: Path, tell: Tell) -> Ended:
        """See `Runner.run`."""
        root = scratch.absolute().resolve() / "root"
        root.mkdir()
        for tar in order.tars:
            unpack(tar, root, name=tar.stem)
        _restore_modes(read_layers(order.tars), root)
        output = Output(tell)
        code = _run_until([self._bwrap, *_arguments(order, root)], order.limit_s, output.add)
        return Ended(code, output.text(), read_folder(root))


def find_runner(
    options: ImageOptions,
    path: Callable[[Layer], Path],
    *,
    environ: Mapping[str, str],
    tell: Tell,
) -> Runner:
    """Return where hooks run on this machine.

    Args:
        options: Whose engine, and whether hooks may run on this machine without one.
        path: Returns the file of a layer.
        environ: Environment variables of the platform.
        tell: Takes a line where they are to run on this machine.

    Raises:
        PlatformError: There is no engine, and they may not or cannot run here.
    """
    try:
        found = options.engine()
        found.check()
    except PlatformError as error:
        bwrap = shutil.which("bwrap", path=environ.get("PATH", os.defpath))
        if not (options.allow_before_install and os.geteuid() == 0 and bwrap):
            raise _refusal(error, allowed=options.allow_before_install, bwrap=bwrap) from error
        tell(
            f"warning: no container engine answers ({error.what}), so hooks, Debian packages and "
            "builds of sources run as root on this machine, as allow_before_install allows"
        )
        return SandboxRunner(bwrap)
    return EngineRunner(found, path)


def _refusal(error: PlatformError, *, allowed: bool, bwrap: str | None) -> PlatformError:
    lacking = [] if allowed else ["it is not allowed"]
    lacking += [] if os.geteuid() == 0 else ["you are not root"]
    lacking += [] if bwrap else ["bubblewrap is not installed"]
    return PlatformError(
        "a hook, Debian packages and requirements without a wheel need a container engine, or "
        f"would run as root on this machine, but {', '.join(lacking)}; of the engine: {error.what}",
        hint=f"{error.hint or 'start the engine'}; or, as root and with bubblewrap, allow them to "
        "run on this machine with the setting allow_before_install",
        retryable=error.retryable,
    )


def _run_until(command: list[str], limit_s: float, take: Tell) -> int | None:
    """Run a command, and kill it with all that it started after its time."""
    import subprocess

    process = subprocess.Popen(
        command,
        env={"PATH": SEARCH_PATH},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(limit_s, end)
    timer.daemon = True
    timer.start()
    try:
        _take_lines(process.stdout, take)
        code = process.wait()
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    return None if late.is_set() else code


def _take_lines(stream: IO[bytes] | None, take: Tell) -> None:
    lines = Lines()
    while stream is not None and (part := os.read(stream.fileno(), 1 << 16)):
        for line in lines.feed(part):
            take(line)
    for line in lines.end():
        take(line)


def _arguments(order: Order, root: Path) -> list[str]:
    """Return the arguments of bubblewrap; the processes inside die with it."""
    arguments = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent"]
    arguments += ["--new-session", "--hostname", "build", "--cap-drop", "ALL"]
    for name in _CAPABILITIES:
        arguments += ["--cap-add", f"CAP_{name}"]
    if not order.network:
        arguments.append("--unshare-net")
    arguments += ["--bind", str(root), "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run"]
    # The kernel's settings are root's, who needs no privilege to write to most of them.
    arguments += ["--ro-bind", "/proc/sys", "/proc/sys"]
    for mount in order.mounts:
        arguments += ["--ro-bind" if mount.read_only else "--bind", mount.source, mount.target]
    if order.network:
        for path in ("/etc/resolv.conf", "/etc/hosts"):
            arguments += ["--ro-bind-try", os.path.realpath(path), path]
    arguments += ["--clearenv"]
    for name, value in _variables(order.image).items():
        arguments += ["--setenv", name, value]
    return [*arguments, "--chdir", order.folder, "--", *order.command]


def _variables(image: Image) -> dict[str, str]:
    config = json.loads(image.config).get("config") or {}
    given = dict(entry.split("=", 1) for entry in config.get("Env") or ())
    return {"PATH": SEARCH_PATH, **given}


def _restore_modes(tree: Tree, root: Path) -> None:
    """Give files and folders the modes that unpacking denies them, as for ``su``.

    What leads through a link is left as it is.
    """
    for path, node in tree.items():
        target = root / path
        if node.kind == tarfile.SYMTYPE or os.path.realpath(target) != str(target):
            continue
        if stat.S_IMODE(target.stat().st_mode) != node.mode:
            target.chmod(node.mode)
