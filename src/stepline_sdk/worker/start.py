"""Program that an executor starts: ``python -I start.py --fd N --root FOLDER``.

It makes ``stepline_sdk`` importable without putting the folder that holds it,
which may be full of other packages, on the task script's import path.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stepline_sdk.wire import Connection


def _expose_sdk() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    parent = os.path.dirname(os.path.dirname(here))
    sys.path.insert(0, parent)
    import stepline_sdk  # noqa: F401  (later imports of its modules go by its own path)

    sys.path.remove(parent)


def _close_others(kept: int) -> None:
    """Close what the platform itself was started with, which is no business of tasks."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in (0, 1, 2, kept):
            try:
                os.close(int(name))
            except OSError:
                pass  # the listing's own


def _connect(arguments: dict[str, str]) -> Connection:
    import socket

    from stepline_sdk.wire import Connection

    if "fd" in arguments:
        return Connection(socket.socket(fileno=int(arguments["fd"])))
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.connect(arguments["socket"])
    return Connection(link)


def _settle(arguments: dict[str, str]) -> None:
    """Do what a platform outside cannot, where the worker has a root file system of its own."""
    os.environ.pop("PWD", None)  # what makes a sandbox sets it; tasks have their own folder
    os.makedirs(arguments["root"], 0o700, exist_ok=True)


def main(argv: list[str]) -> None:
    """Do what the arguments say, and end the process.

    ``--root`` serves as a worker, ``--child 1`` runs one task in a new interpreter, and
    ``--clean FOLDER --mark MARK`` removes what a worker that was killed has left.
    """
    arguments = {name.lstrip("-"): value for name, value in zip(argv[::2], argv[1::2])}
    _expose_sdk()
    if "clean" in arguments:
        from stepline_sdk.worker.remains import clean

        clean(arguments["clean"], arguments["mark"])
    elif "child" in arguments:
        from stepline_sdk.worker.child import serve

        serve(_connect(arguments))
    else:
        from stepline_sdk.worker.loop import Worker

        if os.environ.get("LD_BIND_NOW") == "worker":  # the platform's word to the loader
            del os.environ["LD_BIND_NOW"]
        connection = _connect(arguments)
        _close_others(connection.fileno())
        _settle(arguments)
        Worker(connection, root=arguments["root"]).serve()
    os._exit(0)  # nothing is left to do, and an interpreter's own end takes a while


if __name__ == "__main__":
    main(sys.argv[1:])
