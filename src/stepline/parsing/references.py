"""Checks of a protocol against the task scripts that lie beside it.

Source:
    A folder matches a step's task by its manifest, else by its name.
"""

from __future__ import annotations

from collections.abc import Sequence

from stepline.errors import Problem
from stepline.expressions.suggest import nearest_hint
from stepline.frozen import frozen
from stepline.model.protocol import COMMON, Protocol, Step, TaskReference
from stepline.model.task_script import Manifest, TaskScript
from stepline.parsing.result import Parsed


@frozen
class LocalTaskScript:
    """A task script in a folder.

    Attributes:
        folder: Name of the folder.
        script: Its config.json; None if that is broken.
        manifest: Its manifest.json; None if it has none, or a broken one.
        path: Path of the folder, for messages.
        shipped: Whether it travels with Stepline. Such a one is meant only by steps that
            name the namespace ``common``, and after those of the project.
    """

    folder: str
    script: TaskScript | None
    manifest: Manifest | None = None
    path: str = ""
    shipped: bool = False

    @property
    def slug(self) -> str:
        """The manifest's slug, else the folder's name."""
        return self.manifest.slug if self.manifest else self.folder


def check_references(
    protocol: Parsed[Protocol], scripts: Sequence[LocalTaskScript], *, all_here: bool = False
) -> list[Problem]:
    """Check that steps name task scripts and functions that exist here.

    Args:
        protocol: The parsed protocol. Of one with errors, the sound steps are checked.
        scripts: The task scripts of the same project.
        all_here: The protocol is to run with these task scripts and no others.

    Returns:
        Errors for functions that a task script does not expose; warnings for task
        scripts that are not here or here in another version, since they may be
        published elsewhere. If all are to be here, a task script that is not, and a
        version range that none is in, are errors too.
    """
    check = _Check(protocol, scripts, all_here=all_here)
    for step in protocol.value.steps if protocol.value else protocol.steps:
        check.step(step)
    return check.problems


def match_task_script(
    task: TaskReference, scripts: Sequence[LocalTaskScript]
) -> tuple[LocalTaskScript | None, str]:
    """Return the local task script that a step's task means, and how it differs.

    Returns:
        The best match or None, and words for the difference of namespace or version,
        empty if there is none. A folder without manifest is known by its name alone.
    """
    named = [script for script in scripts if task.slug in (script.slug, script.folder)]
    own = [script for script in named if not script.shipped]
    shipped = [script for script in named if script.shipped and task.namespace == COMMON]
    for script in _by_version(own):
        if script.manifest is not None and not difference(task, script.manifest):
            return script, ""
    bare = next((script for script in own if script.manifest is None), None)
    if bare is not None:
        return bare, "it has no manifest.json, so its namespace and version are not known"
    for script in shipped:
        if script.manifest is not None and not difference(task, script.manifest):
            return script, ""
    for script in (*_by_version(own), *shipped):
        if script.manifest is not None:
            return script, difference(task, script.manifest)
    return None, ""


def difference(task: TaskReference, manifest: Manifest) -> str:
    """Return how a manifest's identity differs from what a task asks for, or nothing."""
    if manifest.slug != task.slug:
        return f"its manifest.json names it {manifest.slug}"
    if manifest.namespace != task.namespace:
        return f"here its namespace is {manifest.namespace}, not {task.namespace}"
    if manifest.version == task.version:
        return ""
    from stepline.parsing.versions import VersionRange, highest_match

    wanted = VersionRange.parse(task.version)
    if wanted is not None and highest_match([manifest.version], wanted):
        return ""
    return f"here its version is {manifest.version}, not {task.version}"


class _Check:
    def __init__(
        self, protocol: Parsed[Protocol], scripts: Sequence[LocalTaskScript], *, all_here: bool
    ) -> None:
        self.protocol = protocol
        self.scripts = scripts
        self.all_here = all_here
        self.problems: list[Problem] = []

    def step(self, step: Step) -> None:
        script, differs = match_task_script(step.task, self.scripts)
        if script is None:
            self.missing(step)
            return
        if differs and script.manifest is None and self.all_here:
            what = f"task script `{step.task.slug}` is taken by its folder's name: {differs}"
            self.add(step, "slug", code="no-manifest", what=what, hint="", severity="warning")
        if differs and script.manifest is not None:
            field = next((f for f in ("namespace", "version") if f in differs), "slug")
            what = f"task script `{step.task.slug}` is here, but {differs}"
            range_of_others = field == "version" and not step.task.is_exact
            severity = "error" if self.all_here and range_of_others else "warning"
            hint = self.versions_of(step.task)
            self.add(step, field, code="other-version", what=what, hint=hint, severity=severity)
        self.twins(step, script)
        if script.script is not None and script.script.find(step.task.function) is None:
            self.unknown_function(step, script.script)

    def versions_of(self, task: TaskReference) -> str:
        found = {s.manifest.version for s in self.scripts if s.manifest and s.slug == task.slug}
        return f"there are {', '.join(sorted(found))}" if len(found) > 1 else ""

    def twins(self, step: Step, script: LocalTaskScript) -> None:
        """Report folders that say they are the same version of the same task script."""
        if script.manifest is None:
            return
        scripts = [s for s in self.scripts if s.manifest and s.shipped == script.shipped]
        same = [each for each in scripts if _identity(each) == _identity(script)]
        if len(same) > 1:
            folders = ", ".join(sorted(each.path or each.folder for each in same))
            what = f"several folders say that they are {step.task}: {folders}"
            severity = "error" if self.all_here else "warning"
            hint = "give each its own version in manifest.json"
            self.add(step, "version", code="same-identity", what=what, hint=hint, severity=severity)

    def missing(self, step: Step) -> None:
        common = step.task.namespace == COMMON
        slugs = sorted({each.slug for each in self.scripts if common or not each.shipped})
        what = f"task script `{step.task.slug}` is not in this project"
        near = nearest_hint(step.task.slug, slugs)
        known = f"there are {', '.join(repr(slug) for slug in slugs)}" if slugs else ""
        hint = f"{near} {known}" if near.startswith("did") else known
        severity = "error" if self.all_here else "warning"
        self.add(step, "slug", code="no-task-script", what=what, hint=hint, severity=severity)

    def unknown_function(self, step: Step, script: TaskScript) -> None:
        slugs = [function.slug for function in script.functions]
        name = step.task.function
        near = nearest_hint(name, slugs)
        known = f"it exposes {', '.join(repr(slug) for slug in slugs)}"
        what = f"task script `{step.task.slug}` does not expose a function `{name}`"
        hint = f"{near} {known}" if near.startswith("did") else known
        self.add(step, "function", code="unknown-function", what=what, hint=hint, severity="error")

    def add(
        self, step: Step, field: str, *, code: str, what: str, hint: str, severity: str
    ) -> None:
        where = self.protocol.locate(f"steps[{step.index}].task.{field}")
        source = f"steps.{step.id}" if step.id is not None else f"steps[{step.index}]"
        self.problems.append(
            Problem(
                code,
                what,
                where,
                hint,
                "error" if severity == "error" else "warning",
                f"{source}.task.{field}",
            )
        )


def _identity(script: LocalTaskScript) -> tuple[str, str, str] | None:
    named = script.manifest
    return (named.namespace, named.slug, named.version) if named else None


def _by_version(scripts: Sequence[LocalTaskScript]) -> list[LocalTaskScript]:
    """Return scripts with the highest version first, so that a range takes that one."""
    if len(scripts) < 2:
        return list(scripts)
    from stepline.parsing.versions import Version

    def order(script: LocalTaskScript) -> tuple[object, ...]:
        version = Version.parse(script.manifest.version) if script.manifest else None
        return (version is not None, version.order if version else ())

    return sorted(scripts, key=order, reverse=True)
