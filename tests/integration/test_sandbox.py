"""What the executor ``sandbox`` keeps from tasks, holds them to, and leaves behind."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import pytest

from stepline.errors import PlatformError, SettingsError
from stepline.model.task import Network, OutcomeKind
from stepline.plugins.executor_sandbox import cgroups
from stepline.plugins.executor_sandbox.bubblewrap import find_bubblewrap
from tests.support.executors import Services, process_is_there, wait_until
from tests.support.sandboxes import SandboxBench, cgroup_names

pytestmark = pytest.mark.sandbox

ANYTHING = Path(__file__).parents[1] / "fixtures" / "task-scripts" / "anything"
REPOSITORY = Path(__file__).parents[2]
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def bench(slim_base, tmp_path_factory):
    """An executor whose task script does what a test says."""
    made = SandboxBench(slim_base, tmp_path_factory.mktemp("bench"), code=ANYTHING)
    yield made
    made.executor.close()
    assert made.remains() == []


@pytest.fixture
def plain_bench(slim_base, tmp_path):
    """An executor that may make no cgroups."""
    made = SandboxBench(slim_base, tmp_path, code=ANYTHING, place=cgroups.NOWHERE)
    yield made
    made.executor.close()


def do(bench, code, **limits):
    """Return what lines of code call ``result``, or the error that they raise."""
    outcome = bench.run("do", {"code": textwrap.dedent(code)}, **limits)
    return outcome.value if outcome.succeeded else outcome.message


def host_pids(bench):
    """Return the processes of this machine that are a worker's in a sandbox."""
    code = "import os; result = os.readlink('/proc/self/ns/pid')"
    namespace = do(bench, code)
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(folder / "ns" / "pid") == namespace:
                found.append(int(folder.name))
        except OSError:
            continue
    return sorted(found)


# What a task may do.


def test_sandbox_task_is_the_user_of_tasks_without_privileges(bench):
    told = do(bench, "result = open('/proc/self/status').read()")
    fields = dict(line.split(":\t", 1) for line in told.splitlines())
    assert fields["Uid"].split() == fields["Gid"].split() == ["10001"] * 4
    assert fields["NoNewPrivs"] == "1"
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[name], 16) == 0, name
    assert fields["Groups"].split() in ([], ["65534"])


def test_sandbox_root_is_that_of_the_image_and_cannot_be_written_to(bench):
    code = """
    import errno, os
    result = {}
    for path in ("/x", "/etc/x", "/opt/stepline/script/x", "/opt/stepline/sdk/x", "/dev/x"):
        try:
            open(path, "w")
        except OSError as error:
            result[path] = errno.errorcode[error.errno]
    result["top"] = os.listdir("/")
    """
    result = do(bench, code)
    top = result.pop("top")
    assert set(result.values()) <= {"EROFS", "EACCES"}
    assert len(result) == 5
    assert "usr" in top
    assert not (set(os.listdir("/")) & {"work", "root"}) & set(top) - {"root"}


def test_sandbox_sees_no_processes_but_its_own(bench):
    pids = do(bench, "import os; result = [p for p in os.listdir('/proc') if p.isdigit()]")
    assert len(pids) < 12


def test_sandbox_mounting_is_refused(bench):
    code = """
    import ctypes, os
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)
    result = [done, os.strerror(ctypes.get_errno())]
    """
    assert do(bench, code) == [-1, "Operation not permitted"]


NETWORK = """
import os, socket
result = {"interfaces": sorted(name for _, name in socket.if_nameindex())}
try:
    socket.create_connection(("127.0.0.1", %d), timeout=5)
    result["connected"] = True
except OSError as error:
    result["connected"] = error.strerror
try:
    socket.create_connection(("192.0.2.1", 80), timeout=0.2)
except OSError as error:
    result["out"] = error.strerror or "timed out"
result["local"] = socket.gethostbyname("localhost")
"""


def test_sandbox_network_none_has_only_itself(bench):
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = do(bench, NETWORK % server.getsockname()[1], network=Network.NONE)
    assert found["interfaces"] == ["lo"]
    assert found["connected"] == "Connection refused"
    assert found["out"] == "Network is unreachable"
    assert found["local"] == "127.0.0.1"


def test_sandbox_network_host_is_that_of_the_machine(bench):
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = do(bench, NETWORK % server.getsockname()[1], network=Network.HOST)
    assert found["interfaces"] == sorted(name for _, name in socket.if_nameindex())
    assert found["connected"] is True


# Limits.


def test_sandbox_network_bridge_is_refused(bench):
    with pytest.raises(SettingsError) as raised:
        do(bench, "", network=Network.BRIDGE)
    assert raised.value.what == "the executor 'sandbox' cannot hold the limit: network 'bridge'"
    assert "'docker'" in raised.value.hint


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm", "."])
def test_sandbox_temporary_space_is_held(bench, folder):
    code = f"""
    with open("{folder}/large", "wb", buffering=0) as file:
        for _ in range(32):
            file.write(bytes({MIB}))
    """
    assert "No space left on device" in do(bench, code, tmp_bytes=16 * MIB)
    assert do(bench, "import os; result = os.path.exists('./large')", tmp_bytes=16 * MIB) is False


def test_sandbox_task_that_fills_memory_with_files_is_told_that_they_count(bench):
    need_controller("memory")
    code = f"""
    for name in "ab":
        with open("/tmp/" + name, "wb", buffering=0) as file:
            for _ in range(60):
                file.write(bytes({MIB}))
    result = bytearray(60 * {MIB})
    """
    said = do(bench, code, memory_mb=128)
    assert "its 128 MiB, in which its files in /tmp and /dev/shm count" in said


FORKS = """
import os, time
children = []
try:
    for _ in range(100):
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
        children.append(child)
except OSError as error:
    result = [len(children), error.strerror]
"""


def need_controller(name):
    """Skip where no cgroup of a controller can be made."""
    if name not in cgroups.find_place().holds:
        pytest.skip(f"this user may make no cgroups of the controller {name}")


def test_sandbox_number_of_processes_is_held(bench):
    need_controller("pids")
    count, why = do(bench, FORKS, pids=20)
    # Of the copies that wait for the next tasks, some may not be there yet.
    assert 16 <= count <= 22
    assert why == "Resource temporarily unavailable"


def test_sandbox_processors_are_held(bench):
    need_controller("cpu")
    code = """
    import time
    begin, used = time.monotonic(), time.process_time()
    while time.process_time() - used < 0.5:
        pass
    result = time.monotonic() - begin
    """
    assert do(bench, code, cpus=0.25) > 1.5


def test_sandbox_whole_that_is_out_of_memory_says_so(bench):
    need_controller("memory")
    # So many, and so small, that the kernel may end the worker rather than one of them.
    forks = "echo 0 > /proc/self/oom_score_adj; while true; do sleep 60 & done"
    code = f"import os; os.execv('/bin/sh', ['sh', '-c', {forks!r}])"
    outcome = bench.run("do", {"code": code}, memory_mb=64, timeout_s=30)
    assert outcome.kind is OutcomeKind.OUT_OF_MEMORY


@pytest.mark.parametrize(
    ("limits", "words"), [({"pids": 5}, "pids"), ({"pids": 5, "cpus": 1.0}, "pids, cpus")]
)
def test_sandbox_limit_that_takes_cgroups_is_refused_without(plain_bench, limits, words):
    with pytest.raises(SettingsError) as raised:
        do(plain_bench, "", **limits)
    assert raised.value.what == f"the executor 'sandbox' cannot hold the limit: {words}"
    assert "as root" in raised.value.hint
    assert "'docker'" in raised.value.hint


# What there is for tasks.


def test_sandbox_is_warm_unless_a_fresh_one_is_asked_for(bench):
    code = "import os; result = os.readlink('/proc/self/ns/pid')"
    assert len({do(bench, code) for _ in range(3)}) == 1
    assert len({do(bench, code, fresh=True) for _ in range(3)}) == 3


def test_sandbox_scratch_folder_is_empty_for_each_task(bench):
    code = """
    import os
    result = os.listdir("/run/stepline-task/scratch")
    os.makedirs("/run/stepline-task/scratch/a/b")
    open("/run/stepline-task/scratch/a/b/c", "w").close()
    os.chmod("/run/stepline-task/scratch/a", 0)
    """
    assert [do(bench, code) for _ in range(2)] == [[], []]


def test_sandbox_outlives_the_thread_that_started_it(bench):
    code = "import os; result = os.readlink('/proc/self/ns/pid')"
    found = []
    # Nobody else asks for so long a time, so there is none yet.
    thread = threading.Thread(target=lambda: found.append(do(bench, code, tmp_bytes=9 * MIB)))
    thread.start()
    thread.join()
    time.sleep(0.2)
    assert do(bench, code, tmp_bytes=9 * MIB) == found[0]


def test_sandbox_image_that_was_removed_meanwhile_is_made_again(slim_base, tmp_path):
    code = tmp_path / "code"
    code.mkdir()
    (code / "main.py").write_text("def f(input, context):\n    return 7\n")
    (tmp_path / "bench").mkdir()
    bench = SandboxBench(slim_base, tmp_path / "bench", code=code)
    image = bench.executor.prepare(bench.version("main.f"))
    slim_base.remove(image)
    assert bench.run("main.f").value == 7
    assert bench.executor.prepare(bench.version("main.f")) == image
    bench.executor.close()
    slim_base.remove(image)


# The end.


def test_sandbox_worker_that_is_killed_loses_its_task(bench):
    services = Services()
    pids = []

    def kill():
        assert services.has_line.wait(30)
        worker = next(pid for pid in pids if b"worker/start.py" in command_of(pid))
        os.kill(worker, signal.SIGKILL)

    pids += host_pids(bench)
    thread = threading.Thread(target=kill)
    thread.start()
    code = "import time; print('asleep', flush=True); time.sleep(60)"
    outcome = bench.run("do", {"code": code}, services=services)
    thread.join()
    assert outcome.kind is OutcomeKind.LOST
    assert wait_until(lambda: not any(map(process_is_there, pids)), seconds=3)
    assert do(bench, "result = 1") == 1


PLATFORM = """
import os, sys
sys.path[:0] = {paths}
from pathlib import Path
from stepline.bootstrap import Plugins
from stepline.settings import Settings
from tests.support.executors import Services
from tests.support.sandboxes import SandboxBench
images = Plugins(Path("{folder}/cache"), os.environ, Settings(images_dir="{images}")).images()
bench = SandboxBench(images, Path("{folder}"), code=Path("{code}"))
print(os.getpid(), flush=True)
class Telling(Services):
    def log(self, lines):
        print(lines[0].text, flush=True)
lines = "import os, time; print(os.readlink('/proc/self/ns/pid'), flush=True)" + {then!r}
bench.run("do", {{"code": lines}}, services=Telling())
"""
STOPS_ITS_WORKER = """
import signal
time.sleep(0.5)  # until what was printed is known
for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
    if b"worker/start.py" in open(f"/proc/{pid}/cmdline", "rb").read() and pid < os.getppid():
        os.kill(pid, signal.SIGSTOP)
"""


@pytest.mark.parametrize("then", ["", STOPS_ITS_WORKER], ids=["plain", "worker that is stopped"])
def test_sandbox_platform_that_is_killed_leaves_nothing(bench, slim_base, images_dir, then):
    with tempfile.TemporaryDirectory(prefix="hs-", dir="/tmp") as folder:
        script = PLATFORM.format(
            paths=[str(REPOSITORY / "src"), str(REPOSITORY)],
            folder=folder,
            images=images_dir,
            code=ANYTHING,
            then=f"\n{then}\ntime.sleep(60)",
        )
        platform = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
        pid, namespace = (platform.stdout.readline().decode().strip() for _ in range(2))
        assert processes_in(namespace)
        time.sleep(1 if then else 0.1)
        platform.kill()
        platform.wait()
        platform.stdout.close()
        assert wait_until(lambda: not processes_in(namespace), seconds=5)
        time.sleep(1)
        cgroups.remove_forsaken(cgroups.find_place())
        assert not [name for name in cgroup_names() if f"stepline-sandbox-{pid}-" in name]


def processes_in(namespace):
    """Return the processes of a namespace."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(folder / "ns" / "pid") == namespace:
                found.append(folder.name)
        except OSError:
            continue
    return found


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


# Where there are no sandboxes.


def test_sandbox_without_bubblewrap_says_what_to_install(tmp_path):
    with pytest.raises(PlatformError) as raised:
        find_bubblewrap({"PATH": str(tmp_path)})
    assert raised.value.what == (
        "the executor 'sandbox' needs bubblewrap, which is not on this machine"
    )
    assert raised.value.hint == "apt-get install bubblewrap"


def test_sandbox_bubblewrap_that_is_too_old_is_named(tmp_path):
    bwrap = tmp_path / "bwrap"
    bwrap.write_text("#!/bin/sh\necho bubblewrap 0.4.1\n")
    bwrap.chmod(0o755)
    with pytest.raises(PlatformError, match=r"is bubblewrap 0\.4, which is too old") as raised:
        find_bubblewrap({"PATH": str(tmp_path)})
    assert raised.value.hint == "install 0.5 or newer"
