"""What is published: which task script a step means, and which version may follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from stepline.errors import ArtifactNotFound, Problem, UploadError
from stepline.expressions.suggest import nearest_hint, or_else
from stepline.model.artifact import Artifact, ArtifactKind, ArtifactName
from stepline.model.protocol import COMMON, Protocol, Step, TaskReference
from stepline.model.task_script import TaskScript
from stepline.parsing.result import Parsed
from stepline.parsing.versions import Version, VersionRange, highest_match
from stepline.ports.state import ArtifactsView

_SHOWN_VERSIONS = 8


def resolve_task(artifacts: ArtifactsView, task: TaskReference) -> Artifact:
    """Return the published task script that a step means; of a range, its newest version.

    Raises:
        ArtifactNotFound: None is published that fits; those that are, are named.
    """
    name = ArtifactName(ArtifactKind.TASK_SCRIPT, task.namespace, task.slug, task.version)
    if Version.parse(task.version) is None:
        wanted = VersionRange.parse(task.version)
        versions = [each.name.version for each in _versions(artifacts, task)] if wanted else []
        newest = highest_match(versions, wanted) if wanted else None
        name = replace(name, version=newest or task.version)
    found = artifacts.get(name)
    if found is None:
        raise ArtifactNotFound(
            f"the task script {task} is not published", hint=_what_exists(artifacts, task)
        )
    return found


def not_found(artifacts: ArtifactsView, name: ArtifactName) -> ArtifactNotFound:
    """Return the error of a name that nothing is published under."""
    known = artifacts.list(name.kind, namespace=name.namespace)
    same = [each.name.version for each in known if each.name.slug == name.slug]
    others = sorted({each.name.slug for each in known})
    word = "task script" if name.kind is ArtifactKind.TASK_SCRIPT else "protocol"
    hint = (
        _versions_hint(same) if same else _publish_hint(word, name, nearest_hint(name.slug, others))
    )
    return ArtifactNotFound(f"the {word} {name} is not published", hint=hint)


def matches(task: TaskReference, name: ArtifactName) -> bool:
    """Tell whether a step may mean this version of a task script."""
    if (task.namespace, task.slug) != (name.namespace, name.slug):
        return False
    if task.version == name.version:
        return True
    wanted, version = VersionRange.parse(task.version), Version.parse(name.version)
    return wanted is not None and version is not None and wanted.matches(version)


def check_higher(artifacts: ArtifactsView, name: ArtifactName) -> None:
    """Refuse a new version that is not higher than the newest published one.

    Raises:
        UploadError: It is lower.
    """
    published = artifacts.list(name.kind, namespace=name.namespace, slug=name.slug)
    version = Version.parse(name.version)
    newest = Version.parse(published[-1].name.version) if published else None
    if version is None or newest is None or version.order > newest.order:
        return
    raise UploadError(
        f"{name} is not higher than {newest}, the newest version that is published",
        hint=f"publish a version above {newest}, or force this one with -f",
    )


def check_published(
    parsed: Parsed[Protocol], find: Callable[[TaskReference], TaskScript]
) -> list[Problem]:
    """Return an error for each step whose task script or function nobody published.

    Args:
        parsed: The protocol. Of one with errors, the sound steps are checked.
        find: Returns the task script that a step means, or raises `ArtifactNotFound`.
    """
    problems = []
    for step in parsed.value.steps if parsed.value else parsed.steps:
        try:
            script = find(step.task)
        except ArtifactNotFound as error:
            problems.append(
                _problem(
                    parsed, step, "slug", code="no-task-script", what=error.what, hint=error.hint
                )
            )
            continue
        if script.find(step.task.function) is None:
            slugs = [function.slug for function in script.functions]
            what = f"the task script {step.task} does not expose a function '{step.task.function}'"
            hint = nearest_hint(step.task.function, slugs)
            problems.append(
                _problem(parsed, step, "function", code="unknown-function", what=what, hint=hint)
            )
    return problems


def _problem(
    parsed: Parsed[Protocol], step: Step, field: str, *, code: str, what: str, hint: str
) -> Problem:
    inside = f"steps[{step.index}].task.{field}"
    return Problem(code, what, parsed.locate(inside), hint, source=inside)


def _versions(artifacts: ArtifactsView, task: TaskReference) -> list[Artifact]:
    kind = ArtifactKind.TASK_SCRIPT
    return list(artifacts.list(kind, namespace=task.namespace, slug=task.slug))


def _what_exists(artifacts: ArtifactsView, task: TaskReference) -> str:
    same = [each.name.version for each in _versions(artifacts, task)]
    if same:
        return _versions_hint(same)
    known = artifacts.list(ArtifactKind.TASK_SCRIPT)
    wanted = f"{task.namespace}/{task.slug}"
    others = sorted({f"{each.name.namespace}/{each.name.slug}" for each in known})
    elsewhere = [other for other in others if other.endswith(f"/{task.slug}")]
    if elsewhere:
        return f"did you mean {', '.join(elsewhere)}?"
    name = ArtifactName(ArtifactKind.TASK_SCRIPT, task.namespace, task.slug, task.version)
    return _publish_hint("task script", name, nearest_hint(wanted, others))


def _publish_hint(word: str, name: ArtifactName, near: str) -> str:
    if name.namespace == COMMON and not near:
        return f"if it travels with Stepline: stepline common install {name.slug}"
    put = (
        f"stepline put {word.replace(' ', '-')} {name.namespace} {name.slug} {name.version} FOLDER"
    )
    return or_else(near, f"publish it: {put}")


def _versions_hint(versions: list[str]) -> str:
    """Name versions, given oldest first, from the newest on."""
    shown = ", ".join(versions[: -_SHOWN_VERSIONS - 1 : -1])
    return f"published versions: {shown}" + (", …" if len(versions) > _SHOWN_VERSIONS else "")
