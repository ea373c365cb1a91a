"""Import of what a task script exposes, inside its image, before somebody relies on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stepline.app.import_check import check_imports
from stepline.errors import PlatformError, UserError
from stepline.ports.executor import Executor, ScriptVersion

Tell = Callable[[str], None]


def check_inside(
    version: ScriptVersion,
    executors: Sequence[Callable[[], Executor]],
    *,
    task_id: str,
    tell: Tell,
) -> bool:
    """Import each function of a task script as a task would, in an image that is built.

    Args:
        version: The task script.
        executors: Return executors that run tasks in images; the first that can is taken.
        task_id: Prefix of the ids under which it knows the imports.
        tell: Told what imports print, and where nothing was checked.

    Returns:
        Whether it was checked.

    Raises:
        UserError: A function cannot be imported.
    """
    reasons = []
    for make in executors:
        try:
            executor = make()
            try:
                _check(executor, version, task_id=task_id, tell=tell)
            finally:
                executor.close()
        except PlatformError as error:
            reasons.append(error.what)
        else:
            return True
    tell("its functions were not imported, since nothing here runs images:")
    for reason in reasons:
        tell(f"  {reason}")
    return False


def _check(executor: Executor, version: ScriptVersion, *, task_id: str, tell: Tell) -> None:
    executor.prepare(version, tell=lambda line: None)
    problems = check_imports(executor, version, task_id=task_id, tell=tell, explain=tell)
    if problems:
        raise UserError.of(problems)
