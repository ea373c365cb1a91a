"""What all parts of a Context stand on: its values, its folders, its line to the platform."""

from __future__ import annotations

from stepline_sdk.errors import CallError, NoAllowedIdsSpecified, public_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Protocol

    from stepline_sdk.allowed_ids import AllowedIds
    from stepline_sdk.files import File
    from stepline_sdk.log import Log

    class Channel(Protocol):
        """A line to the platform; the worker and the test kit each have one."""

        def call(self, method: str, params: dict[str, Any]) -> Any:
            """Have the platform do one thing; raise `CallError` where it refuses."""


_ALIASES = {
    "protocol_slug": "master_script_slug",
    "protocol_version": "master_script_version",
}


def snake_case(name: str) -> str:
    """Return a camelCase name with ``_`` and a small letter for each capital."""
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


class ContextBase:
    """Values of the task as attributes, and calls to the platform.

    Args:
        values: The task's context values; each camelCase key becomes an attribute.
        channel: Line to the platform.
        scratch_dir: Folder that the platform sees too; bulk bytes go through it.
        tmp_dir: The task's own temporary folder.
        function: The function's entry in config.json.

    Raises:
        ValueError: ``pipelineConfig`` is not an object.
    """

    include_prereleases: bool = False
    tmp_dir: str

    if TYPE_CHECKING:
        input_file: File
        org_slug: str
        pipeline_config: dict[str, Any]
        platform_api_url: str

    def __init__(
        self,
        values: Mapping[str, Any],
        *,
        channel: Channel,
        scratch_dir: str,
        tmp_dir: str,
        function: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(values.get("pipelineConfig"), dict):
            raise ValueError("the context value pipelineConfig must be an object")
        self._values = dict(values)
        self._channel = channel
        self._scratch_dir = str(scratch_dir)
        self._function = dict(function or {})
        self._experiments: set[str] = set()
        self._set_attributes()
        self.tmp_dir = str(tmp_dir)

    def _set_attributes(self) -> None:
        for key, value in self._values.items():
            name = snake_case(key)
            if not callable(getattr(type(self), name, None)) and name != "allowed_ids":
                setattr(self, name, value)
        for name, origin in _ALIASES.items():
            if name not in self.__dict__ and origin in self.__dict__:
                setattr(self, name, self.__dict__[origin])

    @property
    def allowed_ids(self) -> AllowedIds:
        """The IDS that config.json allows the function.

        Raises:
            NoAllowedIdsSpecified: config.json has no ``allowedIds`` for the function.
        """
        from stepline_sdk.allowed_ids import AllowedIds

        if "allowedIds" not in self._function:
            raise NoAllowedIdsSpecified("config.json has no 'allowedIds' for this function")
        return AllowedIds.from_config(self._function["allowedIds"])

    def get_logger(self) -> Log:
        """Return the structured logger of this task."""
        from stepline_sdk.log import Log

        if "_log" not in self.__dict__:
            self._log = Log(self._values)
        return self._log

    def _call(self, method: str, params: dict[str, Any]) -> Any:
        try:
            return self._channel.call(method, params)
        except CallError as error:
            refusal = public_error(error)
        # Raised here, so that a traceback shows no second exception.
        raise refusal
