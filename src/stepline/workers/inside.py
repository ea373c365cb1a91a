"""Where things of the platform are in what has a root file system of its own."""

from __future__ import annotations

from stepline.model.image import USER_ID

SDK = "/opt/stepline/sdk/stepline_sdk"
TASK = "/run/stepline-task"
"""A folder of the platform's disk: two folders of tasks, which can be renamed between them."""

SCRATCH = f"{TASK}/scratch"
"""What tasks and the platform share."""

WORK = f"{TASK}/work"
"""Folder of the worker's folders: what tasks write there is no memory."""

SIZED_WORK = "/tmp/stepline"
"""The same, where temporary space is limited, as only that in memory can be."""

TEMPORARY = ("/tmp", "/dev/shm", "/dev/mqueue")
"""Folders in memory that tasks may write to; one after another has them."""

USER, GROUP = USER_ID, USER_ID
"""The user and group of tasks, as images have them under the name ``task``."""

FOLDERS = ("dev", "proc", "sys", "tmp", SDK.lstrip("/"), TASK.lstrip("/"))
FILES = {"etc/hosts": "127.0.0.1\tlocalhost\n::1\tlocalhost\n", "etc/resolv.conf": ""}
"""What something may be mounted on, so that it has to be in a root that cannot be written to.

Files come with what they hold where nothing is: a machine without a network knows itself.
"""


def worker_root(tmp_bytes: int | None) -> str:
    """Return the folder of a worker's folders.

    Args:
        tmp_bytes: What its tasks' temporary space is limited to, bytes; None for no limit.
    """
    return WORK if tmp_bytes is None else SIZED_WORK
