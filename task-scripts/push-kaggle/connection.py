"""The way to Kaggle's client, and a plain word about how each call went."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import stepline_sdk
from stepline_sdk.push import Refused, TryAgain

PYTHON = sys.executable
CALL_S = 120.0
"""Seconds that an answer may take, uploads and downloads aside."""

SLOWEST_RATE = 50_000
"""Bytes a second; a slower upload or download is given up."""

_CLIENT = Path(__file__).with_name("client.py")
_SENT = "sent"
"""File in the client's home that is there once something was sent that may make a version."""

# The folder that holds the SDK may be full of other packages, which the client is not to get.
_BEGIN = """
import runpy, sys
sys.path.insert(0, sys.argv[1])
import stepline_sdk.push
sys.path.remove(sys.argv[1])
runpy.run_path(sys.argv[2], run_name="__main__")
"""
_TOKEN = "KGAT_"
"""How access tokens begin; the older keys are hexadecimal and belong to a user name."""


class Missing(Refused):
    """What was asked for is not there, or cannot be seen."""


class Connection:
    """Kaggle's client, running for the length of a ``with`` block.

    Args:
        username: Kaggle user name; may be empty for an access token.
        key: The key that belongs to it, or an access token.

    Raises:
        ValueError: There is a key, and no user name.
    """

    def __init__(self, username: str, key: str) -> None:
        is_token = key.startswith(_TOKEN) or not username
        self._credentials = (
            {"KAGGLE_API_TOKEN": key}
            if is_token
            else {"KAGGLE_USERNAME": username, "KAGGLE_KEY": key}
        )
        self._username = username
        self._process: subprocess.Popen[str] | None = None
        self._home = ""

    def __enter__(self) -> Connection:
        self._home = tempfile.mkdtemp(prefix="kaggle-")
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def home(self) -> str:
        """Return the folder that is there for as long as the connection is."""
        return self._home

    @property
    def username(self) -> str:
        """Return the user's name, which the service knows where it was not given.

        Raises:
            Refused: The service does not accept the credentials.
        """
        if not self._username:
            self._username = str(self.ask("sign_in"))
        return self._username

    def ask(self, call: str, *arguments: Any, size: int = 0) -> Any:
        """Return the answer to a call.

        Args:
            call: Name of a method of the client's `Calls`.
            *arguments: What it takes; JSON.
            size: Bytes that are sent or fetched on the way.

        Raises:
            Missing: What was asked for is not there.
            Refused: The service or its client says no.
            TryAgain: There is no answer, or the service is busy. It is clear where nothing was
                sent that may have made a version.
        """
        answer = self._exchange(
            {"call": call, "arguments": arguments}, within_s=CALL_S + size / SLOWEST_RATE
        )
        if "error" in answer:
            raise _told(answer["error"])
        return answer["value"]

    def find(self, call: str, *arguments: Any) -> Any:
        """Return the answer to a call; None where what was asked for is not there."""
        try:
            return self.ask(call, *arguments)
        except Missing:
            return None

    def _exchange(self, asked: dict[str, Any], *, within_s: float) -> dict[str, Any]:
        if self._process is None:
            self._process = self._start()
        sent = Path(self._home, _SENT)
        sent.unlink(missing_ok=True)
        # Handed over by the pipe, so that they are in no environment but the client's own.
        asked = {**asked, "env": self._credentials}
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            ready, _, _ = select.select([process.stdout], [], [], within_s)
            line = process.stdout.readline() if ready else ""
        except BrokenPipeError:
            ready, line = [process.stdout], ""
        if line:
            return dict(json.loads(line))
        self._end()
        words = "Kaggle's client ended without an answer"
        if not ready:
            words = f"no answer from Kaggle within {within_s:g} s"
        raise TryAgain(words, clear=not sent.exists())

    def _start(self) -> subprocess.Popen[str]:
        kept = {name: text for name, text in os.environ.items() if not name.startswith("KAGGLE_")}
        if "KAGGLE_API_ENVIRONMENT" in os.environ:
            kept["KAGGLE_API_ENVIRONMENT"] = os.environ["KAGGLE_API_ENVIRONMENT"]
        own = {
            "HOME": self._home,
            "TMPDIR": self._home,
            "KAGGLE_CONFIG_DIR": f"{self._home}/config",
        }
        sdk = Path(stepline_sdk.__file__).parents[1]
        return subprocess.Popen(
            [PYTHON, "-c", _BEGIN, str(sdk), str(_CLIENT), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**kept, **own},
            cwd=self._home,
        )

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                _close(stream)


def _close(stream: Any) -> None:
    try:
        stream.close()
    except BrokenPipeError:
        pass  # it was killed with something still on its way


def _told(error: dict[str, Any]) -> Exception:
    words, status = error["words"], error["status"]
    if error["kind"] == "missing":
        return Missing(f"Kaggle says: {words}")
    if error["kind"] == "again":
        return TryAgain(f"Kaggle says: {words}", error["after_s"], clear=error["clear"])
    if status == 401:
        return Refused(f"Kaggle does not accept the credentials: {words}")
    return Refused(f"Kaggle says: {words}")
