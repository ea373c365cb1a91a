"""Containers of a real engine: how they are held, what they say, and how they end."""

import json
import os
import tarfile
import time
import uuid

import pytest

from stepline.errors import PlatformError
from stepline.model.task import Limits, Network
from stepline.ports.engine import ContainerEnd, ContainerSpec, Mount

pytestmark = pytest.mark.docker
NONE = Network.NONE


def said(container):
    """Wait for a container's end; return what it printed."""
    assert container.wait(timeout_s=30) is not None
    return container.output()


def test_container_of_a_task_has_no_privileges_and_no_network(start):
    script = "cat /proc/self/status; cat /proc/net/route; id -u"
    words = said(start("sh", "-c", script))
    status = dict(line.split(":\t", 1) for line in words.splitlines() if ":\t" in line)
    assert {int(status[name], 16) for name in ("CapEff", "CapBnd", "CapPrm")} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert words.splitlines()[-2].startswith("Iface")  # no route at all
    assert words.splitlines()[-1] == "10001"


def test_container_of_a_task_can_write_to_its_temporary_folder_alone_and_to_its_size(start):
    script = (
        "touch /etc/x; touch /srv/x; cat /bin/id >/tmp/id; chmod +x /tmp/id; /tmp/id;"
        "dd if=/dev/zero of=/tmp/big bs=1M count=9; dd if=/dev/zero of=/dev/shm/big bs=1M count=32;"
        "ls -d /tmp/id"
    )
    words = said(start("sh", "-c", script, limits=Limits(tmp_bytes=4 << 20, network=NONE)))
    assert words.count("Read-only file system") == 2
    assert "uid=10001" in words  # what is there can be started
    assert words.count("No space left on device") == 2
    assert words.splitlines()[-1] == "/tmp/id"


def test_container_over_its_processes_cannot_start_more(start):
    script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 5 & done; echo all"
    words = said(start("sh", "-c", script, limits=Limits(pids=8, network=NONE)))
    assert "Cannot fork" in words
    assert "all" not in words


def test_container_over_its_memory_is_told_apart_from_one_that_was_killed(start):
    over = start("tail", "/dev/zero", limits=Limits(memory_mb=16, network=NONE))
    assert over.wait(timeout_s=60) == ContainerEnd(exit_code=137, out_of_memory=True)
    killed = start("sleep", "60")
    killed.kill()
    assert killed.wait(timeout_s=30) == ContainerEnd(exit_code=137, out_of_memory=False)


def test_container_child_over_its_memory_is_seen_beside_a_good_end(start):
    command = ("sh", "-c", "tail /dev/zero; echo went on")
    container = start(*command, limits=Limits(memory_mb=16, network=NONE))
    assert container.wait(timeout_s=60) == ContainerEnd(exit_code=0, out_of_memory=True)
    assert "went on" in container.output()


def test_container_half_a_processor_is_what_its_group_has(start):
    new = not os.path.exists("/sys/fs/cgroup/cpu")
    file = "/sys/fs/cgroup/cpu.max" if new else "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"
    assert said(start("cat", file, limits=Limits(cpus=0.5, network=NONE))).split()[0] == "50000"


def test_container_mount_is_read_only_unless_it_says_otherwise(start, tmp_path):
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
    tmp_path.chmod(0o755)
    mounts = (
        Mount(source=str(tmp_path / "in"), target="/in"),
        Mount(source=str(tmp_path / "out"), target="/out", read_only=False),
    )
    words = said(start("sh", "-c", "touch /in/x; echo made >/out/x", mounts=mounts))
    assert "Read-only file system" in words
    assert (tmp_path / "out" / "x").read_text() == "made\n"


def test_container_mount_of_nothing_is_refused_and_nothing_stays(start, engine):
    owner = uuid.uuid4().hex
    with pytest.raises(PlatformError, match="does not exist") as caught:
        start("id", mounts=(Mount(source="/nowhere/at/all", target="/in"),), owner=owner)
    assert not caught.value.retryable
    assert engine.containers(owner) == []


def test_container_wait_gives_none_while_it_runs(start):
    container = start("sleep", "60")
    begun = time.monotonic()
    assert container.wait(timeout_s=0.2) is None
    assert 0.2 <= time.monotonic() - begun < 5
    assert container.wait(timeout_s=0) is None
    assert container.output() == ""


def test_container_output_keeps_the_last_and_follow_tells_each_line(start):
    script = "i=0; while [ $i -lt 9000 ]; do echo line $i; i=$((i+1)); done; echo no end; id -u"
    container, lines = start("sh", "-c", script, followed=True), []
    container.follow(lines.append)
    assert lines[-2:] == ["no end", "10001"]
    assert len(lines) == 9002
    assert len(container.output()) <= 64 * 1024 < sum(len(line) + 1 for line in lines)
    assert container.output().endswith("line 8999\nno end\n10001\n")


def test_container_that_is_followed_tells_every_line_whole_and_in_order(start):
    script = "i=0; while [ $i -lt 100000 ]; do echo line $i; i=$((i+1)); done"
    container, lines = start("sh", "-c", script, followed=True), []
    time.sleep(1)  # it prints more than is kept before anybody looks
    container.follow(lines.append)
    assert lines == [f"line {number}" for number in range(100_000)]
    assert container.wait(timeout_s=30).exit_code == 0


def test_container_that_is_followed_by_nobody_can_be_removed(start, engine):
    owner = uuid.uuid4().hex
    container = start("dd", "if=/dev/zero", "bs=1M", "count=20", followed=True, owner=owner)
    container.remove()
    assert engine.containers(owner) == []


def test_container_output_is_nowhere_on_disk_and_inspect_has_no_log(start):
    container = start("sh", "-c", "echo a row of data")
    assert said(container) == "a row of data\n"
    told = container._connection.client.inspect_container(container.id)
    assert told["HostConfig"]["LogConfig"]["Type"] == "none"
    assert told["LogPath"] == ""


def test_container_changes_are_a_layer_with_whiteouts(start):
    script = "mkdir /srv/new; echo text >/srv/new/file; rm /srv/../bin/dd"
    container = start("sh", "-c", script, trusted=True, user="0:0")
    assert container.wait(timeout_s=30).exit_code == 0
    with container.changes() as file, tarfile.open(fileobj=file) as layer:
        names = {name.removeprefix("./") for name in layer.getnames()}
        assert layer.extractfile("srv/new/file").read() == b"text\n"
    assert names == {"bin", "bin/.wh.dd", "srv", "srv/new", "srv/new/file"}


def test_container_that_changed_nothing_has_an_empty_layer(start, engine):
    before = {image.id for image in engine.images()}
    container = start("id", trusted=True)
    container.wait(timeout_s=30)
    with container.changes() as file, tarfile.open(fileobj=file) as layer:
        assert layer.getnames() == []
    assert {image.id for image in engine.images()} == before


def test_container_remove_and_kill_of_one_that_is_gone_are_quiet(start, engine):
    container = start("sleep", "60", owner=(owner := uuid.uuid4().hex))
    assert [found.id for found in engine.containers(owner)] == [container.id]
    assert container.id in [found.id for found in engine.containers()]
    for _ in range(2):
        container.remove()
        container.kill()
    assert engine.containers(owner) == []
    with pytest.raises(PlatformError) as caught:
        container.wait(timeout_s=1)
    assert caught.value.retryable


def test_container_found_again_can_be_ended(start, engine):
    container = start("sleep", "60", owner=(owner := uuid.uuid4().hex))
    [found] = engine.containers(owner)
    found.kill()
    assert found.wait(timeout_s=30).exit_code == 137
    assert found.output() == ""
    found.remove()
    assert container.output() == ""


def test_container_of_an_image_that_is_gone_is_an_error_that_may_pass(engine):
    with pytest.raises(PlatformError, match="an image is gone") as caught:
        engine.start(ContainerSpec(image="sha256:" + "0" * 64, command=("id",), owner="test"))
    assert caught.value.retryable
    assert "again" in caught.value.hint


def test_container_environment_folder_and_user_are_those_of_the_description(start):
    fields = {"environ": {"A": "b c"}, "user": "7:8", "folder": "/srv"}
    assert said(start("sh", "-c", "echo $A; id; ls -d $PWD", **fields)).splitlines() == [
        "b c",
        "uid=7 gid=8 groups=8",
        "/srv",
    ]


def test_private_network_has_no_way_out_and_containers_have_names_in_it(start, engine):
    name = f"test-{uuid.uuid4().hex}"
    engine.make_network(name, "test")
    try:
        container = start("sleep", "60", network=name, alias="db")
        client = container._connection.client
        assert client.inspect_network(name)["Internal"] is True
        joined = client.inspect_container(container.id)["NetworkSettings"]["Networks"]
        assert list(joined) == [name]
        assert "db" in joined[name]["Aliases"]
        container.remove()
    finally:
        engine.remove_network(name)
    engine.remove_network(name)


def test_container_health_is_that_of_its_check_or_none(engine, load, start):
    assert start("sleep", "60").healthy() is None
    from tests.support.tiny_images import tiny_image

    check = {"Test": ["CMD", "ls", "/tmp/up"], "Interval": 100_000_000, "Retries": 1}
    image = load(tiny_image({"x": "health"}, config={"Healthcheck": check}))
    container = start("sh", "-c", "sleep 1; touch /tmp/up; sleep 60", image=image)
    seen = [container.healthy()]
    end = time.monotonic() + 20
    while not seen[-1] and time.monotonic() < end:
        time.sleep(0.1)
        seen.append(container.healthy())
    assert (seen[0], seen[-1]) == (False, True)
    container.remove()


def test_container_secret_in_a_mounted_file_is_not_in_inspect(start, tmp_path):
    (tmp_path / "key").write_text("very-secret-value")
    tmp_path.chmod(0o755)
    container = start(
        "cat", "/run/key", mounts=(Mount(source=str(tmp_path / "key"), target="/run/key"),)
    )
    assert said(container) == "very-secret-value"
    told = container._connection.client.inspect_container(container.id)
    assert "very-secret-value" not in json.dumps(told)
