"""Nothing of an image runs as root in a sandbox, also what runs before its worker."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from stepline.plugins.executor_sandbox import lowered
from tests.support.executors import wait_until
from tests.support.sandboxes import SandboxBench, need_bubblewrap
from tests.support.wheels import make_wheel

pytestmark = pytest.mark.sandbox

REPOSITORY = Path(__file__).parents[2]

# What an interpreter runs at its very start, where a package brings it as a .pth file.
EARLY = """
import os, sys
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
found = {"user": os.getresuid() + os.getresgid(), "capabilities": int(status["CapEff"], 16)}
for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/etc/passwd"):
    try:
        os.close(os.open(path, os.O_WRONLY))
        found[path] = "opened"
    except OSError as error:
        found[path] = "refused"
found["namespace"] = os.readlink("/proc/self/ns/pid")
found["sys"] = [line.split()[3] for line in open("/proc/mounts") if " /proc/sys " in line]
sys.found_early = found
"""


@pytest.fixture(scope="module")
def found(slim_base, tmp_path_factory):
    """What code of a package found that ran before the worker did."""
    code, folder = tmp_path_factory.mktemp("code"), tmp_path_factory.mktemp("bench")
    (code / "dependencies").mkdir()
    wheel = make_wheel(code / "dependencies", "early", source=EARLY)
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("early.pth", "import early\n")
    (code / "requirements.txt").write_text("--no-index\n--find-links dependencies\nearly\n")
    (code / "main.py").write_text(
        "import sys\n\n\ndef f(input, context):\n    return sys.found_early\n"
    )
    bench = SandboxBench(slim_base, folder, code=code)
    told = bench.run("main.f").value
    yield {**told, "outside": users_in(told["namespace"])}
    bench.executor.close()


def users_in(namespace):
    """Return the users, as this machine has them, of all processes in a namespace."""
    users = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(folder / "ns" / "pid") == namespace:
                users.add(folder.stat().st_uid)
        except OSError:
            continue
    return users


def test_sandbox_code_before_the_worker_is_the_user_of_tasks(found):
    assert found["user"] == [10001] * 6
    assert found["capabilities"] == 0
    assert found["outside"] == {os.geteuid() or 10001}


def test_sandbox_code_before_the_worker_cannot_change_the_kernel(found):
    refused = {name: answer for name, answer in found.items() if name.startswith("/")}
    assert len(refused) == 3
    assert set(refused.values()) == {"refused"}
    assert all(options.split(",")[0] == "ro" for options in found["sys"])
    assert found["sys"]


FINDS = """
import os, sys
sys.path[:0] = {paths}
from stepline.plugins.executor_sandbox.bubblewrap import find_bubblewrap
try:
    find_bubblewrap(os.environ)
except Exception as error:
    print(error.what); print(error.hint)
"""


def refusal(*outer):
    """Return what a platform says in which there can be no sandboxes, and its hint."""
    paths = [str(REPOSITORY / "src"), *filter(None, sys.path)]
    command = [*outer, sys.executable, "-c", FINDS.format(paths=paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be kept from being another user")
def test_sandbox_of_root_where_nobody_else_is_there_is_refused():
    need_bubblewrap()
    what, hint = refusal("bwrap", "--unshare-user", "--dev-bind", "/", "/")
    assert what == "there is no user 10001 here for tasks to be, and they are never root"
    assert "as an ordinary user" in hint


def test_sandbox_of_a_user_who_may_make_no_namespaces_says_what_to_set():
    """No user namespace may be made below one that allows none."""
    need_bubblewrap()
    outer = ["bwrap", "--unshare-user", "--uid", "1000", "--disable-userns"]
    what, hint = refusal(*outer, "--dev-bind", "/", "/")
    assert what.startswith("bubblewrap may not make sandboxes here: bwrap: ")
    assert "user.max_user_namespaces" in hint


@pytest.fixture
def namespace():
    """A user namespace with the same users as here, but where none may make another."""
    holder = subprocess.Popen(["unshare", "--user", "sleep", "60"])
    own = os.readlink("/proc/self/ns/user")
    assert wait_until(lambda: os.readlink(f"/proc/{holder.pid}/ns/user") != own, seconds=5)
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{holder.pid}/{name}").write_text("0 0 65536")
    entered = ["nsenter", "--user", "--target", str(holder.pid)]
    forbid = "echo 0 > /proc/sys/user/max_user_namespaces"
    subprocess.run([*entered, "sh", "-c", forbid], check=True)
    yield entered
    holder.kill()
    holder.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a namespace several users")
def test_sandbox_of_root_whose_users_may_make_no_namespaces_is_refused(namespace):
    need_bubblewrap()
    what, hint = refusal(*namespace)
    assert what.startswith("bubblewrap may not make sandboxes here: bwrap: ")
    assert "user.max_user_namespaces" in hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_lowered_program_is_another_user_and_reads_what_is_closed_to_it(tmp_path):
    closed = tmp_path / "closed"
    (closed / "source").mkdir(parents=True)
    (closed / "source" / "name").write_text("held")
    closed.chmod(0o700)
    script = f"id -u; id -g; id -G; cat {lowered.STAGE}/0/name; ls {closed}"
    python = [sys.executable, "-I", "-S", lowered.__file__]
    done = subprocess.run(
        [*python, "10001", "10001", str(closed / "source"), "--", "/bin/sh", "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "10001\n10001\n10001\nheld"
    assert "Permission denied" in done.stderr
    assert os.path.ismount(f"{lowered.STAGE}/0") is False


def test_sandbox_variables_of_tasks_are_in_no_command(slim_base, tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "main.py").write_text(
        "import os\n\n\ndef f(input, context):\n"
        "    commands = b''\n"
        "    for name in filter(str.isdigit, os.listdir('/proc')):\n"
        "        commands += open(f'/proc/{name}/cmdline', 'rb').read()\n"
        "    return [os.environ['WORD'], 'hush-0815' in commands.decode()]\n"
    )
    (tmp_path / "bench").mkdir()
    given = {"WORD": "hush-0815"}
    bench = SandboxBench(slim_base, tmp_path / "bench", code=tmp_path / "code", task_env=given)
    told = bench.run("main.f").value
    bench.executor.close()
    assert told == ["hush-0815", False]
