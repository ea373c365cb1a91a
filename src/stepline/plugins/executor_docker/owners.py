"""Whose a container for tasks is."""

from __future__ import annotations

from stepline.workers import owners

_KIND = "executor-docker"


def own_name() -> str:
    """Return what tells this process from all others, of this machine and of others."""
    return owners.own_name(_KIND)


def is_orphaned(owner: str) -> bool:
    """Tell whether an owner is known to be gone."""
    return owners.is_orphaned(owner, kind=_KIND)
