"""The worker's own loop: one task at a time, each in a child."""

from __future__ import annotations

import fcntl
import gc
import importlib
import os
import select
import signal
import sys

from stepline_sdk.worker import capture, child, children, endings, memory, modules, processes
from stepline_sdk.worker.attempt import Attempt, PlatformGone
from stepline_sdk.worker.folders import TaskFolders, remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    from stepline_sdk.wire import Connection, Frame
    from stepline_sdk.worker.memory import MemoryLimit

_IMPORT_OUTPUT_BYTES = 1024 * 1024
_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Worker:
    """Serves tasks of one task script to one platform connection.

    Args:
        platform: Connection to the platform.
        root: Folder for the folders of tasks; removed at the end.
    """

    def __init__(self, platform: Connection, *, root: str) -> None:
        self._platform = platform
        self._root = os.path.realpath(root)
        self._code = ""
        self._number = 0
        self._warm: children.Child | None = None
        self._memory: MemoryLimit = memory.WatchedMemory()
        self._import_output = b""
        self._wakeup, self._wakeup_end = os.pipe()
        for end in (self._wakeup, self._wakeup_end):
            os.set_blocking(end, False)
        os.set_inheritable(platform.fileno(), False)

    def serve(self) -> None:
        """Work until the platform says stop or goes away, and leave nothing behind.

        After a stop, the platform removes the cgroup: that is quicker from outside.
        """
        processes.become_subreaper()
        stopped = False
        try:
            stopped = self._serve_frames()
        except (PlatformGone, ConnectionError):
            pass
        finally:
            for number in _ENDING_SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            processes.sweep()
            if not stopped:
                self._memory.close()
        remove_tree(self._root)

    def _serve_frames(self) -> bool:
        """Return whether the platform said stop."""
        while True:
            frame = self._platform.receive()
            if frame is None or frame["type"] == "stop":
                return frame is not None
            if frame["type"] == "load":
                self._load(frame)
            elif frame["type"] == "task":
                self._run(frame)

    def _load(self, frame: Frame) -> None:
        """Enter the script's folder, and import what was named.

        What fails to import now is imported again, and reported, by the task.
        """
        self._code = frame["code"]
        self._memory = memory.memory_limit(frame["memory"])
        TaskFolders(self._root, 0, self._code).enter()
        modules.extend_import_path()
        child.line_buffer()
        if frame["modules"]:
            child.import_ahead()
        sys.dont_write_bytecode = True
        with _EndedWithPlatform(self._platform.fileno()):
            for name in frame["modules"]:
                self._import(name)
        gc.freeze()
        self._arm()
        version = "%d.%d.%d" % sys.version_info[:3]
        ready = {"type": "ready", "pid": os.getpid(), "python": version}
        self._platform.send(dict(ready, cgroup=self._memory.folder))

    def _import(self, module: str) -> None:
        """Import a module here, so that children have it; keep what it prints."""
        path = os.path.join(self._root, "import-output")
        with open(path, "w+b") as output, _OutputTo(output.fileno()):
            try:
                importlib.import_module(module)
            except BaseException:
                sys.modules.pop(module, None)
            else:
                child.flush()
                output.seek(0)
                self._import_output += output.read(_IMPORT_OUTPUT_BYTES)
        os.unlink(path)

    def _arm(self) -> None:
        """Have signals wake the worker; imported modules may have changed that."""
        signal.set_wakeup_fd(self._wakeup_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _wake)
        for number in _ENDING_SIGNALS:
            signal.signal(number, _leave)

    def _run(self, task: Frame) -> None:
        self._arm()
        try:
            self._begin_memory(task["limits"].get("memory_mb"))
        except memory.LimitTooLow:
            outcome = dict(endings.out_of_memory(task["limits"]), type="outcome")
            self._platform.send(dict(outcome, token=task["token"]))
            return
        self._number += 1
        folders = TaskFolders(self._root, self._number, self._code)
        process = self._start(task, folders)
        attempt = Attempt(
            task,
            process,
            platform=self._platform,
            memory=self._memory,
            wakeup=self._wakeup,
            log=self._new_log(task),
        )
        keep = task["isolation"] == "reuse"
        attempt.watch(keep_child=keep)
        self._warm = process if keep and not attempt.child_ended else None
        if self._warm is None:
            process.close()
        folders.remove()
        attempt.report()

    def _begin_memory(self, limit_mb: int | None) -> None:
        try:
            self._memory.begin(limit_mb)
        except memory.LimitTooLow:
            if self._warm is None:
                raise
            # What earlier tasks left in memory is not this one's to pay for.
            self._warm.close()
            self._warm = None
            processes.sweep()
            self._memory.begin(limit_mb)

    def _start(self, task: Frame, folders: TaskFolders) -> children.Child:
        isolation = task["isolation"]
        if isolation == "fork":
            return self._fork(lambda link: child.run(task, link, folders) or 0)
        process = self._warm
        if process is None:
            process = self._fork(
                children.warm if isolation == "reuse" else children.new_interpreter
            )
        last = isolation != "reuse"
        process.connection.send(
            {"type": "run", "task": task, "folders": folders.paths, "last": last}
        )
        return process

    def _fork(self, work: Callable[[Connection], int]) -> children.Child:
        private = (self._platform.fileno(), self._wakeup, self._wakeup_end, *self._memory.fds)
        return children.fork(work, memory=self._memory, private=private)

    def _new_log(self, task: Frame) -> capture.Log:
        log = capture.Log(task["limits"].get("log_bytes"))
        printed, self._import_output = self._import_output, b""
        if printed:
            stream = capture.Stream(-1, "out", log)
            stream.feed(printed)
            stream.finish()
        return log


def _wake(*_: object) -> None:
    """Nothing: that the signal came is written to the wakeup descriptor."""


def _leave(*_: object) -> None:
    raise PlatformGone


class _EndedWithPlatform:
    """Has the kernel end this process when the platform goes away or sends something.

    For the time in which the worker runs foreign code and listens to nobody.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._flags = fcntl.fcntl(fd, fcntl.F_GETFL)

    def __enter__(self) -> None:
        signal.signal(signal.SIGIO, signal.SIG_DFL)
        fcntl.fcntl(self._fd, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(self._fd, fcntl.F_SETFL, self._flags | os.O_ASYNC)
        if select.select([self._fd], [], [], 0)[0]:
            raise PlatformGone

    def __exit__(self, *_: object) -> None:
        fcntl.fcntl(self._fd, fcntl.F_SETFL, self._flags)


class _OutputTo:
    """Sends descriptors 1 and 2 to another one for a while."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._saved = (-1, -1)

    def __enter__(self) -> None:
        child.flush()
        self._saved = (os.dup(1), os.dup(2))
        os.dup2(self._fd, 1)
        os.dup2(self._fd, 2)

    def __exit__(self, *_: object) -> None:
        child.flush()
        for target, saved in zip((1, 2), self._saved):
            os.dup2(saved, target)
            os.close(saved)
