"""Containers of builds and tests end in time, and cannot take all of a machine."""

import time
import uuid

import pytest

from stepline.app.images.services import started
from stepline.app.images.testing import run_to_its_end
from stepline.errors import UserError
from stepline.model.image import ServiceSpec
from stepline.ports.engine import ContainerEnd, ContainerSpec
from stepline.workers.following import follow_until

pytestmark = pytest.mark.docker


def test_follow_until_the_end_gives_all_lines_and_the_end(start):
    container, lines = start("sh", "-c", "echo one; echo two; exit 3", followed=True), []
    ended = follow_until(container, 60, tell=lines.append)
    assert ended == ContainerEnd(exit_code=3, out_of_memory=False)
    assert lines == ["one", "two"]


def test_follow_until_the_time_is_up_kills_the_container(start):
    container, lines, begun = start("sh", "-c", "echo one; sleep 60", followed=True), [], 0.0
    begun = time.monotonic()
    assert follow_until(container, 1, tell=lines.append) is None
    assert time.monotonic() - begun < 30
    assert lines == ["one"]
    assert container.wait(timeout_s=5).exit_code == 137


def test_service_has_bounds(engine, tiny):
    tag = engine.image(tiny).tags[0]
    service = ServiceSpec(
        name="db", image=tag, command=("sleep", "60"), health=("ls", "/"), start_within_s=30
    )
    owner = f"test-{uuid.uuid4().hex}"
    with started(
        [service], engine, owner=owner, credential=lambda name: None, tell=lambda line: None
    ):
        (container,) = engine.containers(owner)
        told = container._connection.client.inspect_container(container.id)["HostConfig"]
    assert (told["PidsLimit"], told["Memory"]) == (4096, 8 * 1024**3)


def test_tests_inside_an_image_that_never_end_are_killed_and_say_so(engine, tiny):
    owner = f"test-{uuid.uuid4().hex}"
    spec = ContainerSpec(
        image=tiny, command=("sh", "-c", "echo test_it; sleep 60"), owner=owner, followed=True
    )
    shown = []
    with pytest.raises(UserError, match="did not end in 1 s and were killed") as caught:
        run_to_its_end(engine, spec, show=shown.append, limit_s=1)
    assert shown == ["test_it"]
    assert "the last line" in caught.value.hint
    assert engine.containers(owner) == []
