"""The state in SQLite keeps what every state promises, and what is particular to it."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

pytest.register_assert_rewrite("tests.contract.state_suite", "tests.contract.test_file_catalog")

from stepline.bootstrap import Plugins  # noqa: E402
from stepline.errors import PlatformError  # noqa: E402
from tests.contract.state_suite.catalog import *  # noqa: E402, F403
from tests.contract.state_suite.files import *  # noqa: E402, F403
from tests.contract.state_suite.pipelines import *  # noqa: E402, F403
from tests.contract.state_suite.queue import *  # noqa: E402, F403
from tests.contract.state_suite.references import *  # noqa: E402, F403
from tests.contract.state_suite.registry import *  # noqa: E402, F403
from tests.contract.state_suite.search import *  # noqa: E402, F403
from tests.contract.state_suite.workflows import *  # noqa: E402, F403
from tests.contract.state_suite.writing import *  # noqa: E402, F403

# What the child processes below begin with: a state in the folder that they are given.
OPENING = """
import sys, time
from pathlib import Path
from stepline.bootstrap import Plugins
from stepline.errors import PlatformError

folder = Path(sys.argv[1])


def opened():
    return Plugins(folder.parent / "cache", {}).state(f"sqlite:///{folder}/state.db")


def filled(name, characters=100):
    return lambda transaction: transaction.values.set("test", name, value="x" * characters)


def tell(*words):
    print(*words, flush=True)
"""


@pytest.fixture
def open_state(tmp_path):
    """Open the state of the test; an earlier one must be closed. All are closed at the end."""
    opened = []

    def open_state():
        plugins = Plugins(tmp_path / "cache", {})
        opened.append(plugins.state(f"sqlite:///{tmp_path}/state.db"))
        return opened[-1]

    yield open_state
    for each in opened:
        each.close()


@pytest.fixture
def state(open_state):
    """An empty state."""
    return open_state()


@pytest.fixture
def begin(tmp_path):
    """Begin a child process that runs code after `OPENING`; all are ended at the end."""
    begun = []

    def begin(code, *, wrapper=(), folder=tmp_path):
        command = [*wrapper, sys.executable, "-c", OPENING + code, str(folder)]
        begun.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return begun[-1]

    yield begin
    for each in begun:
        each.kill()
        each.communicate(timeout=10)


def names(state):
    with state.read() as view:
        return set(view.values.all("test"))


def test_sqlite_state_that_was_written_outlasts_a_kill(begin, open_state):
    child = begin("state = opened()\nfor n in range(1000): state.write(filled(str(n))); tell(n)")
    told = [child.stdout.readline().strip() for _ in range(200)]
    child.send_signal(signal.SIGKILL)
    told += child.communicate(timeout=10)[0].split()
    # The last line may be cut; the write after it may have been durable without being told.
    assert set(told[:-1]) <= names(open_state())


def test_sqlite_state_killed_within_an_act_has_nothing_of_it(begin, open_state):
    child = begin(
        "state = opened()\n"
        "state.write(filled('before'))\n"
        "state.write(lambda t: (filled('within')(t), tell('begun'), time.sleep(60)))"
    )
    assert child.stdout.readline() == "begun\n"
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    assert names(open_state()) == {"before"}


def test_sqlite_state_in_use_by_another_process_is_refused(begin, open_state, tmp_path):
    child = begin("state = opened()\ntell('open')\ntime.sleep(60)")
    assert child.stdout.readline() == "open\n"
    with pytest.raises(PlatformError) as raised:
        open_state()
    assert raised.value.what == f"the state '{tmp_path}/state.db' is in use by process {child.pid}"
    assert "stop that process" in raised.value.hint
    child.kill()
    child.wait(10)
    assert names(open_state()) == set()


def test_sqlite_state_opened_twice_in_one_process_is_refused(state, open_state):
    with pytest.raises(PlatformError, match=f"in use by process {os.getpid()}"):
        open_state()


def test_sqlite_state_locked_by_a_stranger_says_so_and_goes_on(state, tmp_path):
    stranger = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    assert names(state) == set()  # leaves a connection that only reads in the pool
    with pytest.raises(PlatformError, match="is locked") as raised:
        state.write(lambda transaction: transaction.values.set("test", "a", value=1))
    assert raised.value.retryable
    stranger.execute("ROLLBACK")
    stranger.close()
    state.write(lambda transaction: transaction.values.set("test", "b", value=1))
    assert names(state) == {"b"}


@pytest.mark.parametrize("content", [b"not a database " * 500, b"SQLite format 3\0" + b"x" * 9000])
def test_sqlite_state_that_is_no_database_is_refused(open_state, tmp_path, content):
    (tmp_path / "state.db").write_bytes(content)
    with pytest.raises(PlatformError, match=r"state\.db' (is damaged|cannot be)"):
        open_state()
    assert (tmp_path / "state.db").read_bytes() == content


def test_sqlite_state_that_is_damaged_says_so_when_it_is_used(open_state, tmp_path):
    state = open_state()
    for number in range(200):
        state.write(lambda t, n=number: t.values.set("test", f"{n}", value="x" * 1000))
    state.close()
    whole = (tmp_path / "state.db").read_bytes()
    # The first pages hold the names of the tables; what follows is made unreadable.
    damaged = whole[: 40 * 4096] + b"\xff" * (len(whole) - 40 * 4096)
    (tmp_path / "state.db").write_bytes(damaged)
    with pytest.raises(PlatformError, match="is damaged") as raised:
        names(open_state())
    assert "copy" in raised.value.hint


def test_sqlite_state_over_a_limit_of_file_sizes_fails_writes_and_goes_on(begin, open_state):
    child = begin(
        "import resource\n"
        "state = opened()\n"
        "state.write(filled('before'))\n"
        "limits = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, limits[1]))\n"
        "try: state.write(filled('large', 5_000_000))\n"
        "except PlatformError as error: tell(error.retryable, error.what)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, limits)\n"
        "state.write(filled('after'))\n"
        "state.close()"
    )
    printed = child.communicate(timeout=60)[0]
    assert printed.startswith("True the state '")
    assert "cannot be" in printed
    assert child.returncode == 0
    assert names(open_state()) == {"before", "after"}


MOUNTED = 'mount -t tmpfs -o size=3m none {folder} && exec "$@"'
FULL = """
state = opened()
state.write(filled("before"))
filler = open(folder / "filler", "wb", buffering=0)
try:
    while filler.write(b"x" * 4096) == 4096: pass
except OSError: pass
kept = []
for n in range(100):
    try: state.write(filled(f"{n}", 20_000)); kept.append(f"{n}")
    except PlatformError as error: tell(error.retryable, error.what); break
filler.close()
(folder / "filler").unlink()
state.write(filled("after"))
state.close()
state = opened()
with state.read() as view: assert set(view.values.all("test")) == {"before", "after", *kept}
tell("whole")
"""


@pytest.fixture
def mounting(tmp_path):
    """A wrapper of a command that gives it a small file system of its own; and its folder."""
    folder = tmp_path / "small"
    folder.mkdir()
    if shutil.which("unshare") is None or os.geteuid():
        pytest.skip("only root can mount a small file system")
    return ["unshare", "-m", "sh", "-c", MOUNTED.format(folder=folder), "sh"], folder


def test_sqlite_state_on_a_full_disk_fails_writes_and_goes_on(begin, mounting):
    wrapper, folder = mounting
    child = begin(FULL, wrapper=wrapper, folder=folder)
    first, *rest = child.communicate(timeout=60)[0].splitlines()
    assert (child.returncode, rest) == (0, ["whole"])
    assert first.startswith("True the state '")
    assert "the disk is full" in first


READ_ONLY = """
import subprocess
state = opened()
state.write(filled("before"))
state.close()
subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
try: opened()
except PlatformError as error: tell(error.what)
"""


def test_sqlite_state_on_a_read_only_file_system_is_refused(begin, mounting):
    wrapper, folder = mounting
    child = begin(READ_ONLY, wrapper=wrapper, folder=folder)
    printed = child.communicate(timeout=60)[0]
    assert child.returncode == 0
    assert printed.startswith(f"the state '{folder}/state.db' cannot be opened: Read-only")


def test_sqlite_state_in_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(PlatformError, match="No such file or directory") as raised:
        Plugins(tmp_path / "cache", {}).state(f"sqlite:///{tmp_path}/none/state.db")
    assert "folder" in raised.value.hint


def test_sqlite_state_of_a_newer_version_is_refused(open_state, tmp_path):
    open_state().close()
    with sqlite3.connect(tmp_path / "state.db") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    with pytest.raises(PlatformError, match=r"newer version of Stepline: .* 9999") as raised:
        open_state()
    assert "install" in raised.value.hint


def test_sqlite_state_in_a_database_of_others_is_refused(open_state, tmp_path):
    with sqlite3.connect(tmp_path / "state.db") as raw:
        raw.execute("CREATE TABLE theirs (a)")
    raw.close()
    with pytest.raises(PlatformError, match="not one of Stepline"):
        open_state()


def test_sqlite_state_is_durable_by_its_settings(state, tmp_path):
    connection = state._database.writer()
    with connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_sqlite_state_opens_quickly_without_alembic(begin, open_state):
    open_state().close()
    child = begin(
        "import sqlalchemy\n"
        "from stepline.plugins.state_sql import state\n"
        "start = time.perf_counter()\n"
        "opened()\n"
        "tell(time.perf_counter() - start, 'alembic' in sys.modules)"
    )
    seconds, migrated = child.communicate(timeout=60)[0].split()
    assert float(seconds) < 0.5  # 10 ms on a quiet machine
    assert migrated == "False"


def test_sqlite_state_writes_without_contention_are_quick(state):
    def act(transaction):
        for name in "abc":
            transaction.values.set("test", name, value=1)
            transaction.values.get("test", name)

    took = []
    for _ in range(200):
        start = time.perf_counter()
        state.write(act)
        took.append(time.perf_counter() - start)
    assert sorted(took)[20] < 0.02  # 0.3 ms with a fast disk
