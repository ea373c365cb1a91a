"""Servers of somebody else's as processes of their own, each in a group that is ended whole."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

_GONE_S = 10.0
# Becomes the server. What stays beside it ends the group when who started it is gone, however that
# came about: only then does standard input end.
_GUARDED = 'exec 3<&0 </dev/null; (read -r _ <&3; kill -KILL 0) & exec 3<&-; exec "$@"'


@contextmanager
def running(
    command: Sequence[object],
    *,
    probe: str,
    folder: Path,
    environ: Mapping[str, str] | None = None,
    up_s: float,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until it is left, or this process ends; its output is ``log`` in its folder.

    Args:
        command: Its words.
        probe: Address that answers with success once it is up.
        folder: The folder that it is started in.
        environ: Further environment variables.
        up_s: Most seconds until it is up.

    Raises:
        AssertionError: It does not come up; the error has what it printed.
    """
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["sh", "-c", _GUARDED, "sh", *(str(word) for word in command)],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), **(environ or {})},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait_for(process, probe, log=log, up_s=up_s)
        yield process
    finally:
        end_group(process)
        assert process.stdin is not None
        process.stdin.close()


def end_group(process: subprocess.Popen[bytes], *, patience_s: float = 5.0) -> None:
    """End a process that leads a group, and all that it started in it.

    Args:
        process: The process.
        patience_s: How long it may take to end by itself, seconds.
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(patience_s)
    end = time.monotonic() + _GONE_S
    # What is left of the group is a signal away from the end; a zombie of ours is waited for.
    while time.monotonic() < end:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            break
        process.poll()
        time.sleep(0.02)
    process.wait(_GONE_S)


def free_port() -> int:
    """Return a port of the loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(process: subprocess.Popen[bytes], probe: str, *, log: Path, up_s: float) -> None:
    end = time.monotonic() + up_s
    while not _answers(probe):
        ended = process.poll() is not None
        if ended or time.monotonic() > end:
            why = "it ended" if ended else f"it was not up after {up_s:g} s"
            raise AssertionError(f"{why}: {log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.05)


def _answers(probe: str) -> bool:
    try:
        return httpx.get(probe, timeout=2.0, trust_env=False).is_success
    except httpx.HTTPError:
        return False
