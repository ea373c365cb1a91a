"""Builds: from an archive in the store to a published version, or to a log that says why not."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from stepline.app.artifact_contents import ArtifactContents, protocol_file
from stepline.app.build_log import BuildLog
from stepline.app.import_check import check_imports
from stepline.app.load import CONFIG_FILE, MANIFEST_FILE, load_manifest, load_protocol
from stepline.app.project_layout import PROTOCOL_FILES
from stepline.app.published import check_published, resolve_task
from stepline.app.validate import validate_paths
from stepline.errors import Location, PlatformError, Problem, UserError
from stepline.model.artifact import Artifact, ArtifactKind, ArtifactName, Build, BuildStatus
from stepline.model.protocol import TaskReference
from stepline.model.task_script import Manifest, TaskScript
from stepline.ports.executor import Executor
from stepline.ports.state import State, Transaction

_TYPES = {
    ArtifactKind.TASK_SCRIPT: ("task-script",),
    ArtifactKind.PROTOCOL: ("protocol", "master-script"),
}


class BuildRefused(UserError):
    """What was uploaded cannot be published; the log has the reasons."""


class Builder:
    """Builds one artifact at a time; several threads may use it.

    Args:
        state: Knows the builds and what is published.
        contents: Has what they hold.
        executor: Prepares environments and imports functions.
        now: Returns the time, ISO 8601 in UTC.
    """

    def __init__(
        self,
        state: State,
        contents: ArtifactContents,
        *,
        executor: Executor,
        now: Callable[[], str],
    ) -> None:
        self._state = state
        self._contents = contents
        self._executor = executor
        self._now = now

    def build(self, build: Build, *, stopping: Callable[[], bool] = lambda: False) -> Build:
        """Build and publish, or fail with the reasons in the log.

        Args:
            build: A build in progress; also one that another process has begun.
            stopping: Tells whether the service is about to end. What then fails for want
                of the platform stays in progress, for the next start.

        Returns:
            The build at its end.

        Raises:
            PlatformError: The state cannot be written, or the service ends.
        """
        log = BuildLog(self._state, build.id, now=self._now)
        log.say(f"building {build.name}")
        try:
            digest = self._check(build, log)
        except UserError as error:
            return self._fail(build, log, error)
        except PlatformError as error:
            if stopping():
                raise
            return self._fail(build, log, error)
        except Exception as error:  # noqa: BLE001  (a fault of ours must not leave it in progress)
            return self._fail(build, log, PlatformError(f"{type(error).__name__}: {error}"))
        return self._publish(build, digest, log)

    def _check(self, build: Build, log: BuildLog) -> str:
        digest, folder = self._contents.of_archive(build.archive)
        log.hidden = str(folder)
        self._check_identity(build.name, folder, log)
        if build.name.kind is ArtifactKind.TASK_SCRIPT:
            self._check_task_script(build, digest, folder=folder, log=log)
        else:
            self._check_protocol(folder, log)
        return digest

    def _check_identity(self, name: ArtifactName, folder: Path, log: BuildLog) -> None:
        """Refuse a manifest of something else; the name of the upload holds."""
        path = folder / MANIFEST_FILE
        if not path.is_file():
            return
        parsed = load_manifest(path, self._contents.cache_dir)
        if name.kind is ArtifactKind.PROTOCOL:
            _refuse_errors(log, parsed.problems)
        if parsed.value is None:
            return
        types = _TYPES[name.kind]
        if parsed.value.kind not in types:
            what = f"the manifest has the type {parsed.value.kind!r}, and this is a {types[0]}"
            hint = f'write "type": "{types[0]}"'
            _refuse_errors(log, [Problem("wrong-kind", what, parsed.locate("type"), hint)])
        for key, said, holds in _differences(parsed.value, name):
            what = f"the {key} is {said!r} here and {holds!r} in the upload, which holds"
            problem = Problem("other-identity", what, parsed.locate(key), severity="warning")
            log.problems([problem])

    def _check_task_script(self, build: Build, digest: str, *, folder: Path, log: BuildLog) -> None:
        config = folder / CONFIG_FILE
        if not config.is_file():
            _refuse_errors(log, [_missing(folder, CONFIG_FILE, (CONFIG_FILE,))])
        manifest = folder / MANIFEST_FILE
        paths = [config, manifest] if manifest.is_file() else [config]
        reports = validate_paths(paths, self._contents.cache_dir)
        _refuse_errors(log, [problem for report in reports for problem in report.problems])
        version = self._contents.unpublished_version(digest, folder, name=build.name)
        log.say(f"preparing the environment on Python {version.runtime}")
        began = time.monotonic()
        environment = self._executor.prepare(version, tell=log.output, renew=True)
        took = time.monotonic() - began
        log.say(f"the environment {environment} is ready after {took:.1f} s")
        problems = check_imports(
            self._executor,
            version,
            task_id=build.id,
            tell=log.output,
            explain=log.add,
        )
        _refuse_errors(log, problems)
        names = ", ".join(function.slug for function in version.script.functions)
        log.say(f"imported every function: {names}")

    def _check_protocol(self, folder: Path, log: BuildLog) -> None:
        path = protocol_file(folder)
        if path is None:
            _refuse_errors(log, [_missing(folder, PROTOCOL_FILES[0], PROTOCOL_FILES)])
            return
        parsed = load_protocol(path, self._contents.cache_dir)
        _refuse_errors(log, [*parsed.problems, *check_published(parsed, self._published_script)])
        log.say(f"{path.name} is valid")

    def _published_script(self, task: TaskReference) -> TaskScript:
        with self._state.read() as view:
            found = resolve_task(view.artifacts, task)
        return self._contents.script_version(found.digest, found.name).script

    def _publish(self, build: Build, digest: str, log: BuildLog) -> Build:
        """Make the version and the build's success last, both or neither."""
        at = self._now()
        pending = log.take()

        def act(tx: Transaction) -> Build:
            current = tx.artifacts.get(build.name)
            same = current is not None and current.digest == digest
            if current is not None and not same and not build.forced:
                return self._ended(
                    tx, build, BuildStatus.FAILED, [*pending, *log.end(_exists(build))]
                )
            if not same:
                tx.artifacts.publish(_artifact(build, digest, current=current, at=at))
            word = "has this content already" if same else "is published"
            lines = [*pending, *log.end(f"{build.name} {word}: {digest}")]
            done = replace(build, digest=digest)
            return self._ended(tx, done, BuildStatus.SUCCEEDED, lines)

        return self._state.write(act)

    def _fail(self, build: Build, log: BuildLog, error: Exception) -> Build:
        log.error(error)
        lines = [*log.take(), *log.end(f"{build.name} is not published")]
        return self._state.write(lambda tx: self._ended(tx, build, BuildStatus.FAILED, lines))

    def _ended(
        self,
        tx: Transaction,
        build: Build,
        status: BuildStatus,
        lines: Sequence[tuple[str, str]],
    ) -> Build:
        ended = replace(build, status=status, finished_at=self._now())
        tx.artifacts.log_build(build.id, lines)
        tx.artifacts.put_build(ended)
        return ended


def _refuse_errors(log: BuildLog, problems: Sequence[Problem]) -> None:
    """Log warnings, and refuse the artifact if there is an error among the problems."""
    if any(problem.severity == "error" for problem in problems):
        raise BuildRefused("the artifact has errors", problems=problems)
    log.problems(problems)


def _missing(folder: Path, name: str, names: Sequence[str]) -> Problem:
    """Return the problem of an archive without its main file, which may lie too deep."""
    inner = next((p for p in sorted(folder.glob("*/*")) if p.name in names and p.is_file()), None)
    what = f"the archive has no {name} in its root"
    hint = "look whether the right folder was uploaded"
    if inner is not None:
        hint = f"upload the content of the folder '{inner.parent.name}', not the folder"
    return Problem("no-such-file", what, Location(name), hint)


def _differences(manifest: Manifest, name: ArtifactName) -> list[tuple[str, str, str]]:
    keys = ("namespace", "slug", "version")
    pairs = [(key, getattr(manifest, key), getattr(name, key)) for key in keys]
    return [pair for pair in pairs if pair[1].lower() != pair[2].lower()]


def _artifact(build: Build, digest: str, *, current: Artifact | None, at: str) -> Artifact:
    return Artifact(
        name=build.name,
        digest=digest,
        archive=build.archive,
        build_id=build.id,
        created_at=current.created_at if current else at,
        updated_at=at,
        forced=current.forced + 1 if current else 0,
    )


def _exists(build: Build) -> str:
    return (
        f"error: {build.name} was published meanwhile with other content; "
        "publish another version, or force it"
    )
