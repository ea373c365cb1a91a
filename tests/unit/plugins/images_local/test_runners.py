"""Where hooks run, and that they do so on this machine only where somebody allowed it."""

import os
from pathlib import Path

import pytest

from stepline.errors import PlatformError
from stepline.plugins.images_local.runners import EngineRunner, SandboxRunner, find_runner
from stepline.ports.images import ImageOptions


class Engine:
    """An engine that answers, or does not."""

    def __init__(self, *, up):
        self._up = up

    def check(self):
        """See the port."""
        if not self._up:
            raise PlatformError("no engine answers", hint="start one", retryable=True)


@pytest.fixture
def said():
    """What the build's log got."""
    return []


@pytest.fixture
def find(tmp_path, monkeypatch, said):
    """Find where hooks run, on a machine with or without an engine, bubblewrap and root."""

    def found(*, allowed, up=False, bwrap=True, user=0):
        monkeypatch.setattr(os, "geteuid", lambda: user)
        if bwrap:
            (tmp_path / "bwrap").touch(mode=0o755)
        options = ImageOptions(
            folder=tmp_path,
            bases={},
            engine=lambda: Engine(up=up),
            credential=lambda reference: None,
            allow_before_install=allowed,
        )
        environ = {"PATH": str(tmp_path)}
        return find_runner(options, lambda layer: Path(), environ=environ, tell=said.append)

    return found


@pytest.mark.parametrize("allowed", [True, False])
def test_hook_with_an_engine_runs_in_it_and_nothing_is_said(find, said, allowed):
    assert isinstance(find(allowed=allowed, up=True), EngineRunner)
    assert said == []


def test_hook_without_engine_that_is_allowed_runs_as_root_and_the_log_says_so(find, said):
    assert isinstance(find(allowed=True), SandboxRunner)
    (line,) = said
    assert "no engine answers" in line
    assert "run as root on this machine, as allow_before_install allows" in line


@pytest.mark.parametrize(
    ("machine", "lacking"),
    [
        ({"allowed": False}, "it is not allowed"),
        ({"allowed": True, "user": 1000}, "you are not root"),
        ({"allowed": True, "bwrap": False}, "bubblewrap is not installed"),
        ({"allowed": False, "user": 1000}, "it is not allowed, you are not root"),
    ],
    ids=["not allowed", "no root", "no bubblewrap", "neither"],
)
def test_hook_without_engine_is_refused_with_both_ways(find, said, machine, lacking):
    with pytest.raises(PlatformError, match="need a container engine, or would run") as caught:
        find(**machine)
    assert f"but {lacking}; of the engine: no engine answers" in caught.value.what
    assert caught.value.hint.startswith("start one; or, as root and with bubblewrap, ")
    assert "allow_before_install" in caught.value.hint
    assert caught.value.retryable is True
    assert said == []
