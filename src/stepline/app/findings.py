"""What several checks of one thing find, gathered, so that a person is told all of it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from stepline.errors import ConfigError, Location, Problem, UserError

T = TypeVar("T")


class Findings:
    """Gathers problems.

    Args:
        path: What problems name as their file, where a check names none.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._problems: dict[tuple[str, str], Problem] = {}
        self._errors: list[UserError] = []

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What was found, each once."""
        return tuple(self._problems.values())

    def add(self, problems: Iterable[Problem]) -> None:
        """Take what a check found."""
        for problem in problems:
            self._problems.setdefault((problem.source, problem.message), problem)

    def part(self, check: Callable[[], T], *, source: str, code: str) -> T | None:
        """Return what a check of one part returns; take the error that it raises, and go on.

        Args:
            check: The check.
            source: Path of the part, for problems that name none.
            code: Kind of the problem, for an error that stands for no others.
        """
        try:
            return check()
        except UserError as error:
            self._errors.append(error)
            where = error.where or Location(self._path)
            found = error.problems or (Problem(code, error.what, where, error.hint),)
            self.add(replace(each, source=each.source or source) for each in found)
            return None

    def check(self) -> None:
        """Raise if there is anything.

        Raises:
            UserError: With all problems. A single error stays what it was.
        """
        if not self._problems:
            return
        if self._errors and len(self._problems) == 1:
            self._errors[0].problems = self.problems
            raise self._errors[0]
        raise ConfigError.of(self.problems)
