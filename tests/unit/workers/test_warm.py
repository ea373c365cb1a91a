"""Containers and sandboxes between tasks."""

import types

import pytest

from stepline.workers.warm import WarmPlace


@pytest.mark.parametrize("error", [RecursionError, OSError, MemoryError], ids=lambda e: e.__name__)
def test_warm_place_whose_tidying_fails_is_used_no_more(error):
    def tidy():
        raise error

    nothing = lambda *_: None  # noqa: E731
    worker = types.SimpleNamespace(usable=True, cancel=nothing, stop=nothing, close=nothing)
    place = WarmPlace(worker, types.SimpleNamespace(tidy=tidy))
    assert place.usable
    place.tidy()
    assert not place.usable
