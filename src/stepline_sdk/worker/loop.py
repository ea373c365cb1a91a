"""The worker's own loop: one task at a time, each in a process of its own."""

from __future__ import annotations

import os
import signal
import sys

from stepline_sdk.wire import WireError
from stepline_sdk.worker import capture, endings, memory, processes
from stepline_sdk.worker.attempt import Attempt, PlatformGone
from stepline_sdk.worker.folders import SharedFolders, TaskFolders, remove_tree
from stepline_sdk.worker.templates import COPIES, Template

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stepline_sdk.wire import Connection, Frame
    from stepline_sdk.worker.memory import MemoryLimit

# All that wait may have been ended, as the kernel does when memory is short.
_TRIES = COPIES + 1
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
        self._isolation = ""
        self._marked = False
        self._template: Template | None = None
        self._modules: list[str] = []
        self._memory: MemoryLimit = memory.WatchedMemory()
        self._wakeup, self._wakeup_end = os.pipe()
        for end in (self._wakeup, self._wakeup_end):
            os.set_blocking(end, False)
        os.set_inheritable(platform.fileno(), False)

    def serve(self) -> None:
        """Work until the platform says stop or goes away, and leave nothing behind.

        After a stop, a platform that gave its mark removes the cgroup: that is quicker
        from outside.
        """
        processes.become_subreaper()
        processes.hide_inside()  # a task that got at the worker's line could speak for it
        signal.set_wakeup_fd(self._wakeup_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _wake)
        for number in _ENDING_SIGNALS:
            signal.signal(number, _leave)
        stopped = False
        try:
            stopped = self._serve_frames()
        except (PlatformGone, WireError, ConnectionError):
            pass
        finally:
            for number in _ENDING_SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            processes.sweep()
            if not (stopped and self._marked):
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
        """Make the folders, and start a template that imports what was named."""
        self._marked = bool(frame.get("mark"))
        self._memory = memory.memory_limit(frame["memory"], frame.get("mark"))
        version = "%d.%d.%d" % sys.version_info[:3]
        ready = {"type": "ready", "pid": os.getpid(), "python": version}
        self._platform.send(dict(ready, cgroup=self._memory.folder, memory=self._memory.way))
        self._isolation = frame["isolation"]
        self._modules = frame["modules"]
        self._home = TaskFolders(self._root, 0, frame["code"])
        self._folders = TaskFolders(self._root, 1, frame["code"])
        self._shared = self._shared_folders(frame.get("temporary") or [])
        self._get_template()

    def _shared_folders(self, temporary: list[str]) -> SharedFolders:
        """Return what tasks may write to besides their own folders, where nobody else does."""
        if not temporary:
            return SharedFolders([])
        folders = (self._home, self._folders)
        own = [path for each in folders for path in (each.work, each.tmp)]
        return SharedFolders([*temporary, self._root], kept=[self._root, *own])

    def _run(self, task: Frame) -> None:
        limits = task["limits"]
        try:
            self._begin_memory(limits.get("memory_mb"))
        except memory.LimitTooLow:
            outcome = dict(endings.out_of_memory(limits), type="outcome", token=task["token"])
            self._platform.send(outcome)
            return
        attempt = self._attempt(task)
        self._folders.renew()
        attempt.report(spent=not self._shared.empty())

    def _attempt(self, task: Frame) -> Attempt:
        """Have the task done; once more where its process was gone before it began."""
        log = capture.Log(task["limits"].get("log_bytes"))
        for _ in range(_TRIES):
            template = self._get_template()
            attempt = Attempt(
                task,
                template,
                platform=self._platform,
                memory=self._memory,
                wakeup=self._wakeup,
                log=log,
            )
            began = attempt.watch(self._folders.work)
            if template.ended:
                template.close()
                self._template = None
                # One that did not survive imports: from now on, each task does them itself.
                self._modules = self._modules if attempt.had_process else []
            if began:
                return attempt
        raise RuntimeError("no process can be started for a task")

    def _get_template(self) -> Template:
        if self._template is None:
            self._template = Template(
                self._isolation,
                self._modules,
                home=self._home,
                folders=self._folders,
                memory=self._memory,
                private=self._private(),
            )
        return self._template

    def _private(self) -> tuple[int, ...]:
        return (self._platform.fileno(), self._wakeup, self._wakeup_end, *self._memory.fds)

    def _begin_memory(self, limit_mb: int | None) -> None:
        try:
            self._memory.begin(limit_mb)
        except memory.LimitTooLow:
            if self._template is None:
                raise
            # What earlier tasks or imports left in memory is not this one's to pay for.
            self._template.end()
            self._template.close()
            self._template = None
            processes.sweep()
            self._memory.begin(limit_mb)


def _wake(*_: object) -> None:
    """Nothing: that the signal came is written to the wakeup descriptor."""


def _leave(*_: object) -> None:
    raise PlatformGone
