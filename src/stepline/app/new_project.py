"""A new project: a task script, a protocol, an input file and tests that pass."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from stepline.errors import Location, SettingsError
from stepline.frozen import frozen

_TEMPLATE = Path(__file__).with_name("project_template")
_SCHEMAS = ("protocol", "config", "manifest")
_NAMESPACE = re.compile(r"common|(?:client|private)-[0-9a-zA-Z]+(?:-[0-9a-zA-Z]+)*")
_NOT_IN_A_SLUG = re.compile(r"[^0-9a-z]+")


@frozen(kw_only=True)
class ProjectNames:
    """What a new project is called.

    Attributes:
        slug: Of the task script and of the protocol.
        name: What people see.
        namespace: Owner scope of both.
        runtime: Python of the task script, ``python3.N``.
    """

    slug: str
    name: str
    namespace: str
    runtime: str


def project_names(folder: Path, *, name: str | None, namespace: str, runtime: str) -> ProjectNames:
    """Return the names of a project in a folder; its slug is made of the folder's name.

    Args:
        folder: The project's folder.
        name: What people see; None: made of the slug.
        namespace: Owner scope.
        runtime: Python of the task script, ``python3.N``.

    Raises:
        SettingsError: No slug can be made of the folder's name, or a name is not allowed.
    """
    folder_name = folder.resolve().name
    slug = _NOT_IN_A_SLUG.sub("-", folder_name.lower()).strip("-")
    if not slug:
        raise SettingsError(
            f"no slug can be made of the folder's name '{folder_name}'",
            hint="name a folder with letters a to z or digits in its name",
        )
    shown = name or slug.replace("-", " ").capitalize()
    if not shown.isprintable():
        raise SettingsError(f"the name {shown!r} holds what cannot be printed")
    check_namespace(namespace)
    return ProjectNames(slug=slug, name=shown, namespace=namespace, runtime=runtime)


def check_namespace(namespace: str) -> None:
    """Refuse what is no namespace.

    Raises:
        SettingsError: It is none.
    """
    if not _NAMESPACE.fullmatch(namespace):
        raise SettingsError(
            f"'{namespace}' is not a namespace",
            hint="use common, client-<organisation> or private-<organisation>: letters and "
            "digits, in parts joined by single hyphens",
        )


def project_files(names: ProjectNames) -> dict[str, str]:
    """Return the text of each file of a new project, by its path."""
    values = {
        "@slug@": names.slug,
        "@module@": names.slug.replace("-", "_"),
        "@name@": names.name,
        "@name-json@": json.dumps(names.name, ensure_ascii=False),
        "@namespace@": names.namespace,
        "@runtime@": names.runtime,
    }
    sources = (path for path in sorted(_TEMPLATE.rglob("*.in")) if path.is_file())
    found = {
        _path(_filled(str(path.relative_to(_TEMPLATE)), values)): _filled(
            path.read_text(encoding="utf-8"), values
        )
        for path in sources
    }
    return {**found, **_schemas()}


def write_project(folder: Path, texts: Mapping[str, str], *, force: bool) -> list[str]:
    """Write a new project; files that exist are left as they are.

    Args:
        folder: Where; made if it is not there.
        texts: Text of each file by its path.
        force: Whether the folder may have something in it.

    Returns:
        The paths of the files that were there before.

    Raises:
        SettingsError: The folder is a file, is not empty, or cannot be written.
    """
    where = Location(str(folder))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not force and any(folder.iterdir()):
            raise SettingsError(
                "the folder is not empty",
                where=where,
                hint="name a new one, or add --force, which keeps the files that are there",
            )
        return [path for path, text in texts.items() if not _write_new(folder / path, text)]
    except FileExistsError as error:
        raise SettingsError("a file of that name is there", where=where) from error
    except OSError as error:
        raise SettingsError(f"cannot be written: {error.strerror}", where=where) from error


def _write_new(path: Path, text: str) -> bool:
    """Write a file unless there is something of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(path):
        return False
    with open(path, "x", encoding="utf-8") as file:
        file.write(text)
    return True


def _path(template: str) -> str:
    parts = Path(template.removesuffix(".in")).parts
    return "/".join(re.sub("^dot-", ".", part) for part in parts)


def _filled(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"@[a-z-]+@", lambda found: values[found[0]], text)


def _schemas() -> dict[str, str]:
    import stepline.parsing

    folder = Path(stepline.parsing.__file__).with_name("schemas")
    return {
        f"schemas/{kind}.schema.json": (folder / f"{kind}.schema.json").read_text(encoding="utf-8")
        for kind in _SCHEMAS
    }
