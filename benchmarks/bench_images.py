"""Images and containers: what a task costs in a container, and what a build costs.

Needs a container engine (DOCKER_HOST) and, for base images, mmdebstrap as root; says so and
measures nothing where they are missing. STEPLINE_IMAGES_DIR keeps bases between runs.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.harness import Recorder, compare
from stepline.bootstrap import Plugins
from stepline.errors import SteplineError
from stepline.model.image import BaseVariant, Image
from stepline.model.task import Limits, Network, TaskRequest
from stepline.model.task_script import Function, TaskScript
from stepline.packages.requirements import REQUIREMENTS
from stepline.ports.executor import Executor, ExecutorOptions, LogLine, ScriptVersion
from stepline.settings import Settings

RUNTIME = "3.11"
SUITE = "bookworm"
TASKS = 200
FRESH_RUNS = 5
MAIN = "def count(input, context):\n    return {'number': input['number']}\n"
ORDINARY = "requests\npydantic\nnumpy<2\npandas<2.3\nboto3\n"
CLASSIC = """FROM {base}
USER 0
COPY requirements.txt ca.crt /
ENV PIP_CERT=/ca.crt SSL_CERT_FILE=/ca.crt
RUN pip install --no-cache-dir -r /requirements.txt
"""
MIB = 1024 * 1024


class Services:
    """A platform that a task asks for nothing."""

    def call(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Refuse to be asked."""
        raise AssertionError(f"a task called {method} with {params}")

    def log(self, lines: Sequence[LogLine]) -> None:
        """Take no output."""

    def started(self, at: float) -> None:
        """Do nothing."""


def run(recorder: Recorder) -> None:
    """Measure images and containers."""
    with tempfile.TemporaryDirectory(prefix="stepline-bench-") as scratch:
        folder = Path(scratch)
        plugins = make_plugins(folder)
        try:
            plugins.engine().check()
            need_bases(plugins)
        except SteplineError as error:
            print(f"images are not measured: {error}", file=sys.stderr)
            return
        tasks(recorder, plugins, folder)
        builds(recorder, plugins, folder)


def images_folder(folder: Path) -> Path:
    """Return STEPLINE_IMAGES_DIR, or a folder of the benchmark's own."""
    return Path(os.environ.get("STEPLINE_IMAGES_DIR") or folder / "images")


def make_plugins(folder: Path) -> Plugins:
    """Return plugins with these images."""
    settings = Settings(images_dir=str(images_folder(folder)))
    return Plugins(folder / "cache", os.environ, settings)


def need_bases(plugins: Plugins) -> None:
    """Have both bases made, unless they are there."""
    images = plugins.images()
    for variant in BaseVariant:
        if not any(b.variant is variant and b.image.runtime == RUNTIME for b in images.bases()):
            images.build_base(SUITE, variant, tell=lambda line: None)


def script(folder: Path, name: str, *, main: str = MAIN, requirements: str = "") -> ScriptVersion:
    """Return a version of a task script with one function, written to a folder."""
    code = folder / name
    code.mkdir(exist_ok=True)
    (code / "main.py").write_text(main)
    (code / REQUIREMENTS).write_text(requirements)
    (code / "config.json").write_text(json.dumps({"language": "python", "functions": []}))
    model = TaskScript((Function("count", "main.count"),))
    digest = f"sha256:{os.urandom(32).hex()}"
    return ScriptVersion(f"private-bench/{name}:v1.0.0", digest, str(code), model, RUNTIME)


# Tasks.


def tasks(recorder: Recorder, plugins: Plugins, folder: Path) -> None:
    """Measure warm and fresh containers against a fork and ``docker run --rm``."""
    version = script(folder, "counting")
    limits = Limits(network=Network.NONE, timeout_s=60.0)
    with ExitStack() as stack:
        docker = stack.enter_context(executor(plugins, "docker", folder))
        process = stack.enter_context(executor(plugins, "process", folder))
        image = docker.prepare(version)
        warm = compare(
            lambda: many(docker, version, limits),
            lambda: many(process, version, replace(limits, network=Network.HOST)),
            runs=5,
        )
        recorder.record("task in a warm container / by fork in a process", warm, bar=3.0)
        cold = compare(
            lambda: many(docker, version, limits) / TASKS * 20, lambda: plain(image), runs=5
        )
        recorder.record("20 tasks in a warm container / docker run --rm", cold, bar=1.0)
        alone = replace(limits, fresh=True)
        fresh = compare(lambda: one(docker, version, alone), lambda: plain(image), runs=FRESH_RUNS)
        recorder.record("task in a fresh container / docker run --rm", fresh, bar=1.3)
        one(docker, version, limits)
        recorder.record_limit(
            "idle warm container: memory / 30 MB", [idle_bytes(plugins)], limit=30e6
        )


@contextmanager
def executor(plugins: Plugins, name: str, folder: Path) -> Iterator[Executor]:
    """Give an executor."""
    made = plugins.executor(name, ExecutorOptions(scratch=str(folder / f"scratch-{name}")))
    try:
        yield made
    finally:
        made.close()


def many(executor: Executor, version: ScriptVersion, limits: Limits) -> float:
    """Run tasks one after the other; return the seconds."""
    begin = time.perf_counter()
    for number in range(TASKS):
        attempt(executor, version, limits, number)
    return time.perf_counter() - begin


def one(executor: Executor, version: ScriptVersion, limits: Limits) -> float:
    """Run one task; return the seconds."""
    begin = time.perf_counter()
    attempt(executor, version, limits, 1)
    return time.perf_counter() - begin


def attempt(executor: Executor, version: ScriptVersion, limits: Limits, number: int) -> None:
    """Run one task and verify it."""
    request = TaskRequest(
        task_id=f"task-{os.urandom(8).hex()}",
        attempt=1,
        function="count",
        input={"number": number},
        context={"pipelineConfig": {}},
        limits=limits,
    )
    with executor.seat(version, limits) as seat:
        outcome = seat.run(request, services=Services())
    if outcome.value != {"number": number}:
        raise AssertionError(f"a task ended with {outcome}")


def plain(image: str) -> float:
    """Run a Python that does nothing with the engine's own command; return the seconds."""
    begin = time.perf_counter()
    command = ["/usr/bin/docker", "run", "--rm", "--network", "none", image, "python3", "-c", ""]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return time.perf_counter() - begin


def idle_bytes(plugins: Plugins) -> int:
    """Return what our largest running container uses of memory."""
    found = [0]
    for container in plugins.engine().containers():
        command = ["/usr/bin/docker", "stats", "--no-stream", "--format", "{{.MemUsage}}"]
        done = subprocess.run(
            [*command, container.id], check=True, capture_output=True, text=True, timeout=60
        )
        found.append(in_bytes(done.stdout.split()[0]))
    return max(found)


def in_bytes(text: str) -> int:
    """Return the bytes that the engine's own command means."""
    units = {"GiB": 1024 * MIB, "MiB": MIB, "KiB": 1024, "B": 1}
    unit = next(unit for unit in units if text.endswith(unit))
    return int(float(text.removesuffix(unit)) * units[unit])


# Builds.


def builds(recorder: Recorder, plugins: Plugins, folder: Path) -> None:
    """Measure builds against their limits, and against a Dockerfile with pip."""
    images = plugins.images()
    bases = folder / "bases"
    shutil.copytree(images_folder(folder), bases, copy_function=os.link)
    empty = built(plugins, script(folder, "empty"))[1]
    recorder.record_limit("image without requirements / 70 MB", [empty.size], limit=70e6)
    again, unchanged = [], []
    for number in range(5):
        changed = script(folder, "changing", main=f"{MAIN}# {number}\n", requirements="six==1.17.0")
        again.append(built(plugins, changed)[0])
        unchanged.append(built(plugins, changed)[0])
    recorder.record_limit("rebuild after a change of main.py / 0.5 s", again[1:], limit=0.5)
    recorder.record_limit("build of what has not changed / 0.1 s", unchanged, limit=0.1)
    base = images.base(RUNTIME, BaseVariant.HOOK, tell=lambda line: None).image
    found = compare(
        lambda: cold_build(bases, folder), lambda: classic_build(plugins, base, folder), runs=1
    )
    recorder.record("five requirements, cold / classic Dockerfile with pip", found, bar=0.5)
    pushes(recorder, plugins, folder)


def built(plugins: Plugins, version: ScriptVersion) -> tuple[float, Image]:
    """Build an image and have the engine hold it; return the seconds, and the image."""
    images, engine = plugins.images(), plugins.engine()
    begin = time.perf_counter()
    image = images.build(version, tell=lambda line: None)
    if engine.image(image.id) is None:
        load(plugins, image)
    return time.perf_counter() - begin, image


def load(plugins: Plugins, image: Image) -> None:
    """Have the engine hold an image."""
    images = plugins.images()
    plugins.engine().load(
        [layer.digest for layer in image.layers],
        lambda file, without: images.write_archive(image, file, without=without),
    )


def cold_build(bases: Path, folder: Path) -> float:
    """Build the ordinary requirements where no lock and no layer is kept, index cache warm."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        shutil.copytree(bases, f"{scratch}/images", copy_function=os.link)
        own = Plugins(Path(scratch, "cache"), os.environ, Settings(images_dir=f"{scratch}/images"))
        return built(own, script(Path(scratch), "ordinary", requirements=ORDINARY))[0]


def classic_build(plugins: Plugins, base: Image, folder: Path) -> float:
    """Build the same with pip in a Dockerfile and the engine's classic builder."""
    context = folder / "classic"
    context.mkdir(exist_ok=True)
    (context / "requirements.txt").write_text(ORDINARY)
    authorities = os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt"
    shutil.copy(authorities, context / "ca.crt")
    if plugins.engine().image(base.id) is None:
        load(plugins, base)
    (context / "Dockerfile").write_text(CLASSIC.format(base=base.id))
    command = ["/usr/bin/docker", "build", "--network", "host", "--no-cache", "-q", str(context)]
    begin = time.perf_counter()
    environ = {**os.environ, "DOCKER_BUILDKIT": "0"}
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=600, env=environ
    )
    if done.returncode:
        raise RuntimeError(f"the Dockerfile cannot be built: {done.stderr[-2000:]}")
    return time.perf_counter() - begin


# Pushes.


def pushes(recorder: Recorder, plugins: Plugins, folder: Path) -> None:
    """Measure what a push sends after a change of code."""
    address = os.environ.get("STEPLINE_TEST_REGISTRY")
    if not address:
        print("pushes are not measured: STEPLINE_TEST_REGISTRY names no registry", file=sys.stderr)
        return
    engine, sent = plugins.engine(), []
    for number in range(2):
        changed = script(folder, "pushed", main=f"{MAIN}# {time.time_ns()}\n")
        _, image = built(plugins, changed)
        with counting_proxy(address) as (port, count):
            engine.push(image.id, f"127.0.0.1:{port}/bench/pushed:v{number}", credential=None)
        sent.append(count())
    recorder.record_limit("push after a change of code / 1 MB", sent[1:], limit=1e6)


@contextmanager
def counting_proxy(address: str) -> Iterator[tuple[int, Callable[[], int]]]:
    """Give a port that leads to an address, and what tells how many bytes were sent there."""
    host, _, port = address.rpartition(":")
    counts: list[int] = []

    def forward(source: socket.socket, target: socket.socket, counted: bool) -> None:
        while data := receive(source):
            if counted:
                counts.append(len(data))
            target.sendall(data)
        try:
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other way has closed it

    def serve() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection((host, int(port)))
            for way in ((near, far, True), (far, near, False)):
                threading.Thread(target=forward, args=way, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1], lambda: sum(counts)
        listener.shutdown(socket.SHUT_RDWR)


def receive(source: socket.socket) -> bytes:
    """Return the next bytes; none at the end."""
    try:
        return source.recv(65536)
    except OSError:
        return b""
