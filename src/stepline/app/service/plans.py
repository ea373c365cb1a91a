"""Plans: a pipeline with all that a workflow of it is pinned to, ready to start one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol as TypingProtocol

from stepline.app.config_values import check_plain_values
from stepline.app.pipeline_config import referenced_path
from stepline.errors import ConfigError, PlatformError, Problem, UserError
from stepline.expressions.suggest import nearest_hint
from stepline.frozen import frozen
from stepline.model.artifact import Artifact, ArtifactKind, ArtifactName
from stepline.model.pipeline import Pipeline
from stepline.model.protocol import Protocol, TaskReference
from stepline.model.values import Json
from stepline.model.workflow import StepDefaults
from stepline.ports.executor import ScriptVersion


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
        resolve_config: Turns a pipeline's config into values and references to secrets.
    """

    def __init__(
        self,
        artifacts: Artifacts,
        resolve_config: Callable[[Mapping[str, Json]], Mapping[str, Json]],
    ) -> None:
        self._artifacts = artifacts
        self._resolve_config = resolve_config
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
        spec = pipeline.spec
        digest = self._artifacts.get(artifact_name(ArtifactKind.PROTOCOL, spec.protocol)).digest
        protocol = self._artifacts.protocol(digest)
        _check_steps(spec.steps_memory_mb, protocol)
        pins = [self._artifacts.resolve(step.task) for step in protocol.steps]
        scripts = [f"{name}@{pin}" for name, pin in pins]
        config = self._resolve_config(spec.config)
        secrets = [key for key, value in config.items() if referenced_path(value) is not None]
        plain = {key: value for key, value in config.items() if key not in secrets}
        check_plain_values(protocol, plain, secrets=secrets, path=spec.protocol)
        return Plan(
            pipeline=pipeline,
            protocol=protocol,
            protocol_digest=digest,
            scripts=tuple(scripts),
            config=config,
            defaults=tuple(
                StepDefaults(
                    memory_override_mb=spec.steps_memory_mb.get(step.id or str(step.index)),
                    memory_mb=self.script(script).script.memory_mb,
                    timeout_s=spec.timeout_s,
                )
                for step, script in zip(protocol.steps, scripts, strict=True)
            ),
        )

    def script(self, pin: str) -> ScriptVersion:
        """Return the task script of a pin, ``name@digest``."""
        name, _, digest = pin.partition("@")
        return self._artifacts.script_version(digest, artifact_name(ArtifactKind.TASK_SCRIPT, name))

    def protocol(self, digest: str) -> Protocol:
        """Return the protocol of a digest."""
        return self._artifacts.protocol(digest)


def _check_steps(names: Iterable[str], protocol: Protocol) -> None:
    """Refuse settings for steps that the protocol does not have."""
    known = [step.id or str(step.index) for step in protocol.steps]
    for name in names:
        if name not in known:
            raise ConfigError(f"the protocol has no step '{name}'", hint=nearest_hint(name, known))


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
