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
from stepline.server.selftest.process import ServiceProcess
from stepline.server.selftest.sending import FIRST_START
from stepline.settings import Settings

# Commit points that show only while the service is killed at others are gone to as well.
_ROUNDS = 5


@frozen(kw_only=True)
class CrashOptions:
    """What a crash test is to do.

    Attributes:
        kills: How often the service is killed at a random moment.
        every_point: Whether it is also killed just before and just after each commit point.
        seed: Of chance.
        settings: What the service is set to.
    """

    kills: int
    every_point: bool
    seed: int
    settings: Settings = Settings()


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
    """Kill a service as often as asked for, and count what it lost; once in a process.

    Args:
        base: Folder to work in; it exists and is empty.
        cache: Folder for environments.
        options: What to do.
        tell: Takes lines about the progress.
    """
    test = _CrashTest(base, cache, options=options, tell=tell)
    try:
        return test.run()
    finally:
        test.close()
        ServiceProcess.clean_up()


class _CrashTest:
    def __init__(
        self, base: Path, cache: Path, *, options: CrashOptions, tell: Callable[[str], None]
    ) -> None:
        self._base = base
        self._cache = cache
        self._options = options
        self._tell = tell
        self._drivers: list[Driver] = []
        self._findings = Findings()

    def run(self) -> CrashReport:
        begun, options = time.monotonic(), self._options
        driver = self._driver("main", options.seed)
        driver.set_up()
        if options.every_point:
            self._die_everywhere(driver)
        self._tell(f"killing the service {options.kills} times at random moments ...")
        for _ in range(options.kills):
            driver.die_by_chance()
        self._tell(f"letting it finish {len(driver.sent)} files ...")
        driver.finish()
        self._count(driver)
        return CrashReport(
            options=options,
            kills=sum(each.kills for each in self._drivers),
            points=[point for each in self._drivers for point in each.reached],
            files=len(driver.sent),
            seconds=time.monotonic() - begun,
            findings=self._findings,
        )

    def close(self) -> None:
        for driver in self._drivers:
            driver.close()

    def _driver(self, name: str, seed: int = 0) -> Driver:
        places = Places(self._base / name, self._cache, self._options.settings)
        places.make()
        driver = Driver(places, chance=random.Random(seed))
        self._drivers.append(driver)
        return driver

    def _die_everywhere(self, driver: Driver) -> None:
        """Have the service die at each commit point; also at those that show only meanwhile."""
        self._tell("looking for commit points ...")
        rehearsal = self._driver("rehearsal")
        rehearsal.rehearse()
        self._count(rehearsal)
        done: set[Point] = set()
        for _ in range(_ROUNDS):
            points = {**driver.points(), **rehearsal.points()}
            new = sorted(points.keys() - done)
            if not new:
                return
            self._tell(f"killing the service at {len(new)} commit points ...")
            for point in new:
                self._die_at(point, points[point], driver=driver)
            done.update(new)

    def _die_at(self, point: Point, phase: str, *, driver: Driver) -> None:
        if phase != FIRST_START:
            driver.die_at(point, phase)
            return
        other = self._driver(f"first-{len(self._drivers)}")
        other.die_at(point, phase, tries=1)
        other.set_up()
        other.finish()
        self._count(other)

    def _count(self, driver: Driver) -> None:
        """Count what there is, and take over what the driver itself found."""
        plugins, findings = Plugins(self._cache, os.environ), self._findings
        count(driver.places, driver.sent, plugins=plugins, findings=findings)
        findings.add(Kind.SERVICE, *driver.faults)
        findings.add(Kind.PROCESSES, *driver.leftovers.overdue)
        findings.add(Kind.MISSED, *map(str, driver.missed))
