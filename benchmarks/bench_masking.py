"""Masking of a 64 KiB piece of output, while the platform's thread stands still."""

import random
import string
import time

from benchmarks.harness import Recorder
from stepline.app.masking import MASK, Masker

RUNS = 9
PIECE = 65_536
LETTERS = string.ascii_letters + string.digits + "+/"


def run(recorder: Recorder) -> None:
    """Measure secrets of the sizes of a key file and of a whole bundle."""
    for name, lines, limit in (("6.5 KB", 100, 0.1), ("58 KB", 900, 0.5)):
        recorder.record_limit(
            f"mask 64 KiB, secret of {name} / {limit} s",
            [seconds(lines) for _ in range(RUNS)],
            limit=limit,
        )


def seconds(lines: int) -> float:
    """Return the time for a text without the secret, the usual case, and one full of it."""
    chosen = random.Random(lines)
    value = "\n".join("".join(chosen.choices(LETTERS, k=64)) for _ in range(lines))
    other = "".join(chosen.choices(LETTERS, k=PIECE))
    masker = Masker([value])
    began = time.perf_counter()
    clean, full = masker.text(other), masker.text((value * 11)[:PIECE])
    spent = time.perf_counter() - began
    if clean != other or MASK not in full:
        raise RuntimeError("the masker masks the wrong text")
    return spent
