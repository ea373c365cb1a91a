"""Validate protocols, task scripts, manifests and pipelines, alone and against one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from stepline.app.common import shipped_scripts
from stepline.app.discover import (
    Found,
    Kind,
    find_files,
    is_task_script,
    kind_of_file,
)
from stepline.app.load import (
    CONFIG_FILE,
    MANIFEST_FILE,
    load_config,
    load_manifest,
    load_protocol,
    load_task_script,
    read_source,
)
from stepline.app.project_layout import PROTOCOL_FILES, scripts_folder
from stepline.app.validation_cache import cached_problems
from stepline.errors import Location, Problem
from stepline.frozen import frozen
from stepline.model.protocol import COMMON, Protocol
from stepline.model.task_script import Manifest, TaskScript
from stepline.parsing.references import LocalTaskScript, check_references
from stepline.parsing.result import Parsed
from stepline.parsing.source import decode_source

_V2 = "protocol-v2"


@frozen
class Report:
    """What was found in one file.

    Attributes:
        path: The file, as messages name it.
        kind: What it was taken for; None if that is not known.
        problems: Errors and warnings, ordered by position.
    """

    path: str
    kind: Kind | None
    problems: tuple[Problem, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether there is no error."""
        return all(problem.severity != "error" for problem in self.problems)


def validate_paths(paths: Sequence[Path], cache_dir: Path) -> list[Report]:
    """Validate files, and all that lies in folders.

    Args:
        paths: Files and folders; a file is validated whatever its name.
        cache_dir: The folder of all caches.

    Returns:
        One report per file, sorted by path within each given one. A path that does not
        exist, or holds nothing to validate, has a report with an error.
    """
    validator = _Validator(cache_dir)
    found: dict[str, Report] = {}
    for path in paths:
        for report in validator.path(path):
            found.setdefault(report.path, report)
    return list(found.values())


class _Validator:
    """Keeps what several protocols of one project need."""

    def __init__(self, cache_dir: Path) -> None:
        self.cache_dir = cache_dir
        self.projects: dict[Path, list[LocalTaskScript]] = {}

    def path(self, path: Path) -> Iterator[Report]:
        if not path.exists():
            yield _refused(path, "no-such-file", "there is no such file or folder")
            return
        if not path.is_dir():
            kind = kind_of_file(path)
            if kind is None:
                problems = _syntax_problems(path)
                if problems:
                    yield Report(str(path), None, problems)
                    return
                hint = "name a protocol.yml, a config.json, a manifest.json or a pipeline"
                yield _refused(path, "unknown-file", "this is not a file to validate", hint=hint)
                return
            yield self.file(Found(path, kind))
            return
        files = list(find_files(path))
        if not files:
            hint = "stepline init shows the layout"
            what = "the folder holds no protocol and no task script"
            yield _refused(path, "nothing-found", what, hint=hint)
        yield from (self.file(found) for found in files)

    def file(self, found: Found) -> Report:
        if found.kind is Kind.PROTOCOL:
            problems = self.protocol(found.path)
        elif found.kind is Kind.CONFIG:
            problems = self.task_script(found.path)
        elif found.kind is Kind.PIPELINE:
            problems = self.pipeline(found.path)
        else:
            problems = self.manifest(found.path)
        return Report(str(found.path), found.kind, tuple(problems))

    def protocol(self, path: Path) -> list[Problem]:
        parsed = load_protocol(path, self.cache_dir)
        problems = [self.beside(problem, path) for problem in parsed.problems]
        scripts = self.scripts_for(path)
        if scripts is not None:
            steps = parsed.value.steps if parsed.value else parsed.steps
            if any(step.task.namespace == COMMON for step in steps):
                scripts = [*scripts, *self.shipped]
            problems += check_references(parsed, scripts)
        manifest = self.manifest_of(path.parent)
        if manifest is not None:
            problems += _identity_problems(parsed, manifest)
        return sorted(problems, key=_position)

    def beside(self, problem: Problem, path: Path) -> Problem:
        """Let a v2 protocol pass that lies beside the v3 one which replaces it."""
        replaced = problem.code == _V2 and path.with_name("protocol.yml").is_file()
        return replace(problem, severity="warning") if replaced else problem

    def scripts_for(self, protocol: Path) -> list[LocalTaskScript] | None:
        """Return the task scripts of a protocol's project; None if it has no such folder."""
        home = scripts_folder(protocol)
        if home is None:
            return None
        if home not in self.projects:
            folders = sorted(entry for entry in home.iterdir() if entry.is_dir())
            self.projects[home] = [self.local(f) for f in folders if is_task_script(f)]
        return self.projects[home]

    @cached_property
    def shipped(self) -> list[LocalTaskScript]:
        """The task scripts that travel with Stepline."""
        home = shipped_scripts()
        folders = sorted(home.iterdir()) if home else []
        found = [self.local(each) for each in folders if each.is_dir() and is_task_script(each)]
        return [replace(script, shipped=True) for script in found]

    def local(self, folder: Path) -> LocalTaskScript:
        script = load_task_script(folder, self.cache_dir).value
        return LocalTaskScript(folder.name, script, self.manifest_of(folder), str(folder))

    def manifest_of(self, folder: Path) -> Manifest | None:
        path = folder / MANIFEST_FILE
        return load_manifest(path, self.cache_dir).value if path.is_file() else None

    def task_script(self, path: Path) -> list[Problem]:
        parsed = load_config(path, self.cache_dir)
        if path.name != CONFIG_FILE:
            return list(parsed.problems)
        return [*parsed.problems, *self.folder(path.parent, parsed)]

    def folder(self, folder: Path, parsed: Parsed[TaskScript]) -> list[Problem]:
        """Check the rest of a task script's folder, unless nothing in it changed."""
        from stepline.app.script_checks import check_folder, depends_on

        seen = [str(folder), str(parsed.value), str(dict(parsed.positions))]
        for path in depends_on(folder, parsed.value):
            data, problem = read_source(path)
            seen += [str(path), problem.code if problem else data.hex()]
        return cached_problems(
            "task-script folder",
            "\0".join(seen).encode("utf-8", "surrogateescape"),
            cache_dir=self.cache_dir,
            check=lambda: check_folder(folder, parsed),
        )

    def pipeline(self, path: Path) -> list[Problem]:
        """Check all of a pipeline that can be told without a service."""
        data, problem = read_source(path)
        if problem is not None:
            return [problem]
        return cached_problems(
            "pipeline",
            str(path).encode("utf-8", "surrogateescape") + b"\0" + data,
            cache_dir=self.cache_dir,
            check=lambda: _pipeline_problems(data, str(path)),
        )

    def manifest(self, path: Path) -> list[Problem]:
        parsed = load_manifest(path, self.cache_dir)
        problems = list(parsed.problems)
        expected = _kind_of_folder(path.parent)
        if parsed.value is not None and expected and parsed.value.kind != expected:
            what = f"the manifest of a {expected} has the type {parsed.value.kind!r}"
            hint = f'write "type": "{expected}"'
            problems.append(Problem("wrong-kind", what, parsed.locate("type"), hint))
        return problems


def _pipeline_problems(data: bytes, path: str) -> list[Problem]:
    from stepline.parsing.pipelines import parse_pipeline

    text, problem = decode_source(data, path=path)
    return [problem] if problem else list(parse_pipeline(text, path=path).problems)


def _kind_of_folder(folder: Path) -> str:
    """Return the kind of artifact that a folder holds, empty if that is not known."""
    if is_task_script(folder):
        return "task-script"
    return "protocol" if any((folder / name).is_file() for name in PROTOCOL_FILES) else ""


def _identity_problems(parsed: Parsed[Protocol], manifest: Manifest) -> Iterator[Problem]:
    """Yield where a protocol says another identity than its manifest, which wins."""
    if parsed.value is None:
        return
    for key in ("namespace", "slug", "version"):
        said, holds = getattr(parsed.value, key), getattr(manifest, key)
        if said and said != holds:
            what = f"the {key} is {said!r} here and {holds!r} in {MANIFEST_FILE}, which holds"
            hint = "remove it here, or make both the same"
            yield Problem("other-identity", what, parsed.locate(key), hint, "warning", key)


def _syntax_problems(path: Path) -> tuple[Problem, ...]:
    """Return why a JSON file cannot be read, and so not be told what it is."""
    if path.suffix != ".json":
        return ()
    data, problem = read_source(path)
    if problem is not None:
        return (problem,)
    text, problem = decode_source(data, path=str(path))
    if problem is not None:
        return (problem,)
    from stepline.parsing.json_tree import parse_json

    return tuple(parse_json(text, path=str(path)).problems)


def _refused(path: Path, code: str, what: str, *, hint: str = "") -> Report:
    problem = Problem(code, what, Location(str(path)), hint)
    return Report(str(path), None, (problem,))


def _position(problem: Problem) -> tuple[int, int]:
    return (problem.where.line or 0, problem.where.column or 0)
