"""What ``python -m stepline.testing.NAME_standin`` needs of every stand-in."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from pathlib import Path

from stepline.testing.loopback.standin import StandIn, write_whole


def standin_parser(module: str, *, service: str) -> argparse.ArgumentParser:
    """Return a parser of the options that all stand-ins take.

    Args:
        module: Name of the stand-in's module, such as ``stepline.testing.kaggle_standin``.
        service: Name of what it stands in for, as users know it.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=f"Stand in for {service} on a loopback port, and print its URL.",
    )
    parser.add_argument("--port", type=int, default=0, help="TCP port; by default a free one")
    parser.add_argument("--record", type=Path, metavar="DIR", help="folder for what it received")
    parser.add_argument("--pid-file", type=Path, metavar="F", help="gets the process id")
    parser.add_argument(
        "--lifetime", type=float, default=600.0, metavar="SECONDS", help="end after this time"
    )
    return parser


def serve(standin: StandIn, options: argparse.Namespace) -> int:
    """Serve until SIGTERM, SIGINT or the end of the lifetime; return the exit code."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with standin:
        if options.pid_file is not None:
            write_whole(options.pid_file, f"{os.getpid()}\n".encode())
        print(standin.url, flush=True)
        stop.wait(options.lifetime)
    if options.pid_file is not None:
        options.pid_file.unlink(missing_ok=True)
    return 0
