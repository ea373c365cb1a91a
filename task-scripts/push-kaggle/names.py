"""What Kaggle takes for names, titles and licences, so that a push is refused before it leaves.

Source:
    kaggle 2.2.4, and the lists of licences in its documentation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from stepline_sdk.push import Refused, StagedFile

DATASET_LICENCES = frozenset(
    (
        "CC0-1.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC-BY-NC-SA-4.0 GPL-2.0 ODbL-1.0 DbCL-1.0 "
        "copyright-authors other unknown CC-BY-4.0 CC-BY-NC-4.0 PDDL CC-BY-3.0 CC-BY-3.0-IGO "
        "US-Government-Works CC-BY-NC-SA-3.0-IGO CDLA-Permissive-1.0 CDLA-Sharing-1.0 "
        "CC-BY-ND-4.0 CC-BY-NC-ND-4.0 ODC-BY-1.0 LGPL-3.0 AGPL-3.0 FDL-1.3 EU-ODP-Legal-Notice "
        "apache-2.0 GPL-3.0"
    ).split()
)

MODEL_LICENCES = frozenset(
    {
        "Apache 2.0",
        "Attribution 3.0 IGO (CC BY 3.0 IGO)",
        "Attribution 3.0 Unported (CC BY 3.0)",
        "Attribution 4.0 International (CC BY 4.0)",
        "Attribution-NoDerivatives 4.0 International (CC BY-ND 4.0)",
        "Attribution-NonCommercial 4.0 International (CC BY-NC 4.0)",
        "Attribution-NonCommercial-NoDerivatives 4.0 International (CC BY-NC-ND 4.0)",
        "Attribution-NonCommercial-ShareAlike 3.0 IGO (CC BY-NC-SA 3.0 IGO)",
        "BSD-3-Clause",
        "CC BY-NC-SA 4.0",
        "CC BY-SA 3.0",
        "CC BY-SA 4.0",
        "CC0: Public Domain",
        "Community Data License Agreement - Permissive - Version 1.0",
        "Community Data License Agreement - Sharing - Version 1.0",
        "GNU Affero General Public License 3.0",
        "GNU Free Documentation License 1.3",
        "GNU Lesser General Public License 3.0",
        "GPL 2",
        "GPL 3",
        "MIT",
        "ODC Attribution License (ODC-By)",
        "ODC Public Domain Dedication and Licence (PDDL)",
    }
)

UNGUARDED = (
    "Kaggle takes a version whatever the newest one is: what somebody else publishes in the very "
    "moment of the upload is not noticed, and stays as the version before"
)

# Files that the client reads for itself and leaves behind.
_RESERVED = re.compile(
    r"(dataset|kernel|model|model-instance)-metadata\.json|datapackage\.json"
    r"|dataset-cover-image\.(png|jpe?g|webp)"
)
_ARCHIVE = re.compile(r"\.(zip|tar|tgz|tar\.(gz|bz2|xz)|7z|rar)$", re.IGNORECASE)
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_OWNER = re.compile(r"[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)*")


def full_ref(given: str, what: str, *, owner: str) -> str:
    """Return ``owner/slug`` of what was given as that or as the slug alone.

    Raises:
        Refused: It is neither.
    """
    name, _, slug = given.rpartition("/")
    name = name or owner
    if not _OWNER.fullmatch(name) or not _SLUG.fullmatch(slug):
        raise Refused(
            f"'{given}' is no name of a {what}: it is owner/name or just the name, which has "
            f"a-z, 0-9 and single hyphens"
        )
    return f"{name}/{slug}"


def title_of(slug: str) -> str:
    """Return a title that Kaggle makes the same slug of."""
    return slug.replace("-", " ").capitalize()


def check_length(what: str, text: str, *, least: int, most: int) -> None:
    """Refuse a text of another length.

    Raises:
        Refused: It is too short or too long.
    """
    if not least <= len(text) <= most:
        raise Refused(
            f"the {what} '{text}' has {len(text)} characters, Kaggle takes {least}-{most}"
        )


def check_licence(licence: str, known: frozenset[str]) -> None:
    """Refuse a licence that is missing or that Kaggle does not know.

    Raises:
        Refused: It is one of these.
    """
    if not licence:
        raise Refused("the licence is missing: give input 'licence', such as " + _some(known))
    if licence not in known:
        alike = {name for name in known if name.lower() == licence.lower()}
        raise Refused(f"Kaggle knows no licence '{licence}', but {_some(alike or known)}")


def check_kept_licence(what: str, there: str, wanted: str, known: frozenset[str]) -> list[str]:
    """Refuse another licence than what is there has, as a new version would not change it.

    Args:
        what: Such as ``the dataset me/plates``.
        there: The licence that Kaggle tells.
        wanted: The licence of this push.
        known: The names that a push takes.

    Returns:
        In words what cannot be known, where Kaggle does not tell it by such a name.

    Raises:
        Refused: It is another one.
    """
    if there == wanted:
        return []
    if there in known:
        raise Refused(
            f"{what} has the licence '{there}', which a version does not change to '{wanted}': "
            f"push with that licence, or change it on its page"
        )
    tells = f"tells it as '{there}'" if there else "does not tell it"
    return [f"{what} keeps the licence that it has; Kaggle {tells}, so it was not compared"]


def _some(names: frozenset[str] | set[str]) -> str:
    return ", ".join(sorted(names))


def check_files(files: Mapping[str, StagedFile], *, most_bytes: int, unpacks: bool) -> None:
    """Refuse files that would not arrive as they are.

    Args:
        files: What is to be pushed.
        most_bytes: How much Kaggle takes in one version.
        unpacks: Whether Kaggle unpacks archives.

    Raises:
        Refused: A name or the size will not do.
    """
    for name in files:
        if "/" in name:
            raise Refused(f"{name} is in a folder: the client sends files without folders")
        if _RESERVED.fullmatch(name):
            raise Refused(f"{name} is a name that Kaggle's client keeps for itself")
        if unpacks and _ARCHIVE.search(name):
            raise Refused(f"{name} is an archive, which Kaggle unpacks: push what is in it")
    size = sum(file.size for file in files.values())
    if size > most_bytes:
        raise Refused(f"the files have {size} bytes, at most {most_bytes} are taken")
