"""Sends files to a service that is killed again and again, until all is done."""

from __future__ import annotations

import random
import time
from collections import deque

from stepline.errors import PlatformError
from stepline.server.selftest.places import Places
from stepline.server.selftest.points import Point, Side
from stepline.server.selftest.process import Gone, ServiceProcess
from stepline.server.selftest.processes import Leftovers
from stepline.server.selftest.sending import (
    FIRST_START,
    Command,
    Sent,
    pipelines,
    publishing,
    sent,
    unheard,
)

_SETUP_S = 120.0
_REACH_S = 8.0
_TRIES = 3
# A service is killed at most this long after its start began: in so many times as long as a start
# takes, some work gets done.
_LIFE_IN_STARTS = 4.0
_LIFE_S = (0.6, 4.0)
_STALL_S = 45.0
_POLL_S = 0.05
_AT_A_POINT = 7
# Files sent in the life of a service: some, or now and then very many.
_IN_A_LIFE = (1, 4)
_BURST = 25
_BURSTS = 0.05


class Driver:
    """Drives services over one home folder, one after another.

    Args:
        places: Where everything is.
        chance: Where chance is from.

    Attributes:
        places: Where everything is.
        sent: All files that were sent.
        kills: How often a service was killed.
        reached: Commit points that services died at.
        missed: Commit points that no service came to, though it should have.
        faults: Services that did not start, ended by themselves, or refused a command.
        leftovers: Processes of services that are gone.
    """

    def __init__(self, places: Places, *, chance: random.Random) -> None:
        self.places = places
        self._chance = chance
        self._pending: deque[Command] = deque()
        self._phase = ""
        self._versions = 0
        self._longest_life_s = _LIFE_S[-1]
        self._running: ServiceProcess | None = None
        self.sent: list[Sent] = []
        self.kills = 0
        self.reached: list[Point] = []
        self.missed: list[Point] = []
        self.faults: list[str] = []
        self.leftovers = Leftovers(str(places.base))

    def set_up(self) -> None:
        """Publish and set everything, by a service that nobody kills.

        Raises:
            PlatformError: That does not work.
        """
        process = self._start()
        try:
            self._ask_for(publishing("v1.0.0") + pipelines("as made"))
            self._answer(process, time.monotonic() + _SETUP_S)
        except (Gone, TimeoutError) as error:
            process.kill()
            raise PlatformError(
                "the service cannot be set up", hint=f"see {self.places.log}"
            ) from error
        process.stop()
        self._measure()

    def rehearse(self) -> None:
        """Do all once that services are killed at later, to see what commit points there are."""
        self.set_up()
        self._provoke("publishing")
        self._provoke("pipelines")
        self.finish()

    def die_at(self, point: Point, phase: str, *, tries: int = _TRIES) -> None:
        """Have a service die at a commit point, if it comes to it.

        Args:
            point: Where.
            phase: What the service was at when it came to it before.
            tries: How many services may live past it.
        """
        for _ in range(tries):
            self._provoke(phase)
            process = self._start(point)
            try:
                self._answer(process, time.monotonic() + _REACH_S)
                process.sleep(time.monotonic() + _REACH_S)
            except Gone:
                self._end(process)
                self.reached.append(point)
                return
            except TimeoutError:
                pass
            self._end(process)
        self.missed.append(point)

    def die_by_chance(self) -> None:
        """Kill a service at a random moment of its life."""
        begun = time.monotonic()
        until = begun + self._chance.uniform(0.0, self._longest_life_s)
        process = self._start()
        try:
            self._pour(_BURST if self._chance.random() < _BURSTS else 0)
            for _ in range(self._chance.randint(*_IN_A_LIFE)):
                self._pour(1)
                self._answer(process, until)
                process.sleep(min(until, time.monotonic() + self._chance.uniform(0.0, 0.1)))
            process.sleep(until)
        except (Gone, TimeoutError):
            pass
        self._end(process)

    def finish(self) -> None:
        """Let a service finish all that was sent; end it orderly, and once more another one."""
        process = self._start()
        try:
            self._answer(process, time.monotonic() + _SETUP_S)
            self._wait_for_all(process)
            process.stop()
        except (Gone, TimeoutError, PlatformError) as error:
            self.faults.append(f"the last service: {type(error).__name__}: {error}")
            self._end(process)
        again = self._start()
        try:
            again.wait_ready(time.monotonic() + _SETUP_S)
            again.stop()
        except (Gone, TimeoutError, PlatformError) as error:
            self.faults.append(f"a service that had nothing to do: {type(error).__name__}: {error}")
            again.kill()
        self.leftovers.note()
        self.leftovers.wait()

    def close(self) -> None:
        """End what runs, as when somebody interrupts the test."""
        if self._running is not None:
            self._running.kill()

    def points(self) -> dict[Point, str]:
        """Return all commit points that were seen so far, with the phase of each."""
        found: dict[str, str] = {}
        for line in self.places.kinds.read_text().splitlines():
            phase, _, kind = line.partition("\t")
            # What every start does needs no first one.
            if found.get(kind, FIRST_START) == FIRST_START:
                found[kind] = phase
        return {Point(kind, side): phase for kind, phase in found.items() for side in Side}

    def _measure(self) -> None:
        """Look how long a start takes here and now."""
        begun = time.monotonic()
        process = self._start()
        process.wait_ready(begun + _SETUP_S)
        life = _LIFE_IN_STARTS * (time.monotonic() - begun)
        self._longest_life_s = min(max(life, _LIFE_S[0]), _LIFE_S[1])
        process.stop()

    def _start(self, target: Point | None = None) -> ServiceProcess:
        self._phase = ""
        self.leftovers.look()
        self._running = ServiceProcess(self.places, target)
        return self._running

    def _end(self, process: ServiceProcess) -> None:
        process.kill()
        if not process.was_killed:
            self.faults.append(f"a service ended by itself; see {self.places.log}")
        self.kills += 1
        self.leftovers.note()

    def _pour(self, count: int) -> None:
        """Send files; some that were answered for are sent again, as by one who did not hear."""
        for _ in range(count):
            file = sent(len(self.sent))
            self.sent.append(file)
            command = file.send(self.places)
            if command is not None:
                again = self._chance.random() < 0.1
                self._ask_for([command] * (2 if again else 1))

    def _provoke(self, phase: str) -> None:
        """Have the service do again what belongs to a phase."""
        self._versions += 1
        if phase == "publishing":
            new = publishing(f"v1.1.{self._versions}")
            self._ask_for([*map(unheard, new), *new, *publishing("v1.0.0")])
        elif phase == "pipelines":
            self._ask_for(pipelines(f"number {self._versions}"))
        if phase != FIRST_START:  # nothing is published and set yet
            self._pour(_AT_A_POINT)

    def _ask_for(self, commands: list[Command]) -> None:
        self._pending.extend(commands)

    def _answer(self, process: ServiceProcess, until: float) -> None:
        """Have all that is pending done; what is not answered stays pending."""
        process.wait_ready(until)
        while self._pending:
            command = self._pending[0]
            if command.phase != self._phase:
                process.ask("phase", {"name": command.phase}, until=until)
                self._phase = command.phase
            answer = process.ask(command.name, command.arguments, until=until)
            self._pending.popleft()
            if answer == "FAILED":
                self.faults.append(f"publishing {command.arguments} ended with {answer}")

    def _wait_for_all(self, process: ServiceProcess) -> None:
        """Wait until all is done, or nothing happens any more."""
        expected = sum(1 if file.fails else 3 for file in self.sent)
        last: tuple[int, int] | None = None
        until = 0.0
        while True:
            status: tuple[int, int] = process.ask("status", {}, until=time.monotonic() + _SETUP_S)
            now = time.monotonic()
            if status == (expected, 0):
                break
            if status != last:
                last, until = status, now + _STALL_S
            elif now >= until:
                self.faults.append(f"files and open workflows: {status}, not {(expected, 0)}")
                break
            process.sleep(now + _POLL_S)
        self.faults += process.ask("faults", {}, until=time.monotonic() + _SETUP_S)
