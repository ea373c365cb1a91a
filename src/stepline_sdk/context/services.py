"""Secrets, search, commands, experiments, and the way out."""

from __future__ import annotations

from stepline_sdk.context import scratch
from stepline_sdk.context.base import ContextBase
from stepline_sdk.errors import FatalError, NotAvailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class ServicesMixin(ContextBase):
    """The part of a Context that is about the platform rather than files."""

    def resolve_secret(self, secret: Any) -> Any:
        """Return a secret's newest value.

        Args:
            secret: A reference from the configuration, ``{"ssm": …}``. Anything else is
                returned as it is.

        Returns:
            The value, or None and a line in the log where there is no such secret.
        """
        if type(secret) is not dict or "ssm" not in secret:
            return secret
        resolved = "_resolved_:%s" % (secret["ssm"],)
        if resolved in self._pipeline_config:
            return self._pipeline_config[resolved]
        answer = self._call("resolve_secret", {"ssm": secret["ssm"]})
        value = answer["value"]
        if value is None:
            value = _from_environment(secret["ssm"])
        if value is None:
            self.get_logger().log({"level": "warning", "message": answer["problem"]})
        return value

    def find_secrets(self, path: Any) -> list[dict[str, str]]:
        """Return which secrets of the workflow a file holds; also those the task never asked for.

        Looked for are the values themselves, escaped, URL-encoded, in base64 or UTF-16, in
        the file and in what it holds compressed (gzip, bzip2, xz, zip).

        Args:
            path: A plain file of the task.

        Returns:
            For each secret found its name in the configuration, ``secret``, and the member of
            an archive that holds it, ``member``, which is empty otherwise.

        Raises:
            OSError: The file cannot be read.
            ValueError: It is compressed, and cannot be looked into to its end.
        """
        name = scratch.lend(self._scratch_dir, str(path))
        try:
            found: list[dict[str, str]] = self._call("find_secrets", {"scratch": name})
        finally:
            scratch.remove(self._scratch_dir, name)
        return found

    def get_secret_config_value(self, secret_name: str, silent_on_error: bool = True) -> str:
        """Return the value of the secret that a config key ``ts_secret_name_…`` names.

        Deprecated: use `resolve_secret`.

        Args:
            secret_name: Name of the secret, with or without that prefix.
            silent_on_error: Return an empty text where the secret is missing.

        Raises:
            Exception: The secret is missing and ``silent_on_error`` is false.
        """
        value = self._secret_by_name(secret_name)
        if value is None:
            message = "there is no secret for the config key %s" % _secret_key(secret_name)
            if not silent_on_error:
                raise Exception(message)  # of the type that scripts know
            self.get_logger().log(message)
            return ""
        return value

    def search_eql(
        self, payload: dict[str, Any], returns: str = "raw", query: Mapping[str, Any] | None = None
    ) -> Any:
        """Search files with an Elasticsearch query.

        Args:
            payload: The query, with ``size``, ``from`` and ``sort`` where wanted.
            returns: ``raw`` for the answer as it is, ``filePointers`` for a list of file
                pointers.
            query: Parameters of the request, such as ``size``.

        Raises:
            ValueError: The query is not understood.
        """
        answer = self._call("search_eql", {"payload": payload, "query": dict(query or {})})
        if returns != "filePointers":
            return answer
        return [_pointer_of(hit["_source"]) for hit in answer["hits"]["hits"]]

    def run_cmd(  # noqa: PLR0917  # the published signature
        self,
        target_id: str,
        action: str,
        metadata: dict[str, Any] | None,
        payload: Any,
        ttl_sec: int = 300,
        initial_delay_sec: int = 0,
        return_command: bool = False,
    ) -> Any:
        """Have a remote target do something; there is no service for it here.

        Raises:
            ValueError: An argument is missing or out of range.
            NotAvailableError: Otherwise, always.
        """
        _check_command(target_id, action, payload)
        if not 60 <= ttl_sec <= 900:
            raise ValueError("ttl_sec is %r, it must be between 60 and 900" % (ttl_sec,))
        if not 0 <= initial_delay_sec <= 60:
            raise ValueError(
                "initial_delay_sec is %r, it must be between 0 and 60" % (initial_delay_sec,)
            )
        raise NotAvailableError(
            "command %r for target %r was not sent: commands need a command service, "
            "which this platform does not have" % (action, target_id)
        )

    def run_command(  # noqa: PLR0917  # the published signature
        self,
        org_slug: str,
        target_id: str,
        action: str,
        metadata: dict[str, Any] | None,
        payload: Any,
        ttl_sec: int = 300,
        initial_delay_sec: int = 0,
        return_command: bool = False,
    ) -> Any:
        """Do as `run_cmd` does. Deprecated."""
        if org_slug is None:
            raise ValueError("org_slug is missing")
        return self.run_cmd(
            target_id, action, metadata, payload, ttl_sec, initial_delay_sec, return_command
        )

    def raise_fatal_error(self, message: str = "No message") -> None:
        """End the task for good: exit code 126, no retry."""
        self.get_logger().log({"level": "error", "message": "Got FatalError: '%s'" % (message,)})
        raise FatalError(message)

    def enable_experiment(self, name: str) -> None:
        """Allow an experimental feature for this task.

        Raises:
            ValueError: There is no such experiment.
        """
        from stepline_sdk.experiments import is_graduated

        if is_graduated(name):
            text = "experiment %s is a permanent feature by now" % name
            self.get_logger().log({"level": "info", "message": text})
        else:
            self._experiments.add(str(name))

    def is_experiment_enabled(self, name: str) -> bool:
        """Return whether `enable_experiment` was called for this experiment."""
        return str(name) in self._experiments

    @property
    def _pipeline_config(self) -> dict[str, Any]:
        config: dict[str, Any] = self._values["pipelineConfig"]
        return config

    def _secret_by_name(self, name: str) -> str | None:
        short = name[len(_SECRET_PREFIX) :] if name.startswith(_SECRET_PREFIX) else name
        resolved = "_resolved_:%s" % short
        if resolved in self._pipeline_config:
            found: str | None = self._pipeline_config[resolved]
            return found
        configured = self._pipeline_config.get(_secret_key(name))
        if configured is None:
            return None
        reference = configured if type(configured) is dict else {"ssm": configured}
        value = self.resolve_secret(reference)
        return _task_secret(short) if value is None else value


_SECRET_PREFIX = "ts_secret_name_"


def _secret_key(name: str) -> str:
    return name if name.startswith(_SECRET_PREFIX) else _SECRET_PREFIX + name


def _from_environment(reference: str) -> str | None:
    """Return the value that the task's environment holds for an ``ssm`` path."""
    import os
    import re

    return os.environ.get("SECRET_" + _words(re.sub(r"^/[^/]*/[^/]*/org-secrets/", "", reference)))


def _task_secret(name: str) -> str | None:
    import os

    if os.environ.get("TASK_SCRIPTS_CONTAINERS_MODE") != "ecs":
        return None
    return os.environ.get("TS_SECRET_" + _words(name))


def _words(text: str) -> str:
    import re

    return re.sub(r"[^A-Za-z0-9]+", "_", text)


def _pointer_of(source: dict[str, Any]) -> dict[str, Any]:
    file = source["file"]
    return {
        "type": "s3file",
        "bucket": file["bucket"],
        "fileKey": file["path"],
        "fileId": source["fileId"],
        "version": file["version"],
    }


def _check_command(target_id: str, action: str, payload: Any) -> None:
    given = {"target_id": target_id, "action": action, "payload": payload}
    missing = [name for name, value in given.items() if value is None]
    if missing:
        raise ValueError("%s missing" % " and ".join(missing))
