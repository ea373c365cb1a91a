"""Plans: a pipeline with all that a workflow of it is pinned to, ready to start one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol as TypingProtocol

from stepline.app.config_values import plain_value_problems
from stepline.app.findings import Findings
from stepline.app.pipeline_config import referenced_path
from stepline.errors import Location, PlatformError, Problem, UserError
from stepline.expressions.suggest import nearest_hint
from stepline.frozen import frozen
from stepline.model.artifact import Artifact, ArtifactKind, ArtifactName
from stepline.model.pipeline import Pipeline, PipelineSpec
from stepline.model.protocol import Protocol, TaskReference
from stepline.model.values import Json
from stepline.model.workflow import StepDefaults
from stepline.parsing.checker import join
from stepline.ports.executor import ScriptVersion

LookedUp = tuple[Mapping[str, Json], Sequence[Problem]]

IN_PIPELINE = "pipeline"
"""Where problems say that they are, unless it is known better."""


class Artifacts(TypingProtocol):
    """What plans need of the registry."""

    def get(self, name: ArtifactName) -> Artifact:
        """Return a published version.

        Raises:
            ArtifactNotFound: There is none of this name.
        """

    def resolve(self, task: TaskReference) -> tuple[ArtifactName, str]:
        """Return name and digest of the published task script that a step means.

        Raises:
            ArtifactNotFound: There is none; names what there is.
        """

    def script_version(self, digest: str, name: ArtifactName) -> ScriptVersion:
        """Return a task script, its code at hand."""

    def protocol(self, digest: str) -> Protocol:
        """Return a published protocol."""


@frozen(kw_only=True)
class Plan:
    """What a workflow of one revision of a pipeline is made from.

    Attributes:
        pipeline: The revision.
        protocol: The protocol.
        protocol_digest: Its digest.
        scripts: ``name@digest`` of each step's task script.
        config: Value by config key; secrets as references.
        defaults: Limits of each step.
    """

    pipeline: Pipeline
    protocol: Protocol
    protocol_digest: str
    scripts: tuple[str, ...]
    config: Mapping[str, Json]
    defaults: tuple[StepDefaults, ...]


@frozen
class _Lack:
    """Why there is no plan. The error itself is not kept: it grows each time it is raised."""

    what: str
    hint: str
    problems: tuple[Problem, ...]

    def again(self) -> UserError:
        """Return the error."""
        return UserError(self.what, hint=self.hint, problems=self.problems)


class Plans:
    """Makes plans and keeps them until something that they stand on changes.

    Args:
        artifacts: The registry.
        look_up_config: Turns a pipeline's config into values and references to secrets, as
            far as it can, and returns the problems too.
    """

    def __init__(
        self,
        artifacts: Artifacts,
        look_up_config: Callable[[Mapping[str, Json]], LookedUp],
    ) -> None:
        self._artifacts = artifacts
        self._look_up_config = look_up_config
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, int], Plan | _Lack] = {}
        self._generation = 0

    def of(self, pipeline: Pipeline) -> Plan:
        """Return the plan of a pipeline as it is now.

        Raises:
            UserError: There is none: an artifact, a shared setting or a value is missing.
        """
        key = (pipeline.id, pipeline.revision)
        with self._lock:
            kept, generation = self._kept.get(key), self._generation
        if isinstance(kept, Plan):
            return kept
        if kept is not None:
            raise kept.again()
        made: Plan | _Lack
        try:
            made = self.make(pipeline)
        except UserError as error:
            made = _Lack(error.what, error.hint, error.problems)
        except PlatformError as error:
            if error.retryable:
                raise
            # What this pipeline lacks must not hold up the events of the others. It is looked
            # for again each time, since nobody tells when it is mended.
            raise UserError(error.what, hint=error.hint) from error
        with self._lock:
            if generation == self._generation:
                self._kept[key] = made
        if isinstance(made, _Lack):
            raise made.again()
        return made

    def forget(self) -> None:
        """Make all plans anew when they are asked for: artifacts or settings have changed."""
        with self._lock:
            self._generation += 1
            self._kept.clear()

    def make(self, pipeline: Pipeline) -> Plan:
        """Return a new plan of a pipeline, stored or not.

        Raises:
            UserError: As `of`.
        """
        found = Findings(IN_PIPELINE)
        plan = self.look(pipeline, found)
        found.check()
        if plan is None:
            raise AssertionError("a plan is missing, and nothing says why")
        return plan

    def look(self, pipeline: Pipeline, found: Findings) -> Plan | None:
        """Return a new plan of a pipeline; what is wrong with the pipeline is told all at once.

        Args:
            pipeline: The pipeline, stored or not.
            found: Takes what is wrong, by paths as in a pipeline's file; then there is no plan.
        """
        spec = pipeline.spec
        config, problems = self._look_up_config(spec.config)
        found.add(problems)
        pinned = self.pinned(spec.protocol, found)
        if pinned is None:
            return None
        digest, protocol = pinned
        found.add(_step_problems(spec.steps_memory_mb, protocol))
        scripts = self._scripts(protocol, found)
        secrets = [key for key, value in config.items() if referenced_path(value) is not None]
        found.add(
            plain_value_problems(
                protocol,
                {key: value for key, value in config.items() if key not in secrets},
                secrets=secrets,
                unresolved=[key for key in spec.config if key not in config],
                path=IN_PIPELINE,
            )
        )
        if found.problems:
            return None
        return Plan(
            pipeline=pipeline,
            protocol=protocol,
            protocol_digest=digest,
            scripts=tuple(scripts),
            config=config,
            defaults=self._defaults(spec, protocol, scripts),
        )

    def pinned(self, name: str, found: Findings) -> tuple[str, Protocol] | None:
        """Return digest and content of a published protocol; None if there is a problem."""

        def read() -> tuple[str, Protocol]:
            digest = self._artifacts.get(artifact_name(ArtifactKind.PROTOCOL, name)).digest
            return digest, self._artifacts.protocol(digest)

        return found.part(read, source="protocol", code="no-protocol")

    def _scripts(self, protocol: Protocol, found: Findings) -> list[str]:
        """Return ``name@digest`` of each step's task script."""
        pins = [
            found.part(
                partial(self._artifacts.resolve, step.task),
                source="protocol",
                code="no-task-script",
            )
            for step in protocol.steps
        ]
        return [f"{pin[0]}@{pin[1]}" for pin in pins if pin is not None]

    def _defaults(
        self, spec: PipelineSpec, protocol: Protocol, scripts: Sequence[str]
    ) -> tuple[StepDefaults, ...]:
        return tuple(
            StepDefaults(
                memory_override_mb=spec.steps_memory_mb.get(step.id or str(step.index)),
                memory_mb=self.script(script).script.memory_mb,
                timeout_s=spec.timeout_s,
            )
            for step, script in zip(protocol.steps, scripts, strict=True)
        )

    def script(self, pin: str) -> ScriptVersion:
        """Return the task script of a pin, ``name@digest``."""
        name, _, digest = pin.partition("@")
        return self._artifacts.script_version(digest, artifact_name(ArtifactKind.TASK_SCRIPT, name))

    def protocol(self, digest: str) -> Protocol:
        """Return the protocol of a digest."""
        return self._artifacts.protocol(digest)


def _step_problems(names: Iterable[str], protocol: Protocol) -> list[Problem]:
    """Return a problem for each step that has settings and that the protocol does not have."""
    known = [step.id or str(step.index) for step in protocol.steps]
    return [
        Problem(
            "unknown-step",
            f"the protocol has no step '{name}'",
            Location(IN_PIPELINE),
            nearest_hint(name, known),
            source=join("steps", name),
        )
        for name in names
        if name not in known
    ]


def artifact_name(kind: ArtifactKind, text: str) -> ArtifactName:
    """Return the name that ``namespace/slug:version`` means.

    Raises:
        UserError: It is not of this form.
    """
    namespace, slash, rest = text.partition("/")
    slug, colon, version = rest.partition(":")
    if not (slash and colon and namespace and slug and version):
        raise UserError(f"'{text}' is not namespace/slug:version")
    return ArtifactName(kind, namespace, slug, version)
