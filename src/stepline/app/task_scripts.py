"""Task scripts in a local folder, and which of them each step of a protocol means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from stepline.app.discover import is_task_script
from stepline.app.load import CONFIG_FILE, MANIFEST_FILE
from stepline.errors import ArtifactNotFound, ConfigError, Location, Problem, ProtocolError
from stepline.model.protocol import Protocol, TaskReference
from stepline.model.task_script import Manifest, TaskScript
from stepline.parsing.references import LocalTaskScript, check_references, match_task_script
from stepline.parsing.result import Parsed

LoadScript = Callable[[Path], Parsed[TaskScript]]
LoadManifest = Callable[[Path], Parsed[Manifest]]


def find_scripts(
    folder: Path, *, load_script: LoadScript, load_manifest: LoadManifest
) -> tuple[list[LocalTaskScript], list[Problem]]:
    """Return the task scripts directly below a folder, or the folder itself if it is one.

    Args:
        folder: The folder.
        load_script: Reads and validates the config.json of a script's folder.
        load_manifest: Reads and validates a manifest.json.

    Returns:
        The scripts sorted by folder, and the problems of all, warnings included.

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
    homes = [home for home in homes if home.is_dir() and is_task_script(home)]
    if not homes:
        raise ConfigError(
            "no task script was found: no folder in it has a config.json",
            where=Location(str(folder)),
            hint="stepline init shows the layout",
        )
    scripts: list[LocalTaskScript] = []
    problems: list[Problem] = []
    for home in homes:
        script, manifest = load_script(home), None
        problems += script.problems
        if (home / MANIFEST_FILE).is_file():
            parsed = load_manifest(home / MANIFEST_FILE)
            problems += parsed.problems
            manifest = parsed.value
        scripts.append(LocalTaskScript(home.resolve().name, script.value, manifest, str(home)))
    return scripts, problems


def match_steps(
    parsed: Parsed[Protocol], scripts: Sequence[LocalTaskScript]
) -> tuple[dict[TaskReference, LocalTaskScript], list[Problem]]:
    """Return the local script for each step's task, and warnings.

    A script matches by its manifest; without one that does, by its slug, whatever the
    step's namespace and version are.

    Raises:
        ArtifactNotFound: A task script or function is not there; all are named.
    """
    protocol = parsed.unwrap(ProtocolError)
    problems = check_references(parsed, scripts, all_here=True)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise ArtifactNotFound(
            "; ".join(problem.message for problem in errors),
            where=errors[0].where,
            hint=errors[0].hint,
            problems=errors,
        )
    matches = {step.task: match_task_script(step.task, scripts)[0] for step in protocol.steps}
    return {task: script for task, script in matches.items() if script}, problems
