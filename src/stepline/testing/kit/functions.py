"""Running one function of a task script in a test."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

from stepline.app.attempts import AttemptPlan, AttemptRecord, Platform, Secrecy, run_attempt
from stepline.errors import TaskError
from stepline.model.task import Limits
from stepline.model.values import Json
from stepline.ports.executor import ScriptVersion
from stepline.testing.in_process import InProcessExecutor
from stepline.testing.kit.files import FileWord
from stepline.testing.kit.project import Script
from stepline.testing.kit.script_import import importable
from stepline.testing.kit.session import Printer, Session, ToThePoint
from stepline.testing.kit.strict import StrictExecutor


class RunFunction:
    """Runs a function of the project's task script, in the test's own process.

    Args:
        session: What the fixtures of the test share.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(
        self,
        function: str | Callable[..., Any],
        input: Any = None,
        *,
        files: Mapping[str, FileWord] | None = None,
        config: Mapping[str, Json] | None = None,
        env: Mapping[str, str] | None = None,
        task_script: str | Path | None = None,
    ) -> Any:
        """Run a function and return its output, as later steps of a protocol would see it.

        What it wrote is in ``files.written``, unless it raised.

        Args:
            function: Slug of the function in config.json, or the function itself.
            input: The function's input, JSON.
            files: Files of the project, or pointers; their pointers are put into the
                input by name.
            config: Values for ``context.pipeline_config``.
            env: Environment variables besides the test's own.
            task_script: Folder of the task script, where several have such a function.

        Raises:
            Exception: Whatever the function raised.
            TaskError: It returned what is not JSON, or lost a conditional write.
            ArtifactNotFound: There is no such function.
        """
        __tracebackhide__ = True
        session = self._session
        with ToThePoint():
            if callable(function):
                function = session.project.slug(function, task_script)
            local = session.project.script(task_script, function)
            pointers = {name: session.files.find(file) for name, file in (files or {}).items()}
            variables = {**session.project.settings.task_env, **(env or {})}
        value = _plain(_with_pointers(input, pointers))
        session.files.settle()
        plan = self._plan(local, function, value=value, config=config or {})
        executor = InProcessExecutor(session.folder / "functions", task_env=variables)
        record = self._attempt(plan, executor)
        session.check()
        if executor.raised is not None:
            raise executor.raised
        if not record.outcome.succeeded:
            raise TaskError(f"{function}: {record.outcome.message}")
        return record.outcome.value

    def _plan(
        self, local: Script, function: str, *, value: Json, config: Mapping[str, Json]
    ) -> AttemptPlan:
        version = script_version(local, self._session.project.default_runtime)
        context = self._session.context_values(
            task_slug=function, task_script=version.name, config=config
        )
        return AttemptPlan(
            version=version,
            function=function,
            task_id=context["taskId"],
            attempt=1,
            input=value,
            context=_plain(context),
            limits=Limits(),
        )

    def _attempt(self, plan: AttemptPlan, executor: InProcessExecutor) -> AttemptRecord:
        session, printer = self._session, Printer()
        platform = Platform(
            executor=StrictExecutor(executor, session.strictness, fail=session.fail),
            catalog=session.files.catalog,
            store=session.files.store,
            schemas=session.schemas,
            now=session.clock.now,
            new_id=session.ids.new,
        )
        return run_attempt(
            plan,
            platform,
            secrecy=Secrecy(session.secrets, session.masker),
            log=lambda lines: printer.take_all(0, lines),
            keep=lambda _, changes: platform.catalog.commit(changes),
        )


class ScriptModule:
    """Imports modules of task scripts for the length of a test, to call or patch them.

    Args:
        session: What the fixtures of the test share.
        stack: Closed at the end of the test.
    """

    def __init__(self, session: Session, stack: ExitStack) -> None:
        self._session = session
        self._stack = stack
        self._entered: set[Path] = set()

    def __call__(self, name: str, *, task_script: str | Path | None = None) -> ModuleType:
        """Return a module; functions that run in this test use this very module.

        Args:
            name: The module's name, such as ``main``.
            task_script: Folder of the task script, where the project has several.
        """
        import importlib

        folder = self._session.project.script(task_script).folder
        if folder not in self._entered:
            self._stack.enter_context(importable(folder))
            self._entered.add(folder)
        return importlib.import_module(name)


def script_version(local: Script, default_runtime: str) -> ScriptVersion:
    """Return a task script as it lies in its folder, for running it in this process."""
    return ScriptVersion(
        name=local.name,
        digest=f"folder:{local.folder}",
        folder=str(local.folder),
        script=local.script,
        runtime=local.script.runtime or default_runtime,
    )


def _with_pointers(value: Any, pointers: Mapping[str, Json]) -> Any:
    if not pointers:
        return value
    if not isinstance(value, dict | None):
        raise TypeError(f"with files= the input must be an object, not {value!r}")
    return {**(value or {}), **pointers}


def _plain(value: Any) -> Any:
    """Return a value as it arrives in a task.

    Raises:
        TypeError, ValueError: It is not JSON.
    """
    return json.loads(json.dumps(value, allow_nan=False))
