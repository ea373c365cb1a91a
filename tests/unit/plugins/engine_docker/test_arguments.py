"""What the engine is asked for: everything that a description says, and nothing beside it."""

from dataclasses import fields, replace

import pytest

from stepline.model.task import Limits, Network
from stepline.plugins.engine_docker.arguments import create_arguments
from stepline.ports.engine import LABEL, ContainerSpec, Mount

FULL = ContainerSpec(
    image="sha256:" + "1" * 64,
    command=("python3", "-m", "x"),
    owner="service-1",
    environ={"TZ": "UTC"},
    mounts=(Mount(source="/srv/in", target="/in"),),
    limits=Limits(memory_mb=64, pids=20, cpus=0.5, tmp_bytes=4096, network=Network.BRIDGE),
    user="1:2",
    folder="/work",
    trusted=False,
    terminal=True,
    network="net-1",
    alias="db",
    volumes=("/data",),
    health=("ready",),
)
# All that may ever be set of what the Engine API calls HostConfig.
ALLOWED = {
    "CapDrop", "Init", "IpcMode", "LogConfig", "Memory", "MemorySwap", "Mounts", "NanoCpus",
    "NetworkMode", "PidsLimit", "ReadonlyRootfs", "SecurityOpt", "ShmSize", "Tmpfs",
}  # fmt: skip
CONFIG = {
    "Image", "Labels", "Env", "User", "WorkingDir", "Tty", "OpenStdin", "StdinOnce",
    "HostConfig", "Entrypoint", "Cmd", "NetworkingConfig", "Healthcheck",
}  # fmt: skip


def host(spec):
    return create_arguments(spec)["HostConfig"]


def test_create_arguments_every_field_is_in_what_is_asked_for():
    plain = ContainerSpec(image="i", command=("c",), owner="o", network="net-0")
    for each in fields(ContainerSpec):
        if each.name == "followed":  # is about our end alone
            continue
        name, value = each.name, getattr(FULL, each.name)
        changed = replace(plain, **{name: True if name == "trusted" else value})
        assert create_arguments(changed) != create_arguments(plain), name


@pytest.mark.parametrize("trusted", [False, True])
def test_create_arguments_nothing_beside_the_allowed_is_asked_for(trusted):
    arguments = create_arguments(replace(FULL, trusted=trusted))
    assert set(arguments) <= CONFIG
    assert set(arguments["HostConfig"]) <= ALLOWED
    assert set(host(FULL)) == ALLOWED


def test_create_arguments_container_of_a_task_is_held():
    found = host(FULL)
    assert found["CapDrop"] == ["ALL"]
    assert found["SecurityOpt"] == ["no-new-privileges:true"]
    assert (found["ReadonlyRootfs"], found["Init"]) == (True, True)
    assert found["Tmpfs"] == {"/tmp": "rw,exec,nosuid,nodev,mode=1777,size=4096"}
    assert found["Memory"] == found["MemorySwap"] == 64 * 1024 * 1024
    assert (found["PidsLimit"], found["NanoCpus"]) == (20, 500_000_000)
    assert found["ShmSize"] == 4096
    assert found["LogConfig"] == {"Type": "none", "Config": {}}


def test_create_arguments_trusted_container_keeps_its_limits_alone():
    found = host(replace(FULL, trusted=True))
    assert not {"CapDrop", "SecurityOpt", "Tmpfs", "ReadonlyRootfs"} & set(found)
    assert {"Memory", "PidsLimit", "NanoCpus", "LogConfig"} <= set(found)
    assert found["Init"] is False


def test_create_arguments_mount_is_read_only_unless_it_says_otherwise():
    mounts = (Mount(source="/a", target="/b"), Mount(source="/c", target="/d", read_only=False))
    found = host(replace(FULL, mounts=mounts, volumes=()))["Mounts"]
    assert [(each["Type"], each["Source"], each["Target"]) for each in found] == [
        ("bind", "/a", "/b"),
        ("bind", "/c", "/d"),
    ]
    assert [each["ReadOnly"] for each in found] == [True, False]
    assert {each["BindOptions"]["Propagation"] for each in found} == {"rprivate"}


@pytest.mark.parametrize("network", list(Network))
def test_create_arguments_network_of_the_limits_or_a_private_one(network):
    spec = replace(FULL, network="", limits=Limits(network=network))
    assert host(spec)["NetworkMode"] == network.value
    assert "NetworkingConfig" not in create_arguments(spec)
    joined = create_arguments(replace(spec, network="net-1"))
    assert joined["HostConfig"]["NetworkMode"] == "net-1"
    assert joined["NetworkingConfig"] == {"EndpointsConfig": {"net-1": {"Aliases": ["db"]}}}


def test_create_arguments_without_limits_asks_for_none_and_temporary_space_is_memory():
    limits = Limits(memory_mb=None, network=Network.NONE)
    assert not {"Memory", "MemorySwap", "PidsLimit", "NanoCpus"} & set(
        host(replace(FULL, limits=limits))
    )
    assert "size" not in host(replace(FULL, limits=limits))["Tmpfs"]["/tmp"]
    bounded = host(replace(FULL, limits=replace(limits, memory_mb=1)))["Tmpfs"]["/tmp"]
    assert bounded.endswith(",size=1048576")


def test_create_arguments_command_takes_the_place_of_an_entry_point():
    found = create_arguments(FULL)
    assert (found["Entrypoint"], found["Cmd"]) == (["python3"], ["-m", "x"])
    assert not {"Entrypoint", "Cmd"} & set(create_arguments(replace(FULL, command=())))


def test_create_arguments_names_owner_user_folder_and_environment():
    found = create_arguments(FULL)
    assert found["Labels"] == {LABEL: "service-1"}
    assert (found["User"], found["WorkingDir"], found["Env"]) == ("1:2", "/work", ["TZ=UTC"])
    assert (found["Tty"], found["OpenStdin"], found["StdinOnce"]) == (True, True, True)
