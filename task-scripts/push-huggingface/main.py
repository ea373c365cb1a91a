"""Publishing files on the Hugging Face Hub, with a receipt."""

from __future__ import annotations

import os
from typing import Any

# Read by the client as it is imported. Without Xet all bytes go the one way that the push
# watches, with its time limits and its repeats.
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

from card import CARD, Card
from connection import PUBLIC_HUB
from hub import HubRepo

from stepline_sdk.push import push
from stepline_sdk.push.inputs import Given


def push_dataset(input: dict[str, Any], context: Any) -> dict[str, Any]:
    """Publish files as a dataset; see README.md for the input."""
    return _push("dataset", input, context)


def push_model(input: dict[str, Any], context: Any) -> dict[str, Any]:
    """Publish files as a model; see README.md for the input."""
    return _push("model", input, context)


def _push(kind: str, input: dict[str, Any], context: Any) -> dict[str, Any]:
    given = Given(input)
    files = given.files(context)
    card = Card(
        licence=given.text("licence", "").lower(),
        title=given.text("title", ""),
        tags=tuple(given.texts("tags")),
    )
    destination = HubRepo(
        kind,
        given.text("repo"),
        private=given.flag("private", True),
        mirror=given.flag("mirror"),
        card=card,
        endpoint=given.address("endpoint", "") or _usual_hub(),
        token=given.secret(context, "token"),
    )
    if card.wanted:
        card.refuse_beside(files)
        files[CARD] = card.text(kind, destination.ref)
    return push(
        context,
        destination,
        files,
        **given.options(),
    )


def _usual_hub() -> str:
    return Given(dict(os.environ)).address("HF_ENDPOINT", "") or PUBLIC_HUB
