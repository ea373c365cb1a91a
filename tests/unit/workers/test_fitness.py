"""What a platform knows of whether it can run tasks at all, and for how long it knows it."""

import threading

import pytest

from stepline.errors import PlatformError
from stepline.workers.fitness import Fitness


class Machine:
    """Something to try out."""

    def __init__(self):
        self.now = 0.0
        self.problem = ""
        self.tries = 0

    def check(self):
        self.tries += 1
        if self.problem:
            raise PlatformError(self.problem, hint="mend it")


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
def fitness(machine):
    return Fitness(machine.check, clock=lambda: machine.now)


def test_fitness_of_what_works_has_no_faults(fitness):
    assert fitness.faults() == []


def test_fitness_of_what_fails_tells_the_reason_and_what_to_do(machine, fitness):
    machine.problem = "nobody there"
    (fault,) = fitness.faults()
    assert "nobody there" in fault
    assert "mend it" in fault


def test_fitness_asked_at_once_again_does_not_look_again(machine, fitness):
    machine.problem = "nobody there"
    assert fitness.faults() == fitness.faults()
    assert machine.tries == 1


def test_fitness_asked_later_looks_again(machine, fitness):
    machine.problem = "nobody there"
    fitness.faults()
    machine.problem, machine.now = "", 2.0
    assert fitness.faults() == []


def test_fitness_asked_for_anew_is_looked_at_at_once(machine, fitness):
    fitness.faults()
    machine.problem = "nobody there"
    assert fitness.faults() == []
    assert fitness.faults(anew=True) != []


def test_fitness_of_what_hangs_is_told_in_time(machine):
    gate = threading.Event()
    fitness = Fitness(lambda: gate.wait(20), clock=lambda: machine.now, patience_s=0.05)
    try:
        (fault,) = fitness.faults()
        assert "does not answer" in fault
        gate.set()
        fitness.join(10)
        machine.now = 2.0
        assert fitness.faults() == []
    finally:
        gate.set()
