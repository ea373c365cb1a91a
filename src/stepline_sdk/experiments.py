"""Experimental features that a task script may allow itself."""

from __future__ import annotations

from enum import Enum


class Experiment(str, Enum):
    """Names that `Context.enable_experiment` takes."""

    CONDITIONAL_WRITES = "conditional_writes"

    def __str__(self) -> str:
        return self.value


#: Former experiments, permanent by now; to allow one changes nothing.
GRADUATED: frozenset[str] = frozenset()


def is_graduated(name: str) -> bool:
    """Return whether an experiment is permanent by now.

    Raises:
        ValueError: There is no such experiment.
    """
    if str(name) in GRADUATED:
        return True
    known = [str(experiment) for experiment in Experiment]
    if str(name) not in known:
        raise ValueError("unknown experiment %r; known: %s" % (str(name), ", ".join(known)))
    return False
