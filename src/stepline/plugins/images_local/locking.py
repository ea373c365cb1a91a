"""Locks: the requirements of a task script, each pinned, with the hashes of its files.

A lock is text that pip and uv read. Its lines name no machine, so it can be kept and shown.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stepline.errors import ConfigError, Location, PlatformError
from stepline.packages.outside import is_outside, refuse_outside
from stepline.packages.requirements import (
    REQUIREMENTS,
    depend_on_folder,
    line_at_fault,
    read_requirements,
)
from stepline.packages.uv import CommandFailed, index_arguments, mask_credentials, run_uv

if TYPE_CHECKING:
    from stepline.plugins.images_local.components import Component

PLATFORM = "x86_64-manylinux_2_28"
"""What wheels must run on: every Debian from bullseye on has this C library, or a newer one."""

_WITHOUT_WHEEL = re.compile(r"Wheels are required for `([^`]+)`")
_SOURCE = re.compile(r"Failed to build `([^`]+)`\s+cause: Building source distributions for")
_UNREACHABLE = re.compile(
    r"error sending request|client error \(Connect\)|operation timed out|dns error"
    r"|HTTP status (?:client error \((?:401|403|407|429)|server error)|could not be queried"
)
_NO_ROOM = "No space left on device"
_INDEX_OPTIONS = (
    "-i",
    "--index-url",
    "--extra-index-url",
    "-f",
    "--find-links",
    "--no-index",
    "--trusted-host",
    "--pre",
)
# What a lock may depend on where requirements.txt names files.
_LOCAL = (".txt", ".in", ".whl", ".zip", ".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".toml", ".cfg")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HASH = re.compile(r"--hash[= ]\s*(\w+:[0-9A-Fa-f]+)")


class WithoutWheel(ConfigError):
    """Requirements have no wheel for the runtime.

    Args:
        what: What went wrong.
        where: The line of requirements.txt that is at fault.
        requirements: Those without a wheel, as pip reads them.
    """

    def __init__(self, what: str, *, where: Location, requirements: tuple[str, ...]) -> None:
        hint = "take a version that has a wheel, or put a wheel of it into dependencies/"
        super().__init__(what, where=where, hint=hint)
        self.requirements = requirements


def lock_requirements(
    folder: Path,
    *,
    runtime: str,
    environ: Mapping[str, str],
    wheels: Path | None = None,
    components: Sequence[Component] = (),
    requirements: Path | None = None,
    overrides: Sequence[str] = (),
) -> str:
    """Return the lock of a folder's requirements.txt; empty where it asks for nothing.

    Args:
        folder: The task script's folder.
        runtime: Python to install for, ``3.N``.
        environ: Environment of the platform.
        wheels: Folder of further wheels.
        components: What is installed besides; what they require is in the lock, they are not.
        requirements: A file to read in place of requirements.txt.
        overrides: What counts in place of anything that is said of those packages.

    Raises:
        WithoutWheel: There are requirements that have no wheel.
        ConfigError: The requirements cannot be met, or not together, or name what is not
            in the folder.
        PlatformError: The package index cannot be used.
    """
    refuse_outside(folder)
    own = requirements or folder / REQUIREMENTS
    with tempfile.TemporaryDirectory() as temporary:
        output, further = Path(temporary, "lock.txt"), Path(temporary, "further.txt")
        further.write_text("\n".join(each.requirement for each in components), encoding="utf-8")
        over = Path(temporary, "overrides.txt")
        over.write_text("\n".join(overrides), encoding="utf-8")
        sources = [str(requirements or REQUIREMENTS)] if own.exists() else []
        arguments = ["pip", "compile", *sources, str(further), "--output-file", str(output)]
        arguments += ["--overrides", str(over)] if overrides else []
        arguments += ["--generate-hashes", "--no-header", "--no-annotate", "--no-build"]
        arguments += target_arguments(runtime)
        arguments += ["--find-links", str(wheels)] if wheels is not None else []
        try:
            run_uv(*arguments, *index_arguments(environ), cwd=folder, environ=environ)
        except CommandFailed as failure:
            raise (
                _conflict(failure.output, components) or _fault(folder, failure.output, runtime)
            ) from None
        text = output.read_text(encoding="utf-8")
    left_out = {_plain(component.name) for component in components}
    return _with_chosen_hashes(text, read_requirements(folder), left_out=left_out)


def source_entries(lock: str, folder: Path) -> list[str]:
    """Return the entries of a lock that name files which are no wheels.

    Args:
        lock: The lock.
        folder: What paths in it are relative to.

    Raises:
        ConfigError: An entry names a folder.
    """
    found = []
    for line in _logical_lines(lock):
        place = _place_of(line)
        if line.startswith("-e") or (place and (folder / place.removeprefix("file:")).is_dir()):
            raise ConfigError(
                f"{place or line} is a folder of sources, and not a package",
                where=line_at_fault(read_requirements(folder), place or line),
                hint="name the folder in config.json, under image.components",
            )
        if place and not place.partition("#")[0].endswith(".whl"):
            found.append(line)
    return found


def refuse_outside_lock(lock: str, folder: Path) -> None:
    """Refuse a lock with files that are not in the task script's folder.

    Packages in it may require such files, and lock files of projects name them.

    Args:
        lock: The lock, without components.
        folder: What paths in it are relative to.

    Raises:
        ConfigError: An entry names one.
    """
    for line in _logical_lines(lock):
        if (place := _place_of(line)) and is_outside(place, folder):
            raise ConfigError(
                f"{place} is required, and is not in the task script's folder",
                where=line_at_fault(read_requirements(folder), place),
                hint="copy it into the folder, and have requirements name it there",
            )


def is_direct(requirement: str) -> bool:
    """Tell whether a requirement names a file or an address."""
    return bool(_place_of(requirement))


def asks_for_nothing(folder: Path) -> bool:
    """Tell whether a folder has no requirements.txt, or one without a line that counts."""
    return not any(_logical_lines(read_requirements(folder)))


def target_arguments(runtime: str) -> list[str]:
    """Return uv's arguments for what the packages are to run on."""
    return [
        "--python",
        sys.executable,
        "--python-version",
        runtime,
        "--python-platform",
        PLATFORM,
    ]


def lock_key(folder: Path, *, runtime: str) -> str:
    """Return what a lock is kept under: a digest of all files that it may depend on."""
    requirements = read_requirements(folder)
    digest = hashlib.sha256(f"{runtime} {PLATFORM}\n{requirements}".encode())
    for path in _local_files(folder) if depend_on_folder(requirements) else ():
        content = hashlib.sha256((folder / path).read_bytes()).hexdigest()
        digest.update(f"{path}\n{content}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def index_options(folder: Path) -> list[str]:
    """Return the lines of requirements.txt, and of what it includes, that name indexes.

    Folders in them are full paths; credentials in them are as the author wrote them.

    Raises:
        ConfigError: They name what is not in the folder.
    """
    refuse_outside(folder)
    return list(dict.fromkeys(_index_options(folder, folder / REQUIREMENTS, 0)))


def install_fault(folder: Path, output: str) -> ConfigError | PlatformError:
    """Return the error for a lock that cannot be installed.

    Args:
        folder: The task script's folder.
        output: What uv said.
    """
    return _machine_fault(output) or ConfigError(
        f"the requirements cannot be installed:\n{output}",
        where=line_at_fault(read_requirements(folder), output),
        hint="change that line, or the runtime in config.json",
    )


def _conflict(output: str, components: Sequence[Component]) -> ConfigError | None:
    """Return the error for components that suit nothing else; None where they are not at fault."""
    if not components:
        return None
    from stepline.plugins.images_local.conflicts import conflict

    return conflict(output, components)


def _fault(folder: Path, output: str, runtime: str) -> ConfigError | PlatformError:
    requirements = read_requirements(folder)
    names = dict.fromkeys(_WITHOUT_WHEEL.findall(output))
    wanted = tuple(_requirement(name, requirements, output) for name in names)
    if wanted := wanted or tuple(dict.fromkeys(_SOURCE.findall(output))):
        return WithoutWheel(
            f"there is no wheel of {mask_credentials(', '.join(wanted))} for Python {runtime} "
            f"on {PLATFORM}:\n{output}",
            where=line_at_fault(requirements, output),
            requirements=wanted,
        )
    return _machine_fault(output) or ConfigError(
        f"the requirements cannot be met:\n{output}",
        where=line_at_fault(requirements, output),
        hint="change that line, or the runtime in config.json",
    )


def _machine_fault(output: str) -> PlatformError | None:
    """Return the error for what no author can mend; None where it is something else."""
    if _NO_ROOM in output:
        return PlatformError(
            f"a disk is full:\n{output}",
            hint="make room, also where UV_CACHE_DIR or HOME is; nothing half-made was kept",
            retryable=True,
        )
    if _UNREACHABLE.search(output):
        return PlatformError(
            f"the package index cannot be used:\n{output}",
            hint="UV_DEFAULT_INDEX or PIP_INDEX_URL names it, with the user and password that "
            "it wants; HTTPS_PROXY and SSL_CERT_FILE say how to reach it",
            retryable=True,
        )
    return None


def _requirement(name: str, requirements: str, output: str) -> str:
    """Return a requirement by name, as narrowly as is known."""
    exact = re.search(rf"(?<![\w.-]){re.escape(name)}==\S+(?= has no usable wheels)", output)
    if exact:
        return exact[0]
    for line in _logical_lines(requirements):
        if (found := _NAME.match(line)) and _plain(found[0]) == _plain(name):
            return _HASH.sub("", line).strip()
    return name


def _with_chosen_hashes(lock: str, requirements: str, *, left_out: Collection[str]) -> str:
    """Return a lock without some packages, and the hashes that an author does not give."""
    chosen: dict[str, set[str]] = {}
    for line in _logical_lines(requirements):
        if (name := _NAME.match(line)) and (hashes := _HASH.findall(line)):
            chosen.setdefault(_plain(name[0]), set()).update(hash.lower() for hash in hashes)
    kept = [line for line in _logical_lines(lock) if _plain(_name_of(line)) not in left_out]
    return _formatted([_chosen(line, chosen, requirements) for line in kept])


def _chosen(line: str, chosen: Mapping[str, set[str]], requirements: str) -> str:
    """Return an entry of a lock with the hashes that the author has chosen."""
    name = _name_of(line)
    wanted = chosen.get(_plain(name))
    if wanted is None:
        return line
    hashes = [hash for hash in _HASH.findall(line) if hash in wanted]
    if not hashes:
        raise ConfigError(
            f"no file of {name} has a hash that {REQUIREMENTS} gives",
            where=line_at_fault(requirements, f"`{name}`"),
            hint="give the hashes that the package index shows, or none",
        )
    return " ".join([_HASH.sub("", line), *(f"--hash={hash}" for hash in hashes)])


def _formatted(lines: Collection[str]) -> str:
    """Return the text of a lock: its entries sorted, one hash to a line."""
    entries = []
    for line in sorted(lines):
        hashes = [f"    --hash={hash}" for hash in sorted(_HASH.findall(line))]
        entries.append(" \\\n".join([" ".join(_HASH.sub("", line).split()), *hashes]) + "\n")
    return "".join(entries)


def _place_of(line: str) -> str:
    """Return the address or path that an entry of a lock names; empty for one of an index."""
    bare = _HASH.sub("", line).partition(" ;")[0].strip()
    _, direct, place = bare.partition(" @ ")
    if direct:
        return place.strip()
    return bare if bare.startswith((".", "/", "file:")) or "://" in bare else ""


def _name_of(line: str) -> str:
    """Return the name that an entry of a lock starts with; empty for a path."""
    found = _NAME.match(line)
    return found[0] if found else ""


def _logical_lines(text: str) -> Iterator[str]:
    """Give lines joined where a backslash says so, without comments and empty ones."""
    for line in re.sub(r"\\\s*\n", " ", text).splitlines():
        if bare := " ".join(re.sub(r"(^|\s)#.*", "", line).split()):
            yield bare


def _index_options(folder: Path, file: Path, depth: int) -> Iterator[str]:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in _logical_lines(text):
        option, _, value = line.replace("=", " ", 1).partition(" ")
        value = value.strip()
        if option in ("-r", "--requirement") and depth < 8:
            yield from _index_options(folder, file.parent / value, depth + 1)
        elif option in ("-f", "--find-links") and (folder / value).is_dir():
            yield f"{option} {(folder / value).absolute()}"
        elif option in _INDEX_OPTIONS:
            yield f"{option} {value}".strip()


def _local_files(folder: Path) -> list[str]:
    """Return the files that a lock may depend on, by their path in the folder."""
    found = []
    for base, _, names in os.walk(folder):
        found += [
            os.path.relpath(os.path.join(base, name), folder)
            for name in names
            if name.lower().endswith(_LOCAL) and os.path.isfile(os.path.join(base, name))
        ]
    return sorted(found)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
