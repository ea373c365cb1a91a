"""What a sandbox can be held to on this machine."""

from __future__ import annotations

from stepline.errors import SettingsError
from stepline.model.task import Limits, Network
from stepline.plugins.executor_sandbox.bubblewrap import Bubblewrap
from stepline.plugins.executor_sandbox.cgroups import Place

_CONTROLLERS = {"pids": "pids", "cpus": "cpu"}


def refuse_unheld(limits: Limits, *, place: Place, bubblewrap: Bubblewrap) -> None:
    """Refuse an attempt whose limits a sandbox here cannot be held to.

    Raises:
        SettingsError: A limit is asked for that would be ignored.
    """
    unheld = [
        name
        for name, controller in _CONTROLLERS.items()
        if getattr(limits, name) is not None and controller not in place.holds
    ]
    if limits.tmp_bytes is not None and not bubblewrap.can_size:
        unheld.append("tmp_bytes")
    if limits.network is Network.BRIDGE:
        unheld.append(f"network '{limits.network.value}'")
    if unheld:
        raise SettingsError(
            f"the executor 'sandbox' cannot hold the limit: {', '.join(unheld)}",
            hint=_hint(unheld),
        )


def _hint(unheld: list[str]) -> str:
    if any(name in _CONTROLLERS for name in unheld):
        return (
            "leave it out, or run the platform as root or where it may make cgroups, or use "
            "the executor 'docker'"
        )
    return "leave it out, or use the executor 'docker'"
