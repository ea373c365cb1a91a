"""What a plain process can be held to."""

from __future__ import annotations

from stepline.errors import SettingsError
from stepline.model.task import Limits, Network

_UNHELD = ("pids", "cpus", "tmp_bytes")


def refuse_unheld(limits: Limits) -> None:
    """Refuse an attempt whose limits a plain process cannot be held to.

    Raises:
        SettingsError: A limit is asked for that would be ignored.
    """
    unheld = [name for name in _UNHELD if getattr(limits, name) is not None]
    if limits.network is not Network.HOST:
        unheld.append(f"network '{limits.network.value}'")
    if unheld:
        bridge = limits.network is Network.BRIDGE
        others = "the executor 'docker'" if bridge else "the executor 'sandbox' or 'docker'"
        raise SettingsError(
            f"the executor 'process' cannot hold the limit: {', '.join(unheld)}",
            hint=f"leave it out, or use {others}",
        )
