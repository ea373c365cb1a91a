"""What the executor ``docker`` promises besides the contract of all executors."""

import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path

import pytest

from stepline.bootstrap import Plugins
from stepline.errors import PlatformError
from stepline.model.task import Network, OutcomeKind
from stepline.ports.engine import ContainerSpec
from stepline.workers import owners, scratch, worker
from tests.support.containers import DockerBench
from tests.support.daemons import own_daemon
from tests.support.engines import engine_environ
from tests.support.executors import Services, wait_until

pytestmark = pytest.mark.docker

MIB = 1024 * 1024
ROOT = Path(__file__).parents[2]
MAIN = """
import os
import signal
import socket
import time


def echo(input, context):
    return input


def sleep(input, context):
    print("asleep", flush=True)
    time.sleep(60)


def reach_out(input, context):
    try:
        socket.create_connection(("127.0.0.1", input["port"]), 2)
        reached = True
    except OSError:
        reached = False
    links = os.listdir("/sys/class/net")
    return {"reached": reached, "links": links, "answer": context.search_eql({})}


def fork_many(input, context):
    pids = []
    try:
        for _ in range(50):
            pid = os.fork()
            if pid == 0:
                time.sleep(60)
            pids.append(pid)
    except OSError:
        pass
    return len(pids)


def fill(input, context):
    path = os.path.join(input.get("folder", os.environ["TMPDIR"]), "full")
    try:
        with open(path, "wb") as file:
            for _ in range(input.get("times", 1)):
                file.write(bytes(input["bytes"]))
    except OSError as error:
        return error.strerror


def cpu_quota(input, context):
    if os.path.exists("/sys/fs/cgroup/cpu.max"):
        quota, period = open("/sys/fs/cgroup/cpu.max").read().split()
    else:
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        quota, period = (open("/sys/fs/cgroup/cpu/" + name).read() for name in names)
    return None if quota.strip() in ("max", "-1") else int(quota) / int(period)


def stop_worker(input, context):
    with open("/proc/%d/stat" % os.getppid()) as file:
        worker = int(file.read().rpartition(")")[2].split()[1])
    os.kill(worker, signal.SIGSTOP)
    time.sleep(60)


def keep_secret(input, context):
    value = context.search_eql({})
    print("ready", flush=True)
    time.sleep(input["seconds"])
    return len(value)


def user(input, context):
    path = os.path.join(context._scratch_dir, "from-task")
    with open(path, "w") as file:
        file.write("mine")
    with open("/proc/self/status") as file:
        status = dict(line.rstrip().split(":\\t", 1) for line in file if ":\\t" in line)
    wanted = ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp")
    return {"ids": [os.getuid(), os.getgid()], **{name: status[name] for name in wanted}}
"""


@pytest.fixture
def code(tmp_path):
    """A task script."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "main.py").write_text(MAIN)
    return folder


@pytest.fixture
def make_bench(engine, slim_base, tmp_path, code):
    """Return a maker of benches; nothing of them remains."""
    made = []

    def make(**choices):
        folder = tmp_path / f"bench-{len(made)}"
        folder.mkdir()
        made.append(DockerBench(engine, slim_base, folder, code=code, **choices))
        return made[-1]

    yield make
    for bench in made:
        bench.executor.close()
        assert bench.remains() == []


@pytest.fixture
def bench(make_bench):
    """An executor ``docker``."""
    return make_bench()


def in_thread(bench, function, value=None, **choices):
    """Begin a run; return its thread and the list that its outcome comes into."""
    outcomes = []
    services = Services()
    thread = threading.Thread(
        target=lambda: outcomes.append(bench.run(function, value, services=services, **choices))
    )
    thread.start()
    assert services.has_line.wait(30)
    return thread, outcomes


def test_docker_executor_tasks_of_equal_limits_share_a_container(bench):
    for _ in range(3):
        assert bench.run("echo", 1).succeeded
    assert len(bench.engine.started) == 1
    assert bench.run("echo", 1, memory_mb=300).succeeded
    assert bench.run("echo", 1, network=Network.NONE).succeeded
    assert len(bench.engine.started) == 3


def test_docker_executor_fresh_task_has_a_container_that_goes_with_it(bench):
    assert bench.run("echo", 1).succeeded
    assert bench.run("echo", 1, fresh=True).succeeded
    assert len(bench.engine.started) == 2
    assert bench.engine.started[1].id not in bench.remains()


@pytest.mark.parametrize(("network", "reached"), [(Network.NONE, False), (Network.HOST, True)])
def test_docker_executor_network_is_as_asked_and_the_context_works(bench, network, reached):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        value = {"port": server.getsockname()[1]}
        services = Services(lambda method, params: "answer")
        seen = bench.run("reach_out", value, services=services, network=network).value
    assert (seen["reached"], seen["answer"]) == (reached, "answer")
    assert (seen["links"] == ["lo"]) is not reached


def test_docker_executor_holds_the_number_of_processes(bench):
    assert 0 < bench.run("fork_many", pids=10).value <= 15
    assert bench.run("fork_many").value == 50


def test_docker_executor_holds_temporary_space(bench):
    words = "No space left on device"
    assert bench.run("fill", {"bytes": 8 * MIB}, tmp_bytes=4 * MIB).value == words
    assert bench.run("fill", {"bytes": 8 * MIB}, tmp_bytes=16 * MIB).value == {}


def test_docker_executor_task_that_fills_memory_with_files_is_out_of_memory(bench):
    value = {"bytes": 64 * MIB, "times": 4}
    assert bench.run("fill", value, memory_mb=128).value == {}  # on the disk
    outcome = bench.run("fill", {**value, "folder": "/tmp"}, memory_mb=128)
    assert outcome.kind is OutcomeKind.OUT_OF_MEMORY
    assert "its 128 MiB, in which its files in /tmp and /dev/shm count" in outcome.message
    assert bench.run("echo", 1, memory_mb=128).value == 1
    assert len(bench.engine.started) == 1


def test_docker_executor_holds_the_share_of_processors(bench):
    assert bench.run("cpu_quota", cpus=0.5).value == 0.5
    assert bench.run("cpu_quota").value == {}


def test_docker_executor_task_has_no_privileges(bench):
    seen = bench.run("user").value
    assert seen.pop("ids") == [10001, 10001]
    nothing = "0" * 16
    assert seen == {"CapEff": nothing, "CapBnd": nothing, "NoNewPrivs": "1", "Seccomp": "2"}


def test_docker_executor_worker_that_does_not_answer_has_its_container_killed(bench, monkeypatch):
    monkeypatch.setattr(worker, "_GRACE_SECONDS", 1.0)
    outcome = bench.run("stop_worker", timeout_s=1)
    assert outcome.kind is OutcomeKind.TIMED_OUT
    assert "its worker did not answer" in outcome.message
    assert bench.engine.started[0].id not in bench.remains()
    assert bench.run("echo", 1).succeeded


def test_docker_executor_idle_container_is_removed(make_bench):
    bench = make_bench(idle_s=0.2)
    assert bench.run("echo", 1).succeeded
    assert wait_until(lambda: bench.remains() == [])
    assert bench.run("echo", 1).succeeded


def test_docker_executor_idle_container_takes_at_most_30_mb(bench):
    from docker import APIClient

    for number in range(50):
        assert bench.run("echo", number).succeeded
    client = APIClient(base_url=engine_environ().get("DOCKER_HOST"))
    try:
        told = client.stats(bench.engine.started[0].id, stream=False)["memory_stats"]
    finally:
        client.close()
    assert 1_000_000 < told["usage"] <= 30_000_000


def test_docker_executor_image_that_was_removed_meanwhile_is_loaded_again(bench, engine):
    image = bench.executor.prepare(bench.version("main.echo"))
    assert bench.run("echo", 1, fresh=True).succeeded
    engine.remove_image(image)
    assert engine.image(image) is None
    assert bench.run("echo", 2, fresh=True).value == 2
    assert bench.executor.prepare(bench.version("main.echo")) == image


def test_docker_executor_scratch_that_cannot_be_emptied_is_not_used_again(bench, monkeypatch):
    monkeypatch.setattr(scratch, "empty_folder", lambda folder: None)
    assert bench.run("user").succeeded
    assert bench.run("echo", 1).succeeded
    assert len(bench.engine.started) == 2


def test_docker_executor_secret_is_in_no_place_where_others_look(bench, engine, slim_base):
    secret = f"secret-{os.urandom(12).hex()}"
    from docker import APIClient

    services = Services(lambda method, params: secret)
    thread = threading.Thread(
        target=bench.run, args=("keep_secret", {"seconds": 2}), kwargs={"services": services}
    )
    thread.start()
    assert services.has_line.wait(30)
    client = APIClient(base_url=engine_environ().get("DOCKER_HOST"))
    try:
        shown = json.dumps(client.inspect_container(bench.engine.started[0].id))
    finally:
        client.close()
    seen = [shown.encode()]
    for name in ("cmdline", "environ"):
        seen += [read(path) for path in Path("/proc").glob(f"[0-9]*/{name}")]
    thread.join()
    assert b"worker.sock" in b"".join(seen)
    assert secret.encode() not in b"".join(seen)
    build = slim_base.get(bench.executor.prepare(bench.version("main.keep_secret")))
    layers = [slim_base.layer(layer).read_bytes() for layer in build.image.layers]
    assert not any(secret.encode() in layer for layer in layers)


def read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


PLATFORM = """
import os, sys
from pathlib import Path
from stepline.bootstrap import Plugins
from stepline.settings import Settings
from tests.support.containers import DockerBench
plugins = Plugins(Path(sys.argv[1]), os.environ, Settings(images_dir=sys.argv[2]))
folder = Path(sys.argv[3])
bench = DockerBench(plugins.engine(), plugins.images(), folder, code=Path(sys.argv[4]))
class Telling:
    def log(self, lines): print("line", flush=True)
    def started(self, at): pass
    def call(self, method, params): return {"value": None}
version = bench.version("main.sleep")
with bench.executor.seat(version, bench.limits) as seat:
    seat.run(bench.request("main.sleep"), services=Telling())
"""


def test_docker_executor_orphans_of_a_platform_that_was_killed_are_removed(
    engine, slim_base, images_dir, make_bench, tmp_path, code
):
    (tmp_path / "killed").mkdir()
    words = [tmp_path / "cache", images_dir, tmp_path / "killed", code]
    platform = subprocess.Popen(
        [sys.executable, "-c", PLATFORM, *map(str, words)],
        cwd=ROOT,
        env={**engine_environ(), "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"},
        stdout=subprocess.PIPE,
    )
    with platform:
        assert platform.stdout.readline() == b"line\n"
        (orphan,) = [each for each in engine.containers() if f":{platform.pid}:" in each.owner]
        make_bench().executor.close()
        assert orphan.wait(timeout_s=0) is None  # its platform lives
        platform.kill()
    make_bench().executor.close()
    assert orphan.id not in [each.id for each in engine.containers()]


@pytest.mark.parametrize("kind", [owners.TASKS, owners.BUILDS])
def test_docker_executor_removes_orphans_of_tasks_and_of_builds(make_bench, engine, kind):
    bench = make_bench()
    image = bench.executor.prepare(bench.version("main.echo"))
    owner = ":".join([*owners.own_name(kind).split(":")[:-2], "999999999", "1"])
    orphan = engine.start(ContainerSpec(image=image, command=["sleep", "60"], owner=owner))
    make_bench().executor.close()
    assert orphan.id not in [each.id for each in engine.containers()]


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        (lambda parts: parts, False),
        (lambda parts: [*parts[:-1], "1"], True),
        (lambda parts: [*parts[:-2], "999999999", "1"], True),
        (lambda parts: [*parts[:4], "another-boot", *parts[5:]], True),
        (lambda parts: [parts[0], "another-machine", *parts[2:-1], "1"], False),
        (lambda parts: [*parts[:3], "4321", *parts[4:-1], "1"], False),
        (lambda parts: ["images", "x"], False),
        (lambda parts: [], False),
    ],
    ids=["own", "pid again", "no pid", "boot", "machine", "user", "other kind", "empty"],
)
def test_owner_that_is_gone_is_told_from_those_that_nothing_is_known_of(change, gone):
    changed = ":".join(change(owners.own_name(owners.TASKS).split(":")))
    assert owners.is_orphaned(changed, kind=owners.TASKS) is gone


@pytest.fixture
def as_somebody():
    """Return a way to have something done, in a copy of this process, as another user."""
    if os.geteuid():
        pytest.skip("only root can become somebody else")
    environ = engine_environ()
    host = environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")

    def act(uid, do):
        reading, writing = os.pipe()
        if (pid := os.fork()) == 0:
            try:
                os.setgroups([os.stat(host.removeprefix("unix://")).st_gid])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
                os.umask(0o077)
                os.write(writing, json.dumps(do()).encode())
            except BaseException:  # noqa: BLE001  (the parent tells it)
                os.write(writing, json.dumps(traceback.format_exc()).encode())
            finally:
                os._exit(0)
        os.close(writing)
        os.waitpid(pid, 0)
        with open(reading) as file:
            return json.load(file)

    return act


@pytest.fixture
def open_folder(code):
    """A folder that is not pytest's, whose folders are root's alone, with the task script."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        shutil.copytree(code, folder / "code")
        yield folder


@pytest.mark.parametrize("uid", [0, 4321], ids=["root", "user"])
def test_docker_executor_tasks_are_the_platforms_user_unless_that_is_root(
    bench, slim_base, open_folder, as_somebody, uid
):
    image = slim_base.build(bench.version("main.user"), tell=print)
    long = "x" * 5_000_000
    assert bench.run("echo", long).value == long  # and so all is imported

    class Made:
        def build(self, version, *, tell, renew=False):
            return image

    def act():
        engine = Plugins(open_folder / "cache", engine_environ()).engine()
        own = DockerBench(engine, Made(), open_folder, code=open_folder / "code")
        echoed = own.run("echo", long).value == long
        ids = own.run("user").value["ids"]
        own.executor.close()
        return [ids, echoed, own.remains()]

    assert as_somebody(uid, act) == [[uid or 10001] * 2, True, []]


@pytest.fixture
def daemon(tmp_path_factory):
    """A daemon that the test may kill."""
    with own_daemon(tmp_path_factory.mktemp("dk")) as daemon:
        yield daemon


@pytest.mark.slow
# docker-py leaves sockets open that it could not connect.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("way", ["restart", "kill"])
def test_docker_executor_survives_its_daemon(daemon, slim_base, tmp_path, code, way):
    folder = tmp_path / "bench"
    folder.mkdir()
    engine = Plugins(tmp_path / "cache", {**os.environ, "DOCKER_HOST": daemon.host}).engine()
    lose_daemon(DockerBench(engine, slim_base, folder, code=code), daemon, way)
    engine.close()
    gc.collect()


def lose_daemon(bench, daemon, way):
    thread, outcomes = in_thread(bench, "sleep")
    if way == "restart":
        daemon.restart()
    else:
        daemon.kill()
        with pytest.raises(PlatformError) as raised:
            bench.run("echo", 1, fresh=True)
        assert raised.value.retryable
        daemon.start()
    thread.join(30)
    assert outcomes[0].kind is OutcomeKind.LOST
    assert bench.run("echo", 2).value == 2
    bench.executor.close()
    assert bench.remains() == []
