"""The card of a repository: its README.md, where the Hub looks for licence and title."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import NamedTuple

from huggingface_hub import RepoCard

from stepline_sdk.push import Refused

CARD = "README.md"
LARGEST_CARD = 5 * 10**6  # bytes
SIGN = "<!-- This card is made by the push; it is made anew by the next one. -->"


class Card(NamedTuple):
    """What a card is to say.

    Attributes:
        licence: The Hub's name of it, such as ``cc0-1.0``; empty for none.
        title: Empty for none.
        tags: Words to find it by.
    """

    licence: str = ""
    title: str = ""
    tags: tuple[str, ...] = ()

    @property
    def wanted(self) -> bool:
        """Return whether there is anything to say."""
        return any(self)

    def about(self) -> dict[str, object]:
        """Return what is said, by name."""
        said = {"licence": self.licence, "title": self.title, "tags": list(self.tags)}
        return {name: value for name, value in said.items() if value}

    def text(self, kind: str, ref: str) -> bytes:
        """Return a README.md.

        Args:
            kind: ``dataset`` or ``model``.
            ref: ``owner/name`` of the repository.
        """
        said = {
            "license": self.licence,
            "pretty_name" if kind == "dataset" else "model_name": self.title,
            "tags": list(self.tags),
        }
        # What is JSON is YAML too.
        lines = [f"{name}: {json.dumps(said[name])}" for name in said if said[name]]
        heading = f"# {self.title or ref.rpartition('/')[2]}"
        return "\n".join(["---", *lines, "---", "", heading, "", SIGN, ""]).encode()

    def refuse_beside(self, names: Iterable[str]) -> None:
        """Refuse a card that is to be made where the files have one already.

        Raises:
            ValueError: They have.
        """
        if CARD in names:
            raise ValueError(
                f"input '{next(iter(self.about()))}' is given, and the files have a {CARD}: "
                "say it there, and leave it out here"
            )


def licence_in(path: str) -> str:
    """Return the licence that a README.md names; empty where it does not.

    Raises:
        Refused: It cannot be read as a card, or is too large for one.
    """
    size = os.path.getsize(path)
    if size > LARGEST_CARD:
        raise Refused(f"{CARD} has {size} bytes; a card has at most {LARGEST_CARD}")
    try:
        with open(path, encoding="utf-8") as file:
            data = RepoCard(file.read(), ignore_metadata_errors=True).data
    except Exception as error:
        # The parser of the front matter is the client's own affair, and so are its errors.
        raise Refused(f"{CARD} cannot be read as a card: {error}") from error
    return str(data.get("license") or "")
