"""Program that an executor starts: ``python -I start.py --fd N --root FOLDER``.

It makes ``stepline_sdk`` importable without putting the folder that holds it,
which may be full of other packages, on the task script's import path.
"""

from __future__ import annotations

import os
import sys


def _expose_sdk() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    parent = os.path.dirname(os.path.dirname(here))
    sys.path.insert(0, parent)
    import stepline_sdk  # noqa: F401  (later imports of its modules go by its own path)

    sys.path.remove(parent)


def _connect(arguments: dict) -> object:
    import socket

    from stepline_sdk.wire import Connection

    if "fd" in arguments:
        return Connection(socket.socket(fileno=int(arguments["fd"])))
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.connect(arguments["socket"])
    return Connection(link)


def main(argv: list) -> int:
    """Run the worker, or with ``--child 1`` one task of a new interpreter."""
    arguments = {name.lstrip("-"): value for name, value in zip(argv[::2], argv[1::2])}
    _expose_sdk()
    connection = _connect(arguments)
    if "child" in arguments:
        from stepline_sdk.worker.child import serve

        serve(connection)
        return 0
    from stepline_sdk.worker.loop import Worker

    Worker(connection, root=arguments["root"]).serve()
    os._exit(0)  # nothing is left to do, and an interpreter's own end takes a while


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
