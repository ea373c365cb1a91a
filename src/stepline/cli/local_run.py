"""What ``run`` and ``call`` share: settings, adapters, progress, results and record."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import click

from stepline import settings
from stepline.app.run_local import RunPorts, RunResult
from stepline.app.run_plan import Machine
from stepline.app.workflow_runner import Attempt
from stepline.bootstrap import Plugins
from stepline.cli.home import read_settings_file
from stepline.cli.interrupts import Interrupted, interruptible
from stepline.cli.progress import Progress, make_progress
from stepline.errors import Location, PlatformError, SettingsError, TaskError
from stepline.frozen import frozen
from stepline.model.task import Confinement, Isolation, Network, OutcomeKind
from stepline.model.workflow import Workflow, WorkflowStatus
from stepline.ports.executor import Executor, ExecutorOptions, LogLine
from stepline.ports.lake import LOG_NAME, RECORD_FILES, RECORD_NAME
from stepline.workers.folders import remove_folder

_SHOWN_CHARACTERS = 2000


@frozen(kw_only=True)
class Choices:
    """Options that ``run`` and ``call`` have in common, as typed."""

    out: Path | None
    lake: Path | None
    ids: Path | None
    env: tuple[str, ...]
    executor: str | None
    isolation: str | None
    network: str | None
    fresh: bool
    allow_before_install: bool
    json_output: bool


def common_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `Choices` to a command."""
    folder = click.Path(path_type=Path)
    options = [
        click.option("--out", type=folder, metavar="DIR", help="Folder for the results."),
        click.option("--lake", type=folder, metavar="DIR", help="Folder of further files."),
        click.option("--ids", type=folder, metavar="DIR", help="Folder of IDS and schemas."),
        click.option("--env", multiple=True, metavar="N=V", help="Variable for tasks; recorded."),
        click.option("--executor", metavar="NAME", help="What runs the tasks."),
        click.option(
            "--isolation",
            type=click.Choice([each.value for each in Isolation]),
            help="How tasks are kept apart.",
        ),
        click.option(
            "--network",
            type=click.Choice([each.value for each in Network]),
            help="What tasks may reach; host if not given.",
        ),
        click.option("--fresh", is_flag=True, help="Run each task where nothing else ran."),
        click.option(
            "--allow-before-install",
            is_flag=True,
            help="Let init/before_install run on this machine.",
        ),
        click.option("--json", "json_output", is_flag=True, help="Print the record as JSON."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def parse_pairs(pairs: Iterable[str], *, option: str) -> dict[str, str]:
    """Return ``NAME=VALUE`` words as a mapping.

    Raises:
        SettingsError: A word has no ``=``, or a name comes twice.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise SettingsError(f"{option} {pair} has no '='", hint=f"write {option} NAME=VALUE")
        if name in found:
            raise SettingsError(f"{option} {name} is given twice")
        found[name] = value
    return found


class LocalRun:
    """One call of ``run`` or ``call``: settings read, adapters made on demand.

    Args:
        choices: The options.
        environ: Environment variables of this process.
    """

    def __init__(self, choices: Choices, environ: Mapping[str, str]) -> None:
        self.choices = choices
        self.settings = read_settings_file(environ)
        self.cache_dir = settings.cache_dir(environ)
        self.plugins = Plugins(self.cache_dir, environ, self.settings)
        self.plugins.load_all(self.settings.plugins)
        self.workflow_id = _new_id()
        self.out = choices.out or Path(".stepline", "runs", self.workflow_id)
        self.work = _work_folder(self.out, self.workflow_id)
        self.lake = self.plugins.local_lake(self.work / "files")
        self._ids = iter([self.workflow_id])
        self._keep_work = False
        self._earlier_log: Path | None = None

    @property
    def executor(self) -> str:
        """Name of the executor."""
        return self.choices.executor or self.settings.executor

    @property
    def default_runtime(self) -> str:
        """Python, ``3.N``, for task scripts that name none."""
        own = f"{sys.version_info.major}.{sys.version_info.minor}"
        return self.settings.default_runtime.removeprefix("python") or own

    @property
    def options(self) -> ExecutorOptions:
        """How the executor is to treat tasks."""
        task_env = {**self.settings.task_env, **parse_pairs(self.choices.env, option="--env")}
        return ExecutorOptions(
            task_env=task_env,
            isolation=Isolation(self.choices.isolation or self.settings.isolation),
            allow_before_install=(
                self.choices.allow_before_install or self.settings.allow_before_install
            ),
            tell=lambda text: click.echo(text, err=True),
        )

    @property
    def confinement(self) -> Confinement:
        """Surroundings of the tasks."""
        network = Network(self.choices.network or Network.HOST.value)
        return Confinement(network=network, fresh=self.choices.fresh)

    @property
    def machine(self) -> Machine:
        """What planning needs to know."""
        return Machine(
            cache_dir=self.cache_dir,
            default_runtime=self.default_runtime,
            lake=self.lake,
            executor=self.executor,
            options=self.options,
            confinement=self.confinement,
            warn=lambda text: click.echo(f"warning: {text}", err=True),
        )

    def open_lake(self, *, own_results: bool = False) -> None:
        """Make further files visible, and check that results have a place.

        Args:
            own_results: The run goes on from what is in the results' folder.
        """
        read = [self.choices.lake] if self.choices.lake else []
        self.lake.check_results(self.out, beside=RECORD_FILES, read=read)
        if self.choices.lake:
            self.lake.add_folder(self.choices.lake)
        if own_results:
            self.lake.add_folder(self.out, own=True)
            self._earlier_log = self.out / LOG_NAME

    def ports(self) -> RunPorts:
        """Return the adapters."""
        ids = self.choices.ids
        return RunPorts(
            lake=self.lake,
            executor=self._executor,
            secret_backend=self.plugins.secret_backend,
            schemas=self.plugins.schema_source(ids) if ids else None,
            now=_now,
            clock=time.time,
            sleep=time.sleep,
            new_id=lambda: next(self._ids, None) or _new_id(),
            cache_dir=self.cache_dir,
        )

    def _executor(self, name: str, options: ExecutorOptions) -> Executor:
        return self.plugins.executor(name, replace(options, scratch=str(self.work / "scratch")))

    @contextmanager
    def session(self, names: Sequence[str]) -> Iterator[Progress]:
        """Give a reporter for the run, and clean up after it, interrupted or not.

        Args:
            names: The steps' names, in order.
        """
        with interruptible():
            try:
                with self._open_log() as log, self._progress(names) as progress:
                    yield _Logged(progress, names, log)
            except BrokenPipeError:
                raise Interrupted(signal.SIGPIPE) from None
            finally:
                if not self._keep_work:
                    remove_folder(self.work)

    @contextmanager
    def _progress(self, names: Sequence[str]) -> Iterator[Progress]:
        progress = make_progress(names, json_output=self.choices.json_output)
        try:
            yield progress
        finally:
            with suppress(OSError):  # the terminal may be gone
                progress.close()

    def _open_log(self) -> TextIO:
        try:
            self.lake.work_in(self.work)
            path = self.work / LOG_NAME
            if self._earlier_log and self._earlier_log.is_file():
                path.write_bytes(self._earlier_log.read_bytes())
            return open(path, "a", buffering=1, encoding="utf-8")
        except OSError as error:
            raise PlatformError(
                f"nothing can be written beside {self.out}: {error.strerror}",
                where=Location(str(self.work.parent)),
                hint="name another folder with --out",
            ) from error

    def finish(self, result: RunResult, progress: Progress) -> int:
        """Write results and record, tell observers, print the end; return the exit code."""
        progress.close()
        record_path = self.work / RECORD_NAME
        record_path.write_text(json.dumps(result.record, indent=2) + "\n", encoding="utf-8")
        beside = {RECORD_NAME: record_path, LOG_NAME: self.work / LOG_NAME}
        self._ignore_state()
        count = self._export(result, beside)
        for fault in self.plugins.workflow_finished(result.record):
            click.echo(f"warning: {fault}", err=True)
        self._print_end(result, count)
        return _exit_code(result.workflow)

    def _export(self, result: RunResult, beside: Mapping[str, Path]) -> int:
        """Write the results; where that fails, keep what there is of them."""
        try:
            return self.lake.export(self.out, workflow_id=result.workflow.id, beside=beside)
        except PlatformError as error:
            self._keep_work = True
            self.lake.keep_work(self.work)
            error.hint = f"{error.hint}; all files of the run are kept in {self.work}".lstrip("; ")
            raise

    def _ignore_state(self) -> None:
        """Keep results of runs without ``--out`` out of version control."""
        if self.choices.out is None and not (ignore := Path(".stepline", ".gitignore")).exists():
            ignore.parent.mkdir(exist_ok=True)
            ignore.write_text("*\n", encoding="utf-8")

    def _print_end(self, result: RunResult, count: int) -> None:
        workflow = result.workflow
        if self.choices.json_output:
            click.echo(json.dumps(result.record, indent=2))
            return
        files = f"{count} file{'' if count == 1 else 's'} in {self.out}{os.sep}"
        if workflow.status.value == "completed":
            click.echo(f"completed: {files}")
            click.echo(f"output: {_shown(_json(result.record['output']))}")
            return
        click.echo(f"{workflow.status.value}: {_why(result.record)}", err=True)
        click.echo(f"  {files}; the record is {self.out / RECORD_NAME}", err=True)


class _Logged:
    """Writes every line of output to the workflow's log, and passes all on."""

    def __init__(self, progress: Progress, names: Sequence[str], file: TextIO) -> None:
        self._names = names
        self._file = file
        self.attempt_started = progress.attempt_started
        self.attempt_finished = progress.attempt_finished
        self.retry_scheduled = progress.retry_scheduled
        self.close = progress.close
        self._show = progress.log

    def log(self, attempt: Attempt, line: LogLine) -> None:
        name = f"{self._names[attempt.step]} {attempt.number}"
        text = f"{_iso(line.at)} {name} {line.stream} {line.text}\n"
        self._file.write(text)
        self._show(attempt, line)


def _shown(text: str) -> str:
    if len(text) <= _SHOWN_CHARACTERS:
        return text
    return f"{text[:_SHOWN_CHARACTERS]}... ({len(text)} characters; {RECORD_NAME} has all of it)"


def _why(record: Mapping[str, Any]) -> str:
    """Return a workflow's error; where that is an object for programs, its task's words."""
    if isinstance(record["error"], dict):
        for step in reversed(record["steps"]):
            if step["error"] == record["error"] and step["attempts"]:
                return str(step["attempts"][-1]["message"])
    error = record["error"]
    return _shown(error if isinstance(error, str) else _json(error))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _exit_code(workflow: Workflow) -> int:
    """Return 0 for success, 1 for failure, and 3 where the platform was at fault."""
    if workflow.status is WorkflowStatus.COMPLETED:
        return 0
    ends = [state.outcomes[-1].kind for state in workflow.steps if state.outcomes]
    return PlatformError.exit_code if OutcomeKind.LOST in ends[-1:] else TaskError.exit_code


def _work_folder(out: Path, workflow_id: str) -> Path:
    """Return a folder beside the results, so that files need only be renamed."""
    final = Path(os.path.realpath(out))
    return final.parent / f".{final.name}.work-{workflow_id[:8]}"


def _new_id() -> str:
    import uuid

    return str(uuid.uuid4())


def _now() -> str:
    return _iso(time.time())


def _iso(at: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
    return f"{whole}.{int(at % 1 * 1000):03d}Z"
