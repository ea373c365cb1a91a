"""The worker's own loop: one task at a time, each in a child."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys

from stepline_sdk.worker import capture, child, children, memory, modules, processes
from stepline_sdk.worker.attempt import Attempt, PlatformGone
from stepline_sdk.worker.folders import TaskFolders

_IMPORT_OUTPUT_BYTES = 1024 * 1024


class Worker:
    """Serves tasks of one task script to one platform connection.

    Args:
        platform: Connection to the platform.
        root: Empty folder for the folders of tasks.
    """

    def __init__(self, platform, *, root) -> None:
        self._platform = platform
        self._root = os.path.realpath(root)
        self._code = ""
        self._number = 0
        self._warm: children.Child | None = None
        self._memory: object = None
        self._import_output = b""
        self._wakeup, wakeup_end = os.pipe()
        for end in (self._wakeup, wakeup_end):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wakeup_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def serve(self) -> None:
        """Work until the platform says stop or goes away."""
        processes.become_subreaper()
        try:
            self._serve_frames()
        except PlatformGone:
            pass
        finally:
            processes.sweep()
            if self._memory is not None:
                self._memory.close()

    def _serve_frames(self) -> None:
        version = "%d.%d.%d" % sys.version_info[:3]
        self._platform.send({"type": "ready", "pid": os.getpid(), "python": version})
        while True:
            frame = self._platform.receive()
            if frame is None or frame["type"] == "stop":
                return
            if frame["type"] == "load":
                self._load(frame)
            elif frame["type"] == "task":
                self._platform.send(self._run(frame))

    def _load(self, frame: dict) -> None:
        """Enter the script's folder and import what was named.

        What fails to import now is imported again, and reported, by the task.
        """
        self._code = frame["code"]
        home = TaskFolders(self._root, 0, self._code)
        home.enter()
        modules.extend_import_path()
        child.line_buffer()
        for name in frame["modules"]:
            self._import(name)

    def _import(self, module: str) -> None:
        """Import a module here, so that children have it; keep what it prints.

        Failures are left to the task, which imports again and reports them.
        """
        if module in sys.modules:
            return
        path = os.path.join(self._root, "import-output")
        with open(path, "w+b") as output, _output_to(output.fileno()):
            try:
                importlib.import_module(module)
            except BaseException:
                sys.modules.pop(module, None)
            else:
                output.seek(0)
                self._import_output += output.read(_IMPORT_OUTPUT_BYTES)
        gc.freeze()

    def _run(self, task: dict) -> dict:
        isolation = task["isolation"]
        if isolation == "fork":
            self._import(task["target"].rpartition(".")[0])
        if self._memory is None:
            self._memory = memory.memory_limit()
        self._memory.begin(task["limits"].get("memory_mb"))
        self._number += 1
        folders = TaskFolders(self._root, self._number, self._code)
        process = self._start(isolation, task, folders)
        attempt = Attempt(
            task,
            process,
            platform=self._platform,
            memory=self._memory,
            wakeup=self._wakeup,
            log=self._new_log(task),
        )
        try:
            return attempt.watch(keep_child=isolation == "reuse")
        finally:
            self._retire(process, keep=isolation == "reuse" and not attempt.child_ended)
            folders.remove()

    def _start(self, isolation: str, task: dict, folders: TaskFolders) -> children.Child:
        if isolation == "fork":
            return children.fork(self._memory, lambda link: child.run(task, link, folders) or 0)
        process = self._warm
        if process is None:
            serve = children.warm if isolation == "reuse" else children.new_interpreter
            process = children.fork(self._memory, serve)
        last = isolation != "reuse"
        process.connection.send({"task": task, "folders": folders.paths, "last": last})
        return process

    def _retire(self, process, *, keep) -> None:
        self._warm = process if keep else None
        if not keep:
            process.close()

    def _new_log(self, task: dict) -> capture.Log:
        log = capture.Log(task["limits"].get("log_bytes"))
        printed, self._import_output = self._import_output, b""
        for line in printed.splitlines():
            log.add("out", line, True)
        return log


class _output_to:  # noqa: N801  (reads as the act it is)
    """Sends descriptors 1 and 2 to another one for a while."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._saved: tuple = ()

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
