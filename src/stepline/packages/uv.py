"""Runs of uv, with the settings that people gave pip, and of other commands of a build."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

LIMIT_S = 1800.0
"""How long a command of a build may take, seconds."""

_KILLED = 137
_PIP_SETTINGS = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_TRUSTED_HOST": "UV_INSECURE_HOST",
    "PIP_CERT": "SSL_CERT_FILE",
}
_USER_INFO = re.compile(r"(?<=://)[^\s/@'\"`]+(?=@)")


class CommandFailed(Exception):
    """A command ended with another code than 0.

    Args:
        code: Its exit code.
        output: All that it said, without credentials.
    """

    def __init__(self, code: int, output: str) -> None:
        super().__init__(output)
        self.code = code
        self.output = output


def run_uv(*arguments: str, cwd: Path, environ: Mapping[str, str], keep: Sequence[int] = ()) -> str:
    """Run uv to its end; return what it said.

    Args:
        arguments: Its arguments.
        cwd: Current folder.
        environ: Environment of the platform; pip's settings in it hold for uv too.
        keep: Descriptors that it inherits.

    Raises:
        CommandFailed: It ended with another code than 0.
    """
    import uv

    quiet = ["--quiet", "--no-progress", "--color", "never"]
    command = [str(uv.find_uv_bin()), *arguments, *quiet]
    return run_command(command, cwd=cwd, environ=_uv_environ(environ), keep=keep)


def index_arguments(environ: Mapping[str, str]) -> list[str]:
    """Return the arguments for what only pip has a variable for."""
    return ["--no-index"] if environ.get("PIP_NO_INDEX", "0") not in ("0", "") else []


def mask_credentials(text: str) -> str:
    """Return a text without the users and passwords of the URLs in it."""
    return _USER_INFO.sub("***", text)


def run_command(
    command: Sequence[str],
    *,
    cwd: Path,
    environ: Mapping[str, str],
    keep: Sequence[int] = (),
    limit_s: float = LIMIT_S,
) -> str:
    """Run a command to its end, and end what it left in its process group.

    Args:
        command: Program and arguments.
        cwd: Current folder.
        environ: Its whole environment.
        keep: Descriptors that it inherits.
        limit_s: Seconds after which it is killed.

    Returns:
        What it said.

    Raises:
        CommandFailed: It ended with another code than 0, or was killed for its time.
    """
    import signal
    import subprocess
    import tempfile
    from contextlib import suppress

    late = ""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=keep,
        )
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            code = _KILLED
            late = f"\nit did not end in {limit_s:g} s, and was killed"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        text = mask_credentials(output.read().decode("utf-8", "replace").strip()) + late
    if code:
        raise CommandFailed(code, text)
    return text


def _uv_environ(environ: Mapping[str, str]) -> dict[str, str]:
    known = dict(environ)
    for pip_name, uv_name in _PIP_SETTINGS.items():
        if pip_name in known:
            known.setdefault(uv_name, known[pip_name])
    known.pop("VIRTUAL_ENV", None)
    known.setdefault("UV_NO_CONFIG", "1")
    known["UV_PYTHON_DOWNLOADS"] = "never"
    return known
