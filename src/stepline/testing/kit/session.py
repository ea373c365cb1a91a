"""All that the fixtures of one test share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

from stepline.app.attempt_files import AttemptFiles
from stepline.app.attempt_plans import Place, task_context
from stepline.app.attempt_scope import AttemptScope
from stepline.app.masking import Masker
from stepline.app.task_context import TaskContextService
from stepline.engine import create_workflow
from stepline.errors import UserError
from stepline.model.protocol import Protocol
from stepline.model.values import Json
from stepline.ports.executor import LogLine
from stepline.ports.schemas import SchemaSource
from stepline.testing.in_process import ServicesChannel
from stepline.testing.kit.clock import Clock, Ids
from stepline.testing.kit.files import Files
from stepline.testing.kit.project import Project
from stepline.testing.kit.secrets import Secrets
from stepline.testing.kit.strict import Strictness, strict_answer
from stepline_sdk.context import Context


class Session:
    """Files, secrets and configuration of one test, and a Context over them.

    Args:
        project: The project that the test belongs to.
        folder: Empty folder for what must be on a disk.
        fail: Ends the test with a message.
        ids_folder: Folder of IDS and schemas; None means the project's ``ids``, if any.
    """

    def __init__(
        self,
        project: Project,
        folder: Path,
        *,
        fail: Callable[[str], None],
        ids_folder: Path | None = None,
    ) -> None:
        self.project = project
        self.folder = folder
        self.fail = fail
        self.clock = Clock()
        self.ids = Ids()
        self.masker = Masker()
        self.config: dict[str, Json] = {}
        self.secrets = Secrets(self.masker, self.config)
        self.files = Files(find=project.file, clock=self.clock, ids=self.ids)
        self.strictness = Strictness(self.files, self.secrets)
        self._ids_folder = ids_folder

    @cached_property
    def schemas(self) -> SchemaSource | None:
        """The schemas of the project, if there are any."""
        from stepline.plugins.files_local.schemas import FolderSchemas

        folder = self._ids_folder or self.project.ids_folder
        return FolderSchemas(str(folder)) if folder else None

    @cached_property
    def context(self) -> Context:
        """A Context for calling a function directly; what it writes is visible at once."""
        tmp, scratch = self.folder / "tmp", self.folder / "scratch-context"
        tmp.mkdir(parents=True)
        scratch.mkdir(mode=0o700)
        values = self.context_values(task_slug="test", task_script="private-test/test:v0.0.0")
        self.config.update(values["pipelineConfig"])
        values["pipelineConfig"] = self.config
        attempt = AttemptFiles(self.files.catalog, self.files.store)
        service = TaskContextService(self._scope(values, attempt, scratch))
        channel = ServicesChannel(
            lambda method, params: strict_answer(
                service.answer, self.strictness, method=method, params=params, fail=self.fail
            )
        )
        context = Context(values, channel=channel, scratch_dir=str(scratch), tmp_dir=str(tmp))
        self.files.settle = attempt.commit
        self.files.on_input = lambda: self._set_input(context, values)
        return context

    def context_values(
        self, *, task_slug: str, task_script: str, config: Mapping[str, Json] | None = None
    ) -> dict[str, Any]:
        """Return the values of a Context outside of any protocol."""
        workflow = create_workflow(
            Protocol(steps=()),
            workflow_id=self.ids.new(),
            started_at=self.clock.now(),
            input_file=self.files.input_value(),
            pipeline_id="local",
        )
        values = task_context(
            workflow,
            Place(),
            task_id=self.ids.new(),
            task_slug=task_slug,
            task_script=task_script,
            now=self.clock.now(),
        )
        values["pipelineConfig"] = {**values["pipelineConfig"], **self.config, **(config or {})}
        return values

    def check(self) -> None:
        """End the test if a function asked for what the test did not provide."""
        if self.strictness.problems:
            self.fail("\n".join(self.strictness.problems))

    def _scope(
        self, values: Mapping[str, Any], attempt: AttemptFiles, scratch: Path
    ) -> AttemptScope:
        return AttemptScope(
            values=values,
            files=attempt,
            scratch_dir=str(scratch),
            now=self.clock.now,
            new_id=self.ids.new,
            schemas=self.schemas,
            secrets=self.secrets,
            bucket="local",
        )

    def _set_input(self, context: Context, values: dict[str, Any]) -> None:
        values["inputFile"] = self.files.input_value()
        context.input_file = values["inputFile"]


class ToThePoint:
    """Shows what the author of a test did wrong, and not where the kit found it out."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        __tracebackhide__ = True
        if isinstance(error, UserError):
            for problem in error.problems:
                error.add_note(f"{problem.where}: {problem.message}")
            raise error.with_traceback(None) from error.__cause__


class Printer:
    """Prints what tasks print, to where the test's own output goes, and keeps it.

    Args:
        names: Names of the steps to put before each line; none for a function alone.

    Attributes:
        lines: What each step printed.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = list(names)
        # Now, because a function's own output is redirected here while it runs.
        self._streams: dict[str, TextIO] = {"out": sys.stdout, "err": sys.stderr}
        self._unfinished: dict[str, str] = {}
        self.lines: dict[int, list[str]] = {}

    def take_all(self, step: int, lines: Iterable[LogLine]) -> None:
        """Print several lines."""
        for line in lines:
            self.take(step, line)

    def take(self, step: int, line: LogLine) -> None:
        """Print a line, or a part of one that is not at its end yet."""
        text = self._unfinished.pop(line.stream, "") + line.text
        if not line.ended:
            self._unfinished[line.stream] = text
            return
        self.lines.setdefault(step, []).append(text)
        before = f"{self._names[step]} | " if self._names else ""
        print(f"{before}{text}", file=self._streams[line.stream])

    def name(self, step: int) -> str:
        """Return the name of a step."""
        return self._names[step]

    def note(self, text: str) -> None:
        """Print something about the tasks."""
        print(text, file=self._streams["err"])
