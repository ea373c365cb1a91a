"""The ready-made artifacts of namespace ``common`` that travel with Stepline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from stepline.app.load import CONFIG_FILE, MANIFEST_FILE, load_manifest, load_protocol
from stepline.app.project_layout import PROTOCOL_FILES, PROTOCOLS_FOLDER, SCRIPTS_FOLDER
from stepline.errors import ArtifactNotFound, Location, PlatformError
from stepline.frozen import frozen
from stepline.model.artifact import ArtifactKind, ArtifactName
from stepline.model.protocol import COMMON, Protocol
from stepline.model.task_script import Manifest

_PACKAGE = Path(__file__).parents[1]
FOLDERS = {ArtifactKind.TASK_SCRIPT: SCRIPTS_FOLDER, ArtifactKind.PROTOCOL: PROTOCOLS_FOLDER}


@frozen
class Shipped:
    """An artifact that travels with Stepline.

    Attributes:
        name: What it is published as.
        folder: Where it is; not to be changed.
        description: What it does, in a sentence.
        uses: Slugs of the task scripts of the same namespace that a protocol's steps mean.
    """

    name: ArtifactName
    folder: Path
    description: str
    uses: tuple[str, ...] = ()


def shipped_folder() -> Path:
    """Return the folder that has ``task-scripts`` and ``protocols`` as Stepline brings them.

    In an installed wheel it lies within the package; in a checkout, which an editable install
    stays, it is the checkout.
    """
    installed = _PACKAGE / COMMON
    return installed if installed.is_dir() else _PACKAGE.parents[1]


def shipped_scripts(home: Path | None = None) -> Path | None:
    """Return the folder of task scripts that travel with Stepline, None if there are none.

    Args:
        home: The folder that has it; by default that of `shipped_folder`.
    """
    folder = (home or shipped_folder()) / SCRIPTS_FOLDER
    return folder if any(folder.glob(f"*/{CONFIG_FILE}")) else None


def shipped_path(path: Path, kind: str) -> Path:
    """Return the folder of a shipped artifact that is named ``common/SLUG``, else the path.

    What is there in the current folder goes first.

    Args:
        path: What was typed.
        kind: Name of the folder in which projects have such artifacts.
    """
    if len(path.parts) != 2 or path.parts[0] != COMMON or path.exists():
        return path
    found = shipped_folder() / kind / path.parts[1]
    return found if found.is_dir() else path


def shipped(cache_dir: Path, *, home: Path | None = None) -> list[Shipped]:
    """Return what travels with Stepline: task scripts, then protocols, each by slug.

    Args:
        cache_dir: The folder of all caches.
        home: The folder that has them; by default that of `shipped_folder`.

    Raises:
        PlatformError: One of them is damaged.
    """
    base = home or shipped_folder()
    scripts = sorted((base / SCRIPTS_FOLDER).glob(f"*/{CONFIG_FILE}"))
    protocols = {
        path.parent: path
        for name in reversed(PROTOCOL_FILES)
        for path in (base / PROTOCOLS_FOLDER).glob(f"*/{name}")
    }
    return [
        *(_script(config.parent, cache_dir) for config in scripts),
        *(_protocol(protocols[folder], cache_dir) for folder in sorted(protocols)),
    ]


def digest_of(artifact: Shipped) -> str:
    """Return the digest of an artifact's content, ``sha256:<hex>``, as where it is published."""
    from stepline.app.code_store import content_digest

    return content_digest(artifact.folder)


def choose(found: Sequence[Shipped], names: Iterable[str]) -> list[Shipped]:
    """Return the artifacts with some slugs, and the task scripts that they use, in order.

    Args:
        found: All.
        names: Slugs, or ``common/SLUG``; none for all.

    Raises:
        ArtifactNotFound: None has such a slug.
    """
    from stepline.expressions.suggest import nearest_hint

    wanted = {name.removeprefix(f"{COMMON}/") for name in names}
    if not wanted:
        return list(found)
    slugs = sorted({each.name.slug for each in found})
    for slug in sorted(wanted.difference(slugs)):
        raise ArtifactNotFound(
            f"no artifact {COMMON}/{slug} travels with this version",
            hint=nearest_hint(slug, slugs, none="stepline common list shows what does"),
        )
    chosen = [each for each in found if each.name.slug in wanted]
    used = {slug for each in chosen for slug in each.uses}
    return [each for each in found if each in chosen or _is_used(each, used)]


def _is_used(each: Shipped, used: set[str]) -> bool:
    return each.name.kind is ArtifactKind.TASK_SCRIPT and each.name.slug in used


def _script(folder: Path, cache_dir: Path) -> Shipped:
    manifest = load_manifest(folder / MANIFEST_FILE, cache_dir).value
    if manifest is None:
        raise _damaged(folder / MANIFEST_FILE)
    return _shipped(ArtifactKind.TASK_SCRIPT, folder, manifest, uses=())


def _protocol(path: Path, cache_dir: Path) -> Shipped:
    """Return a protocol, which says itself what it is called unless a manifest does."""
    protocol = load_protocol(path, cache_dir).value
    if protocol is None:
        raise _damaged(path)
    beside = path.with_name(MANIFEST_FILE)
    identity = load_manifest(beside, cache_dir).value if beside.is_file() else protocol
    if identity is None:
        raise _damaged(beside)
    tasks = [step.task for step in protocol.steps]
    uses = {task.slug for task in tasks if task.namespace == COMMON}
    return _shipped(ArtifactKind.PROTOCOL, path.parent, identity, uses=tuple(sorted(uses)))


def _shipped(
    kind: ArtifactKind, folder: Path, named: Manifest | Protocol, *, uses: tuple[str, ...]
) -> Shipped:
    namespace, slug, version = named.namespace, named.slug, named.version
    if namespace != COMMON or not slug or not version:
        raise _damaged(folder)
    name = ArtifactName(kind, namespace, slug, version)
    return Shipped(name, folder, named.description or named.name or "", uses)


def _damaged(path: Path) -> PlatformError:
    return PlatformError(
        f"this is no artifact of the namespace {COMMON}, as those are that travel with Stepline",
        where=Location(str(path)),
        hint="see it with stepline validate, or install Stepline again",
    )
