"""The self-test of crashes: kill the service everywhere, and count what is lost."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stepline.bootstrap import Plugins
from stepline.frozen import frozen
from stepline.server.selftest.counting import count
from stepline.server.selftest.driver import Driver
from stepline.server.selftest.findings import Findings, Kind
from stepline.server.selftest.places import Places
from stepline.server.selftest.points import Point
from stepline.server.selftest.sending import FIRST_START


@frozen(kw_only=True)
class CrashOptions:
    """What a crash test is to do.

    Attributes:
        kills: How often the service is killed at a random moment.
        every_point: Whether it is also killed just before and just after each commit point.
        seed: Of chance.
    """

    kills: int
    every_point: bool
    seed: int


@frozen(kw_only=True)
class CrashReport:
    """What came of a crash test.

    Attributes:
        options: What it was to do.
        kills: How often the service was killed.
        points: Commit points that it died at.
        files: How many files were sent.
        seconds: How long it took.
        findings: What was lost or doubled.
    """

    options: CrashOptions
    kills: int
    points: Sequence[Point]
    files: int
    seconds: float
    findings: Findings

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "kills": self.kills,
            "commitPoints": sorted({point.kind for point in self.points}),
            "filesSent": self.files,
            "seed": self.options.seed,
            "seconds": round(self.seconds, 1),
            "counts": dict(self.findings.counts),
            "findings": {kind: list(lines) for kind, lines in self.findings.lines()},
        }


def crash_test(
    base: Path, cache: Path, *, options: CrashOptions, tell: Callable[[str], None]
) -> CrashReport:
    """Kill a service as often as asked for, and count what it lost.

    Args:
        base: Folder to work in; it exists and is empty.
        cache: Folder for environments.
        options: What to do.
        tell: Takes lines about the progress.
    """
    begun = time.monotonic()
    chance, findings = random.Random(options.seed), Findings()
    places = Places(base / "main", cache)
    places.make()
    driver = Driver(places, chance=chance)
    driver.set_up()
    if options.every_point:
        _die_everywhere(driver, base, cache, findings=findings, tell=tell)
    tell(f"killing the service {options.kills} times at random moments ...")
    for _ in range(options.kills):
        driver.die_by_chance()
    tell(f"letting it finish {len(driver.sent)} files ...")
    driver.finish()
    tell("counting ...")
    count(places, driver.sent, plugins=Plugins(cache, os.environ), findings=findings)
    note(driver, findings)
    return CrashReport(
        options=options,
        kills=driver.kills,
        points=driver.reached,
        files=len(driver.sent),
        seconds=time.monotonic() - begun,
        findings=findings,
    )


def note(driver: Driver, findings: Findings) -> None:
    """Take over what a driver itself found."""
    findings.add(Kind.SERVICE, *driver.faults)
    findings.add(Kind.PROCESSES, *driver.leftovers.overdue)
    findings.add(Kind.MISSED, *map(str, driver.missed))


def _die_everywhere(
    driver: Driver,
    base: Path,
    cache: Path,
    *,
    findings: Findings,
    tell: Callable[[str], None],
) -> None:
    """Have the service die at each commit point; also at those that show only meanwhile."""
    tell("looking for commit points ...")
    rehearsal = Places(base / "rehearsal", cache)
    rehearsal.make()
    before = Driver(rehearsal, chance=random.Random(0))
    before.rehearse()
    note(before, findings)
    done: set[Point] = set()
    while new := {**before.points(), **driver.points()}.keys() - done:
        points = {**driver.points(), **before.points()}
        tell(f"killing the service at {len(new)} commit points ...")
        for point in sorted(new):
            if points[point] == FIRST_START:
                _die_at_first(point, base, cache, driver=driver, findings=findings)
            else:
                driver.die_at(point, points[point])
        done |= new


def _die_at_first(
    point: Point, base: Path, cache: Path, *, driver: Driver, findings: Findings
) -> None:
    """Kill a service on a folder of its own, where it starts for the first time."""
    name = f"first-{len(driver.reached)}-{len(driver.missed)}"
    places = Places(base / name, cache)
    places.make()
    other = Driver(places, chance=random.Random(0))
    other.die_at(point, FIRST_START, tries=1)
    other.set_up()
    other.finish()
    count(places, other.sent, plugins=Plugins(cache, os.environ), findings=findings)
    note(other, findings)
    driver.reached += other.reached
    driver.kills += other.kills
