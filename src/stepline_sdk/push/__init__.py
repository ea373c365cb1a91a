"""Pushing results to a platform, so that the end is known: verified, or exactly what else.

Standard library only. A task script names files and a destination::

    from stepline_sdk.push import push

    def publish(input, context):
        return push(context, Shelf("plates"), {"plate.json": input["plate"]})

`push` stages the files in a private folder, checks them, looks for what is there already,
uploads, waits until the platform is done, reads back, compares, and writes a receipt.
"""

from __future__ import annotations

from stepline_sdk.push.answers import (
    is_busy,
    is_not_taken,
    is_private,
    plain_url,
    plain_words,
    retry_after,
)
from stepline_sdk.push.destination import Destination, Published, RemoteFile
from stepline_sdk.push.errors import NotPublished, PushError, Refused, TryAgain, Unverified
from stepline_sdk.push.flow import push
from stepline_sdk.push.inputs import Given
from stepline_sdk.push.marks import Mark, find_mark
from stepline_sdk.push.staging import Staged, StagedFile

__all__ = [
    "Destination",
    "Given",
    "Mark",
    "NotPublished",
    "Published",
    "PushError",
    "Refused",
    "RemoteFile",
    "Staged",
    "StagedFile",
    "TryAgain",
    "Unverified",
    "find_mark",
    "is_busy",
    "is_not_taken",
    "is_private",
    "plain_url",
    "plain_words",
    "push",
    "retry_after",
]
