"""What parsing a file gives: a model or none, and every problem that was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Generic, TypeVar

from stepline.errors import Location, Problem, UserError
from stepline.frozen import frozen
from stepline.model.protocol import Step

T = TypeVar("T")


@frozen
class Parsed(Generic[T]):
    """The outcome of parsing one file.

    Attributes:
        value: The model; None if any problem is an error.
        problems: Errors and warnings, ordered by position.
        path: The file's path, as given to the parser.
        positions: Line and column, from 1, by path inside the document. Steps are
            named by index here, as in ``steps[1].task.function``.
        steps: Of a protocol with errors, the steps whose task is right, with nothing but
            index, id and task: for checks against other files.
    """

    value: T | None
    problems: tuple[Problem, ...] = ()
    path: str = ""
    positions: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that refuse the file."""
        return tuple(p for p in self.problems if p.severity == "error")

    def locate(self, inside: str) -> Location:
        """Return where a path inside the document stands, or the nearest one above it."""
        while inside:
            if inside in self.positions:
                return Location(self.path, *self.positions[inside])
            inside = inside[: max(inside.rfind("."), inside.rfind("["), 0)]
        return Location(self.path, *self.positions.get("", (None, None)))

    def unwrap(self, error: type[UserError] = UserError) -> T:
        """Return the model.

        Raises:
            UserError: The file has errors; of the given class, with all problems.
        """
        if self.value is not None:
            return self.value
        first = self.errors[0] if self.errors else None
        count = len(self.errors)
        what = f"{self.path} has {count} error{'s' if count != 1 else ''}"
        where = first.where if first else Location(self.path)
        hint = first.message if first else ""
        raise error(what, where=where, hint=hint, problems=self.problems)
