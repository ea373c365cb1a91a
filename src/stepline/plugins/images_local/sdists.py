"""Requirements without a wheel: built from source, where that takes no compiler."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from stepline.errors import ConfigError, PlatformError
from stepline.packages.requirements import line_at_fault, read_requirements
from stepline.plugins.images_local.build_settings import SEEN_AT
from stepline.plugins.images_local.build_steps import HookBases, Steps, give_back, tail
from stepline.plugins.images_local.configs import CODE
from stepline.plugins.images_local.locking import index_options
from stepline.plugins.images_local.wheel_files import find_text, is_too_large, is_whole
from stepline.ports.engine import Mount
from stepline.ports.images import Tell

LIMIT_S = 900.0
"""How long the building of all wheels may take, seconds."""

_WHEELS_AT = "/run/stepline-wheels"
_PURE = re.compile(r"-(?:py3|py2\.py3)-none-any\.whl$")
_UNREACHABLE = re.compile(
    r"Failed to establish a new connection|Connection refused|NewConnectionError|"
    r"Name or service not known|Temporary failure in name resolution|ReadTimeoutError"
)


def build_wheels(
    requirements: Sequence[str],
    target: Path,
    *,
    folder: Path,
    bases: HookBases,
    steps: Steps,
    tell: Tell,
) -> None:
    """Build wheels of requirements from source, in the base of hooks.

    Args:
        requirements: Requirements, each as pip reads it.
        target: An empty folder for the wheels.
        folder: The task script's folder, where local files of requirements are.
        bases: The bases of the runtime.
        steps: Runs pip.
        tell: Takes lines about what is going on.

    Raises:
        ConfigError: A requirement cannot be built without a compiler.
        PlatformError: Nothing can be built on this machine.
    """
    with steps.store.temporary() as work:
        settings = steps.settings(work / "settings", base=bases.hook, must_have_apt=False)
        built = work / "wheels"
        built.mkdir()
        for number, requirement in enumerate(requirements):
            tell(f"building a wheel of {requirement}")
            listed = "\n".join([*index_options(folder), requirement, ""])
            listed = listed.replace(str(folder.absolute()), CODE)
            work.joinpath("settings", "requirements.txt").write_text(listed)
            ended = steps.run(
                _script(),
                bases.hook.image,
                settings=settings.knowing([listed]),
                mounts=(
                    Mount(source=str(folder.absolute()), target=CODE),
                    Mount(source=str(built), target=_WHEELS_AT, read_only=False),
                ),
                scratch=work / f"run{number}",
                limit_s=LIMIT_S,
                tell=tell,
            )
            if ended.code != 0:
                raise _failure(requirement, folder, ended.output)
            for wheel in sorted(built.glob("*.whl")):
                _check(wheel, requirement, folder, settings.secrets)
                wheel.replace(target / wheel.name)


def _script() -> str:
    """Return the shell script that builds one wheel."""
    lines = [
        f"cd {CODE} || exit 125",
        f"python3 -m pip wheel --no-deps --wheel-dir {_WHEELS_AT} -r {SEEN_AT}/requirements.txt",
        "code=$?",
        give_back(_WHEELS_AT),
        "exit $code\n",
    ]
    return "\n".join(lines)


def _check(wheel: Path, requirement: str, folder: Path, secrets: Sequence[str]) -> None:
    """Refuse what a source gives that is no wheel of Python alone, or tells a password."""
    if not _PURE.search(wheel.name):
        raise _without_wheel(requirement, folder, f"its source gives {wheel.name}")
    where = line_at_fault(read_requirements(folder), requirement)
    hint = "look at what its build does: setup.py, or the build backend in pyproject.toml"
    if not is_whole(wheel) or is_too_large(wheel):
        what = f"the source of {requirement} gives {wheel.name}, which is no wheel that can be used"
        raise ConfigError(what, where=where, hint=hint)
    if secrets and (found := find_text(wheel, secrets)):
        raise ConfigError(
            f"building {requirement} left a password of this machine's settings in {found}",
            where=where,
            hint=f"{hint}; images are passed on",
        )


def _failure(requirement: str, folder: Path, output: str) -> ConfigError | PlatformError:
    if _UNREACHABLE.search(output):
        return PlatformError(
            f"{requirement} cannot be built, as the package index cannot be used:\n{tail(output)}",
            hint="what building takes, such as setuptools, comes from the package index too",
            retryable=True,
        )
    return _without_wheel(requirement, folder, f"its source cannot be built:\n{tail(output)}")


def _without_wheel(requirement: str, folder: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{requirement} has no wheel for the base and would need a compiler: {why}",
        where=line_at_fault(read_requirements(folder), requirement),
        hint="require a version that has a wheel, or build one elsewhere and put it into the "
        "task script's folder",
    )
