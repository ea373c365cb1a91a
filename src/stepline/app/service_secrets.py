"""Secrets of the service: references in a workflow, values only when they are asked for.

A secret is looked for in the store, then in the environment of the service: the secret
``kaggle-api-key`` in the variable ``STEPLINE_SECRET_KAGGLE_API_KEY``. Every value is
masked before anybody gets it.
"""

from __future__ import annotations

import re
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence

from stepline.app.masking import Masker, check_secret, remember_for_reports
from stepline.app.pipeline_config import referenced_path, secret_name, secret_reference
from stepline.app.run_secrets import read_masked
from stepline.errors import Location, Problem, SecretNotFound, SettingsError
from stepline.expressions.suggest import or_else
from stepline.model.pipeline import Pipeline
from stepline.model.values import Json
from stepline.parsing.checker import join
from stepline.ports.secrets import (
    SecretBackend,
    SecretInfo,
    SecretStore,
    SecretValue,
    check_secret_name,
)

__all__ = [
    "ServiceSecrets",
    "WorkflowSecrets",
    "secret_reference",
    "uses_secret",
    "variable_of",
]

VARIABLE_PREFIX = "STEPLINE_SECRET_"


def variable_of(name: str) -> str:
    """Return the environment variable that stands in for a secret that is not stored."""
    return VARIABLE_PREFIX + re.sub("[^0-9a-z]+", "_", name).upper()


class WorkflowSecrets:
    """The secrets that one workflow declares: a backend for its attempts.

    It may be used by several threads.

    Args:
        config: The workflow's config values; references among them are what it declares.
        store: Where secrets are kept.
        masker: Learns every value before anybody gets it.
        environment: Reads environment variables; None: no secret comes from there.
        store_name: What the store is called in messages.
    """

    def __init__(
        self,
        config: Mapping[str, Json],
        store: SecretStore,
        *,
        masker: Masker,
        environment: SecretBackend | None = None,
        store_name: str = "encrypted",
    ) -> None:
        self._paths = _declared(config)
        self._keys = {secret_name(path): key for path, key in self._paths.items()}
        self._store = store
        self._masker = masker
        self._environment = environment
        self._plugin = f"secrets.{store_name}"
        self._masking = threading.Lock()

    def check(self) -> None:
        """Read and mask every secret, so that a missing one is known before the first step.

        Raises:
            SettingsError: Secrets are missing or cannot be masked, with all of them; or the
                store may not be read.
            PlatformError: The store does not answer.
            PluginError: It raised what it may not, or gave no text.
        """
        problems = self.prime()
        if problems:
            raise SettingsError.of(problems)

    def prime(self) -> list[Problem]:
        """Mask the values that all secrets have now; return what is wrong with the others.

        To be called before each attempt too: a value that another process has set since is
        then masked, even if the task gets it by another way than its Context.

        Raises:
            PlatformError: The store does not answer.
            PluginError: It raised what it may not, or gave no text.
        """
        problems: dict[str, Problem] = {}
        for name, key in self._keys.items():
            try:
                self._read(name)
            except SettingsError as error:
                problem = _problem(error, key)
                problems.setdefault(problem.message, problem)
        return list(problems.values())

    def read(self, name: str) -> SecretValue:
        """Return the newest value of a secret that the workflow declares.

        Args:
            name: The ``ssm`` path of its reference.

        Raises:
            SettingsError: It declares none of this path, or the secret is missing.
            PlatformError: The store does not answer.
            PluginError: It raised what it may not, or gave no text.
        """
        if name not in self._paths:
            raise SettingsError(
                f"the workflow has no secret '{name}'",
                hint="declare a config item of type secret in the protocol, "
                "and name the secret in the pipeline's config",
            )
        return self._read(secret_name(name))

    def learn(self, name: str, value: str) -> None:
        """Mask a value that a secret gets, if the workflow declares that secret."""
        if name in self._keys:
            self._mask(value)

    def _read(self, name: str) -> SecretValue:
        return read_masked(
            lambda: self._found(name), key=name, plugin=self._plugin, mask=self._mask
        )

    def _mask(self, value: str) -> None:
        # Of two threads with one value, the second must not go on before it is masked.
        with self._masking:
            self._masker.add([value])

    def _found(self, name: str) -> SecretValue:
        try:
            return self._store.read(name)
        except SecretNotFound as error:
            found = self._from_environment(name)
            if found is None:
                raise self._missing(name) from error
            return found

    def _from_environment(self, name: str) -> SecretValue | None:
        variable = variable_of(name)
        if self._environment is None or self._is_shared(variable):
            return None
        try:
            return self._environment.read(variable)
        except SecretNotFound:
            return None

    def _is_shared(self, variable: str) -> bool:
        """Tell of a variable that cannot be meant for both, as that of ``a-b`` and ``a.b``."""
        return sum(variable_of(each) == variable for each in self._keys) > 1

    def _missing(self, name: str) -> SecretNotFound:
        hint, variable = f"set it: stepline secret set {name}", variable_of(name)
        if self._environment is not None and not self._is_shared(variable):
            hint = or_else(hint, f"start the service with it in {variable}")
        return SecretNotFound(f"there is no secret '{name}'", hint=hint)


class ServiceSecrets:
    """All secrets of the service; workflows in progress learn what changes.

    It may be used by several threads.

    Args:
        store: Where secrets are kept.
        environment: Reads environment variables; None: no secret comes from there.
        store_name: What the store is called in messages.
    """

    def __init__(
        self,
        store: SecretStore,
        *,
        environment: SecretBackend | None = None,
        store_name: str = "encrypted",
    ) -> None:
        self._store = store
        self._environment = environment
        self._store_name = store_name
        self._lock = threading.Lock()
        self._in_progress: weakref.WeakSet[WorkflowSecrets] = weakref.WeakSet()

    def of_workflow(self, config: Mapping[str, Json], *, masker: Masker) -> WorkflowSecrets:
        """Return the secrets of a workflow; it learns of changes for as long as it is kept.

        Args:
            config: The workflow's config values.
            masker: Learns every value before anybody gets it.
        """
        secrets = WorkflowSecrets(
            config,
            self._store,
            masker=masker,
            environment=self._environment,
            store_name=self._store_name,
        )
        with self._lock:
            self._in_progress.add(secrets)
        return secrets

    def put(self, name: str, value: str) -> int:
        """Store a value; return the number of its version.

        Workflows in progress that declare the secret mask the value before it is stored.

        Raises:
            SettingsError: Name or value are refused, or the store may not be changed.
            PlatformError: The value cannot be stored; the one before is still there.
        """
        check_secret_name(name)
        check_secret(name, value)
        remember_for_reports(value)
        self._tell(name, value)
        version = self._store.put(name, value)
        # A workflow that began meanwhile may have read the value before.
        self._tell(name, value)
        return version

    def delete(self, name: str, *, pipelines: Iterable[Pipeline]) -> None:
        """Remove a secret that no pipeline uses.

        Args:
            name: The secret.
            pipelines: All pipelines.

        Raises:
            SecretNotFound: There is no such secret.
            SettingsError: Pipelines use it, or the store may not be changed.
            PlatformError: It cannot be removed; it is still there.
        """
        users = sorted(each.spec.name for each in pipelines if uses_secret(each, name))
        if users:
            named = ", ".join(f"'{user}'" for user in users)
            raise SettingsError(
                f"the secret '{name}' is used by pipelines: {named}",
                hint="change or delete them first; to stop its use at once, set another value",
            )
        self._store.delete(name)

    def list(self) -> Sequence[SecretInfo]:
        """Return what may be shown of all stored secrets, by name."""
        return self._store.list()

    def _tell(self, name: str, value: str) -> None:
        with self._lock:
            workflows = list(self._in_progress)
        for workflow in workflows:
            workflow.learn(name, value)


def uses_secret(pipeline: Pipeline, name: str) -> bool:
    """Tell whether a pipeline's config names a secret."""
    return name in (each for _, each in _named(pipeline.spec.config))


def _named(config: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Give config key and name of each secret, in either form."""
    for key, value in config.items():
        path = referenced_path(value)
        if path is not None:
            yield key, secret_name(path)
        elif isinstance(value, dict) and list(value) == ["secret"]:
            yield key, str(value["secret"])


def _declared(config: Mapping[str, Json]) -> dict[str, str]:
    """Return the config key of each reference's path."""
    found = ((referenced_path(value), key) for key, value in config.items())
    return {path: key for path, key in found if path is not None}


def _problem(error: SettingsError, key: str) -> Problem:
    where, source = error.where or Location(f"config '{key}'"), join("config", key, "secret")
    if isinstance(error, SecretNotFound):
        message = f"{error.what}, which config '{key}' needs"
        return Problem("missing-secret", message, where, error.hint, source=source)
    return Problem("unusable-secret", error.what, where, error.hint, source=source)
