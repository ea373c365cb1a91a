"""What is wrong now with a watched folder."""

from __future__ import annotations

import threading

_SHOWN = 20
_KEPT = 1_000


class Faults:
    """Sentences by what they are about; may be changed by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_topic: dict[str, str] = {}
        self._paths: dict[str, str] = {}
        self._fresh: dict[str, str] | None = None

    def put(self, topic: str, text: str) -> None:
        """Keep a sentence about a topic, or none if it is empty."""
        with self._lock:
            self._by_topic.pop(topic, None)
            if text:
                self._by_topic[topic] = text

    def put_path(self, path: str, text: str) -> None:
        """Keep what is wrong with a path until a look at everything does not see it again."""
        with self._lock:
            for paths in (self._paths, self._fresh):
                if paths is not None and len(paths) < _KEPT:
                    paths[path] = text

    def keep_path(self, path: str) -> None:
        """A look at everything leaves a path for later: what was wrong with it still is."""
        with self._lock:
            if self._fresh is not None and path in self._paths:
                self._fresh[path] = self._paths[path]

    def begin(self) -> None:
        """A look at everything begins."""
        with self._lock:
            self._fresh = {}

    def end(self) -> None:
        """It has come to its end: what it did not see is well now."""
        with self._lock:
            self._paths, self._fresh = self._fresh or {}, None

    def texts(self) -> tuple[str, ...]:
        """Return all sentences, those about paths last and not more than some."""
        with self._lock:
            topics = list(self._by_topic.values())
            paths = [f"{_shown(path)}: {text}" for path, text in sorted(self._paths.items())]
        more = len(paths) - _SHOWN
        rest = [f"and {more} more paths like these"] if more > 0 else []
        return tuple(topics + paths[:_SHOWN] + rest)


def _shown(path: str) -> str:
    return path.encode(errors="surrogateescape").decode(errors="backslashreplace")
