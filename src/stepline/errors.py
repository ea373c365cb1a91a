"""Every error that Stepline raises, and how a problem in a file is described.

A raised error says what is wrong, where, and what to do about it. Checks of a
file collect `Problem`s and raise them once, as `UserError.problems`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal, Self

from stepline.frozen import frozen

Severity = Literal["error", "warning"]


@frozen
class Location:
    """A place in a file; line and column count from 1, None where unknown."""

    path: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        parts = [self.path]
        if self.line is not None:
            parts.append(str(self.line))
            if self.column is not None:
                parts.append(str(self.column))
        return ":".join(parts)


@frozen
class Problem:
    """One thing that is wrong, or dubious, in a file.

    Attributes:
        code: Stable kebab-case name of the kind of problem, for machines.
        message: What is wrong, in one sentence without a final full stop.
        where: The file and, where known, the position in it.
        hint: What to do about it, or an empty string.
        severity: Errors refuse the file; warnings do not.
        source: Path inside the document, such as ``steps.a.input``.
        expression: Text of the expression concerned, if any.
    """

    code: str
    message: str
    where: Location
    hint: str = ""
    severity: Severity = "error"
    source: str = ""
    expression: str = ""

    def to_plain(self) -> dict[str, Any]:
        """Return the form that ``stepline validate --json`` prints."""
        return {
            "file": self.where.path,
            "line": self.where.line,
            "column": self.where.column,
            "severity": self.severity,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
        }

    def to_cache(self) -> dict[str, Any]:
        """Return every field as plain data."""
        return asdict(self)

    @classmethod
    def from_cache(cls, plain: dict[str, Any]) -> Problem:
        """Rebuild a problem from what `to_cache` returned."""
        return cls(**{**plain, "where": Location(**plain["where"])})


class SteplineError(Exception):
    """Base of all errors of Stepline.

    Args:
        what: What went wrong, in one sentence without a final full stop.
        where: The place in a file that is at fault.
        hint: What the reader can do about it.
    """

    exit_code = 3

    def __init__(self, what: str, *, where: Location | None = None, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}. Hint: {self.hint}" if self.hint else text


class UserError(SteplineError):
    """The author of the input can mend it.

    Args:
        problems: All problems found in one go, where the error stands for several.
    """

    exit_code = 2

    def __init__(
        self,
        what: str,
        *,
        where: Location | None = None,
        hint: str = "",
        problems: Sequence[Problem] = (),
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.problems = tuple(problems)

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> Self:
        """Return the error that stands for problems, of which at least one is an error.

        Of several, each has its own hint behind it in brackets.
        """
        errors = [problem for problem in problems if problem.severity == "error"]
        first = errors[0]
        if len(errors) == 1:
            return cls(first.message, where=first.where, hint=first.hint, problems=problems)
        what = "; ".join(f"{each.message} ({each.hint})".removesuffix(" ()") for each in errors)
        return cls(what, where=first.where, problems=problems)


class SettingsError(UserError):
    """A setting, environment variable or command-line value is not usable."""


class SecretNotFound(SettingsError):
    """There is no secret of this name."""


class ConfigError(UserError):
    """A config.json, manifest.json or configuration value is not usable."""


class ProtocolError(UserError):
    """A protocol is not valid."""


class ExpressionError(UserError):
    """An expression cannot be parsed, typed or evaluated.

    Args:
        code: Kebab-case name of the fault, as in the conformance table.
        offset: Characters from the start of the expression text to the fault.
    """

    def __init__(self, what: str, *, code: str, offset: int = 0, hint: str = "") -> None:
        super().__init__(what, hint=hint)
        self.code = code
        self.offset = offset


class ArtifactNotFound(UserError):
    """A task script, protocol or function that was named does not exist."""


class VersionExists(UserError):
    """A version is published already and was not forced."""


class UploadError(UserError):
    """A file cannot be taken in."""


class TaskError(SteplineError):
    """A function raised, or its process ended abnormally."""

    exit_code = 1


class PluginError(SteplineError):
    """A plugin broke a promise or could not be loaded.

    Args:
        plugin: Name of the plugin.
        package: Distribution that brought it.
    """

    def __init__(self, what: str, *, plugin: str, package: str = "", hint: str = "") -> None:
        origin = f"plugin '{plugin}'" + (f" of package {package}" if package else "")
        super().__init__(f"{origin}: {what}", hint=hint)
        self.plugin = plugin
        self.package = package


class PlatformError(SteplineError):
    """Storage, a process, the network or another service failed.

    Args:
        retryable: Whether the same act may succeed when done again.
    """

    def __init__(
        self,
        what: str,
        *,
        where: Location | None = None,
        hint: str = "",
        retryable: bool = False,
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.retryable = retryable
