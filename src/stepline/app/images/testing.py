"""The tests of a task script: inside its very image, or on the developer's Python."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from stepline.app.images.holding import hold
from stepline.app.images.kit import find_kit
from stepline.app.images.outcomes import FAILED, NO_TESTS, PASSED, Outcome, Outcomes
from stepline.app.images.services import own_name, read_services, started
from stepline.app.images.suites import TESTED_IMAGE, Suite, find_suite
from stepline.errors import PlatformError, SettingsError, UserError
from stepline.frozen import frozen
from stepline.model.image import Image
from stepline.model.task import Limits, Network
from stepline.ports.engine import Container, ContainerEngine, ContainerSpec, Credential
from stepline.ports.executor import ScriptVersion
from stepline.ports.images import Images
from stepline.workers.following import follow_until

LIMIT_S = 3600.0
"""How long tests inside an image may take, seconds."""

_HOME = "/tmp/stepline"
_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"
# More than tests take, and less than what brings down a machine.
_LIMITS = Limits(
    memory_mb=8 * 1024, timeout_s=None, pids=4096, tmp_bytes=4 * 1024**3, network=Network.NONE
)
# Files are opened as ./func/..., from the folder above the task script's.
_SHELL = (
    f"mkdir -p {_HOME} && cd {_HOME} && ln -s {{code}} func && "
    "if command -v bash >/dev/null; then exec bash; else exec sh; fi"
)


@frozen(kw_only=True)
class Workbench:
    """What trying out images takes.

    Attributes:
        images: Images of this machine.
        engine: Returns the container engine.
        credential: Returns what the registry of a reference asks for; None for nothing.
        outcomes: Takes what came of tests.
        cache_dir: Folder for what may be kept between runs.
        environ: Environment of the platform.
        task_env: Environment variables that tasks get.
        now: Returns the time, ISO 8601, UTC.
        tell: Told what is going on.
    """

    images: Images
    engine: Callable[[], ContainerEngine]
    credential: Callable[[str], Credential | None]
    outcomes: Outcomes
    cache_dir: Path
    environ: Mapping[str, str]
    task_env: Mapping[str, str]
    now: Callable[[], str]
    tell: Callable[[str], None]


@frozen(kw_only=True)
class Choice:
    """Which tests are run, and how.

    Attributes:
        only: Expression that names of tests must match; empty for all tests.
        debugger: Stop in a debugger where one fails, on this process's terminal.
        show: Takes each line that they print.
    """

    only: str = ""
    debugger: bool = False
    show: Callable[[str], None]

    @property
    def arguments(self) -> list[str]:
        """What is added to the command of pytest."""
        return [*(["-k", self.only] if self.only else ()), *(["--pdb"] if self.debugger else ())]


def test_in_image(version: ScriptVersion, choice: Choice, *, folder: Path, bench: Workbench) -> int:
    """Run the tests of a task script inside its image; return pytest's exit code.

    All of its tests, run without a debugger, are what is recorded of the image.

    Args:
        version: The task script.
        choice: Which tests.
        folder: Where its author has it, maybe in a project.
        bench: What it takes.

    Raises:
        UserError: A service beside them does not start, or they do not end in an hour.
        PlatformError: The engine fails, or pytest cannot be had.
    """
    image = bench.images.build(version, tell=bench.tell)
    engine, owner = bench.engine(), own_name()
    hold(image, images=bench.images, engine=engine)
    kit = find_kit(image.runtime, cache_dir=bench.cache_dir, environ=bench.environ, tell=bench.tell)
    suite = find_suite(folder)
    services = read_services(suite.folder)
    where = f"inside the image {image.id}, Python {image.runtime}"
    with started(
        services, engine, owner=owner, credential=bench.credential, tell=bench.tell
    ) as running:
        choice.show(f"testing {where}")
        arguments = [*choice.arguments, *suite.arguments]
        spec = ContainerSpec(
            image=image.id,
            command=kit.command(image.python, arguments, inside=True),
            owner=owner,
            environ={**_environ(bench.task_env), TESTED_IMAGE: image.id},
            mounts=[*kit.mounts, *suite.mounts(version.folder)],
            limits=_LIMITS,
            folder=suite.inside(image.code),
            terminal=choice.debugger,
            followed=not choice.debugger,
            network=running.network,
        )
        code = run_to_its_end(engine, spec, show=choice.show)
    if not choice.only and not choice.debugger:
        bench.outcomes.add(
            Outcome(image=image.id, at=bench.now(), exit_code=code, services=running.images)
        )
    _conclude(code, where, suite=suite, show=choice.show)
    return code


def test_on_machine(folder: Path, choice: Choice, *, bench: Workbench) -> int:
    """Run the tests of a task script on the developer's Python; return pytest's exit code.

    Raises:
        SettingsError: There is no such Python.
        PlatformError: pytest cannot be had.
    """
    python = find_python(bench.environ)
    runtime = _version_of(python)
    kit = find_kit(runtime, cache_dir=bench.cache_dir, environ=bench.environ, tell=bench.tell)
    where = f"on this machine, {python}, Python {runtime}, not inside an image"
    choice.show(f"testing {where}")
    environ = {**bench.environ, **bench.task_env, "PYTHONDONTWRITEBYTECODE": "1"}
    suite = find_suite(folder)
    command = kit.command(python, [*choice.arguments, *suite.arguments], inside=False)
    done = subprocess.run(command, cwd=suite.folder, env=environ, check=False)
    _conclude(done.returncode, where, suite=suite, show=choice.show)
    return done.returncode


def _conclude(code: int, where: str, *, suite: Suite, show: Callable[[str], None]) -> None:
    """Say where tests ran, if they did."""
    if code in (PASSED, FAILED):
        show(f"tested {where}")
    elif code == NO_TESTS:
        show(f"nothing was tested: no such test in a file test_*.py of {suite.places}")
    else:
        show(f"the tests did not all run: pytest ended with {code}")


def open_shell(version: ScriptVersion, *, folder: Path, bench: Workbench) -> int:
    """Open a shell in a task script's image, as a task sees it; return its exit code."""
    image = bench.images.build(version, tell=bench.tell)
    engine, owner = bench.engine(), own_name()
    hold(image, images=bench.images, engine=engine)
    services = read_services(find_suite(folder).folder)
    with started(
        services, engine, owner=owner, credential=bench.credential, tell=bench.tell
    ) as running:
        bench.tell(f"a shell inside the image {image.id}; its files cannot be changed")
        return run_to_its_end(engine, shell_container(image, bench, network=running.network))


def shell_container(image: Image, bench: Workbench, *, network: str = "") -> ContainerSpec:
    """Return the container of a shell: with the files, user and variables of tasks."""
    return ContainerSpec(
        image=image.id,
        command=["sh", "-c", _SHELL.format(code=image.code)],
        owner=own_name(),
        environ=_environ(bench.task_env),
        limits=_LIMITS,
        terminal=True,
        network=network,
    )


def find_python(environ: Mapping[str, str]) -> str:
    """Return the developer's Python: of the active environment, else the first on PATH.

    Raises:
        SettingsError: There is none.
    """
    own = environ.get("VIRTUAL_ENV", "")
    found = os.path.join(own, "bin", "python") if own else ""
    if not os.access(found, os.X_OK):
        found = shutil.which("python3", path=environ.get("PATH")) or ""
    if not found:
        raise SettingsError("there is no python3 on PATH", hint="activate an environment")
    return found


def _environ(task_env: Mapping[str, str]) -> dict[str, str]:
    return {"HOME": _HOME, "TMPDIR": "/tmp", **task_env}


def run_to_its_end(
    engine: ContainerEngine,
    spec: ContainerSpec,
    *,
    show: Callable[[str], None] = lambda line: None,
    limit_s: float = LIMIT_S,
) -> int:
    """Run a container to its end, which comes with ours at the latest.

    Args:
        engine: The engine.
        spec: The container; one without a terminal is followed.
        show: Takes each line that it prints.
        limit_s: Seconds after which one without a terminal is killed.

    Returns:
        Its exit code.

    Raises:
        UserError: It was killed for its time.
        PlatformError: The engine fails.
    """
    container: Container = engine.start(spec)
    try:
        if spec.terminal:
            container.interact(0, 1)
            ended = container.wait()
        else:
            ended = follow_until(container, limit_s, tell=show)
    finally:
        container.remove()
    if ended is not None:
        return ended.exit_code
    if spec.terminal:
        raise PlatformError(f"the container {container.id} has no end", retryable=True)
    raise UserError(
        f"the tests did not end in {limit_s:g} s and were killed",
        hint="the last line that they printed tells which one did not end",
    )


def _version_of(python: str) -> str:
    command: Sequence[str] = [python, "-c", _VERSION]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise SettingsError(f"{python} does not run: {error}") from error
    return done.stdout.strip()
