"""What is said of a run beside its files: params, metrics and tags."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mlflow.entities import Metric, Param, Run

LONGEST_KEY = 250
# Longer values the server cuts off without a word.
LONGEST_PARAM = 6000
LONGEST_TAG = 8000

_KEY = re.compile(r"[\w./: -]+")


class Said:
    """Params, metrics and tags of a run.

    Args:
        params: Plain values by name; other than text is written as JSON.
        metrics: Numbers by name, or lists of them: one for each step.
        tags: Texts by name.

    Raises:
        ValueError: A name or a value is not possible.
        TypeError: A value is of the wrong kind.
    """

    def __init__(
        self, params: Mapping[str, Any], metrics: Mapping[str, Any], tags: Mapping[str, Any]
    ) -> None:
        self.params = {
            _key("params", name): _text("params", name, value, longest=LONGEST_PARAM)
            for name, value in params.items()
        }
        self.metrics = {
            _key("metrics", name): _numbers(name, value) for name, value in metrics.items()
        }
        self.tags = {
            _key("tags", name): _text("tags", name, value, longest=LONGEST_TAG)
            for name, value in tags.items()
        }
        ours = [name for name in self.tags if name.startswith(("stepline.", "mlflow."))]
        if ours:
            raise ValueError(f"input 'tags': '{ours[0]}' is kept for the platforms' own tags")

    def plain(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        return {"params": self.params, "metrics": self.metrics, "tags": self.tags}

    def batches(self, time_ms: int) -> Iterator[dict[str, Any]]:
        """Give arguments for ``log_batch``, within its limits.

        Args:
            time_ms: Time of all metrics; the same one for the same run, so that what is
                written twice is there once.
        """
        params = [Param(name, value) for name, value in self.params.items()]
        metrics = [
            Metric(name, value, time_ms, step)
            for name, values in self.metrics.items()
            for step, value in enumerate(values)
        ]
        for start in range(0, max(len(params), len(metrics)), 100):
            part = slice(start, start + 100)
            yield {"params": params[part], "metrics": metrics[part]}

    def differences(self, run: Run) -> list[str]:
        """Return in words where a run says something else."""
        newest = {name: values[-1] for name, values in self.metrics.items()}
        there = {name: run.data.tags.get(name) for name in self.tags}
        return [
            f"its {what} are {found!r} instead of {wanted!r}"
            for what, found, wanted in (
                ("params", dict(run.data.params), self.params),
                ("metrics", dict(run.data.metrics), newest),
                ("tags", there, self.tags),
            )
            if found != wanted
        ]


def _key(field: str, name: str) -> str:
    if len(name) > LONGEST_KEY or not _KEY.fullmatch(name) or name != name.strip():
        raise ValueError(f"input '{field}': '{name}' cannot be a name at MLflow")
    return name


def _text(field: str, name: str, value: Any, *, longest: int) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) > longest:
        raise ValueError(f"input '{field}': '{name}' is longer than {longest} characters")
    return text


def _numbers(name: str, value: Any) -> list[float]:
    numbers = value if isinstance(value, list) else [value]
    if not numbers or not all(map(_is_number, numbers)):
        raise TypeError(f"input 'metrics': '{name}' is a number, or a list of them, not {value!r}")
    return [float(number) for number in numbers]


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value)
