"""The lock of a state whose process was killed."""

import os
import subprocess
import sys
import time

import pytest

from stepline.errors import PlatformError
from stepline.plugins.state_sql import sqlite
from stepline.plugins.state_sql.sqlite import SqliteDatabase

# Dies in the middle of starting a process, which holds the lock a while longer.
KILLED = """
import os, sys, time
from stepline.plugins.state_sql.sqlite import SqliteDatabase

database = SqliteDatabase(sys.argv[1])
if os.fork() == 0:
    os.close(1)
    time.sleep(float(sys.argv[2]))
os._exit(0)
"""


def be_killed(path, *, held_s):
    """Have a process use a state and die, and something hold its lock for some seconds more."""
    words = [sys.executable, "-c", KILLED, path, str(held_s)]
    subprocess.run(words, check=True, stdout=subprocess.PIPE)


def test_lock_of_a_killed_process_is_waited_for(tmp_path):
    path = str(tmp_path / "state.db")
    be_killed(path, held_s=0.4)
    SqliteDatabase(path).close()


def test_lock_that_is_never_let_go_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "_LET_GO_S", 0.05)
    path = str(tmp_path / "state.db")
    be_killed(path, held_s=1.5)
    with pytest.raises(PlatformError, match="is in use by process"):
        SqliteDatabase(path)


def test_lock_of_a_living_process_is_refused_at_once(tmp_path):
    first = SqliteDatabase(str(tmp_path / "state.db"))
    begun = time.monotonic()
    with pytest.raises(PlatformError, match=f"is in use by process {os.getpid()}"):
        SqliteDatabase(str(tmp_path / "state.db"))
    assert time.monotonic() - begun < 0.5
    first.close()
