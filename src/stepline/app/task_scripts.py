"""Task scripts in a local folder, and which of them each step of a protocol means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from stepline.errors import ArtifactNotFound, ConfigError, Location, Problem, ProtocolError
from stepline.frozen import frozen
from stepline.model.protocol import Protocol, Step, TaskReference
from stepline.model.task_script import Manifest, TaskScript
from stepline.parsing import Parsed

CONFIG_FILE = "config.json"
MANIFEST_FILE = "manifest.json"


@frozen
class LocalScript:
    """A task script's folder on this machine.

    Attributes:
        folder: Where it is.
        script: Its validated config.json.
        manifest: Its manifest.json, if it has one.
    """

    folder: Path
    script: TaskScript
    manifest: Manifest | None

    @property
    def slug(self) -> str:
        """The manifest's slug, else the folder's name."""
        return self.manifest.slug if self.manifest else self.folder.name


@frozen
class Match:
    """The local script that a step's task means.

    Attributes:
        local: The script.
        by_manifest: Whether its manifest names just this namespace, slug and version.
    """

    local: LocalScript
    by_manifest: bool


LoadScript = Callable[[Path], Parsed[TaskScript]]
LoadManifest = Callable[[Path], Parsed[Manifest]]


def find_scripts(
    folder: Path, *, load_script: LoadScript, load_manifest: LoadManifest
) -> tuple[list[LocalScript], list[Problem]]:
    """Return the task scripts directly below a folder, or the folder itself if it is one.

    Args:
        folder: The folder.
        load_script: Reads and validates the config.json of a script's folder.
        load_manifest: Reads and validates a manifest.json.

    Returns:
        The valid scripts sorted by folder, and the problems of all, warnings included.

    Raises:
        ConfigError: There is no such folder, or no task script in it.
    """
    if not folder.is_dir():
        raise ConfigError(
            "there is no such folder of task scripts",
            where=Location(str(folder)),
            hint="name the folder that holds one folder per task script",
        )
    homes = [folder] if (folder / CONFIG_FILE).is_file() else sorted(folder.iterdir())
    homes = [home for home in homes if (home / CONFIG_FILE).is_file()]
    if not homes:
        raise ConfigError(
            "no task script was found: no folder in it has a config.json",
            where=Location(str(folder)),
            hint="stepline init shows the layout",
        )
    scripts: list[LocalScript] = []
    problems: list[Problem] = []
    for home in homes:
        script, manifest = load_script(home), None
        problems += script.problems
        if (home / MANIFEST_FILE).is_file():
            parsed = load_manifest(home / MANIFEST_FILE)
            problems += parsed.problems
            manifest = parsed.value
        if script.value is not None:
            scripts.append(LocalScript(home, script.value, manifest))
    return scripts, problems


def match_steps(
    parsed: Parsed[Protocol], scripts: list[LocalScript]
) -> tuple[dict[TaskReference, Match], list[str]]:
    """Return the local script for each step's task, and warnings.

    A script matches by its manifest; without a manifest that does, by its slug, which
    is then the folder's name, whatever the step's namespace and version are.

    Raises:
        ArtifactNotFound: A task or function is not there; all are named.
    """
    protocol = parsed.unwrap(ProtocolError)
    matches: dict[TaskReference, Match] = {}
    problems: list[Problem] = []
    warnings: list[str] = []
    for step in protocol.steps:
        match = matches.get(step.task) or _match(step.task, scripts)
        if match is None:
            where = parsed.locate(f"steps[{step.index}].task.slug")
            problems.append(_unknown_script(step, scripts, where))
            continue
        if match.local.script.find(step.task.function) is None:
            where = parsed.locate(f"steps[{step.index}].task.function")
            problems.append(_unknown_function(step, match.local, where))
        if step.task not in matches and not match.by_manifest:
            warnings.append(
                f"step '{step.name}' asks for {step.task}; taken by its name alone: "
                f"{match.local.folder}"
            )
        matches[step.task] = match
    if problems:
        raise ArtifactNotFound(
            "; ".join(problem.message for problem in problems),
            where=problems[0].where,
            hint=problems[0].hint,
            problems=problems,
        )
    return matches, warnings


def _match(task: TaskReference, scripts: list[LocalScript]) -> Match | None:
    named = {
        local.manifest.version: local
        for local in scripts
        if local.manifest and (local.manifest.namespace, local.slug) == (task.namespace, task.slug)
    }
    if task.version in named:
        return Match(named[task.version], by_manifest=True)
    if named and not task.is_exact:
        return _highest(task, named)
    for local in scripts:
        if task.slug in (local.slug, local.folder.name):
            return Match(local, by_manifest=False)
    return None


def _highest(task: TaskReference, named: Mapping[str, LocalScript]) -> Match | None:
    from stepline.parsing.versions import VersionRange, highest_match

    wanted = VersionRange.parse(task.version)
    version = highest_match(named, wanted) if wanted else None
    return Match(named[version], by_manifest=True) if version else None


def _unknown_script(step: Step, scripts: list[LocalScript], where: Location) -> Problem:
    slugs = sorted({local.slug for local in scripts})
    hint = _nearest(step.task.slug, slugs)
    if step.task.slug in slugs:
        same = [local.manifest for local in scripts if local.slug == step.task.slug]
        hint = f"it has: {', '.join(sorted(each.version for each in same if each))}"
    return Problem(
        "unknown-task-script",
        f"step '{step.name}' calls {step.task}, and no task script here is that",
        where,
        hint=hint,
    )


def _unknown_function(step: Step, local: LocalScript, where: Location) -> Problem:
    slugs = [function.slug for function in local.script.functions]
    return Problem(
        "unknown-function",
        f"step '{step.name}' calls '{step.task.function}', which {local.folder} does not expose",
        where,
        hint=_nearest(step.task.function, slugs),
    )


def _nearest(name: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, known, n=1)
    first = f"did you mean '{near[0]}'? " if near else ""
    return f"{first}use one of: {', '.join(known)}"
