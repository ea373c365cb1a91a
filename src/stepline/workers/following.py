"""Containers that are followed to their end, which comes in time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from stepline.ports.engine import Container, ContainerEnd


def follow_until(
    container: Container, limit_s: float, *, tell: Callable[[str], None]
) -> ContainerEnd | None:
    """Follow a container to its end.

    Args:
        container: The container.
        limit_s: Seconds after which it is killed.
        tell: Takes what it prints, as `Container.follow` gives it.

    Returns:
        How it ended; None where it was killed for its time.
    """
    late = threading.Event()

    def end() -> None:
        late.set()
        container.kill()

    timer = threading.Timer(limit_s, end)
    timer.daemon = True
    timer.start()
    try:
        container.follow(tell)
        ended = container.wait()
    finally:
        timer.cancel()
    return None if late.is_set() else ended
