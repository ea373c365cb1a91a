"""The clock for waiting, with clocks that are set by hand."""

import pytest

from stepline.app.service.steady_clock import SteadyClock


class Hand:
    """A clock that is set by hand."""

    def __init__(self, at):
        self.at = at

    def __call__(self):
        return self.at


@pytest.fixture
def machine():
    """A machine's clock, its monotonic one, and the clock for waiting upon them."""
    wall, monotonic = Hand(1000.0), Hand(5.0)
    return wall, monotonic, SteadyClock(wall, monotonic=monotonic)


def test_steady_clock_follows_the_machines_forward_also_through_a_sleep(machine):
    wall, _, clock = machine
    assert clock() == 1000.0
    wall.at = 1003.0
    assert clock() == 1003.0
    wall.at = 9000.0  # a machine that slept: its monotonic clock stood still
    assert clock() == 9000.0


def test_steady_clock_set_back_goes_on_with_what_passed(machine):
    wall, monotonic, clock = machine
    wall.at, monotonic.at = 400.0, 7.0
    assert clock() == 1002.0
    wall.at, monotonic.at = 401.0, 8.0
    assert clock() == 1003.0
    wall.at, monotonic.at = 0.0, 8.5
    assert clock() == 1003.5
