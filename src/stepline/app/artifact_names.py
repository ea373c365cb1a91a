"""What an artifact may be called, and who may publish under which name.

Source:
    The task-script rules, section "Identity rules".
"""

from __future__ import annotations

import re

from stepline.errors import UploadError
from stepline.model.artifact import ArtifactName
from stepline.model.protocol import COMMON
from stepline.parsing.checker import IDENTIFIER, IDENTIFIER_RULE
from stepline.parsing.versions import Version, VersionRange

_PRIVATE = re.compile(r"private-[0-9a-zA-Z]+(?:-[0-9a-zA-Z]+)*")


class ForeignNamespace(UploadError):
    """A namespace belongs to somebody else."""


def check_name(name: ArtifactName, *, org: str, common: bool = False) -> None:
    """Check the form of an artifact's name, and that its namespace is the caller's.

    Args:
        name: The name.
        org: Organisation of the caller, as in ``private-<org>``.
        common: Whether the caller may publish in the namespace ``common``.

    Raises:
        ForeignNamespace: The namespace is not the caller's.
        UploadError: Namespace, slug or version has not the form that it must have.
    """
    own = f"private-{org}"
    if name.namespace == COMMON and not common:
        raise ForeignNamespace(
            f"only an administrator publishes in the namespace {COMMON}", hint=f"use {own}"
        )
    if name.namespace != COMMON:
        if not _PRIVATE.fullmatch(name.namespace):
            raise UploadError(
                f"the namespace cannot be {name.namespace!r}",
                hint="after private- come letters and digits, in parts joined by single hyphens",
            )
        if name.namespace != own:
            raise ForeignNamespace(
                f"the namespace {name.namespace} is not that of the organisation {org}",
                hint=f"use {own}",
            )
    if not IDENTIFIER.fullmatch(name.slug):
        raise UploadError(f"the slug cannot be {name.slug!r}", hint=IDENTIFIER_RULE)
    if Version.parse(name.version) is None:
        raise UploadError(f"the version cannot be {name.version!r}", hint=_version_hint(name))


def is_prerelease(version: str) -> bool:
    """Tell whether a version ``vX.Y.Z`` is a prerelease."""
    return "-" in version


def _version_hint(name: ArtifactName) -> str:
    meant = VersionRange.parse(name.version)
    if meant is not None and meant.exact is not None:
        return f"write {meant.exact}"
    return "write vX.Y.Z, such as v1.0.0, with a suffix such as -rc.1 for a prerelease"
