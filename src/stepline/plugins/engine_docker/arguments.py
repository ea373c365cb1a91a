"""From a container's description to what the Engine API is asked for, in one function.

Nothing else makes containers, so what is not written here cannot be had: no further
privileges, devices, host folders, namespaces of the host or ports.
"""

from __future__ import annotations

from typing import Any

from stepline.model.task import Limits
from stepline.ports.engine import LABEL, ContainerSpec, Mount
from stepline.workers.held import shared_memory_bytes

_MIB = 1024 * 1024
_NANO = 1_000_000_000
_HEALTH_EVERY_S = 0.5
_HEALTH_TIMEOUT_S = 10.0
# Programs in it can be started, as under the other executors.
_TEMPORARY = "rw,exec,nosuid,nodev,mode=1777"


def create_arguments(spec: ContainerSpec) -> dict[str, Any]:
    """Return the body of the request that makes a container."""
    arguments: dict[str, Any] = {
        "Image": spec.image,
        "Labels": {LABEL: spec.owner},
        "Env": [f"{name}={value}" for name, value in spec.environ.items()],
        "User": spec.user,
        "WorkingDir": spec.folder,
        "Tty": spec.terminal,
        "OpenStdin": spec.terminal,
        "StdinOnce": spec.terminal,
        "HostConfig": _host_config(spec),
    }
    if spec.command:
        # Both, so that an entry point of the image does not take the command as arguments.
        program, *rest = spec.command
        arguments |= {"Entrypoint": [program], "Cmd": rest}
    if spec.health:
        arguments["Healthcheck"] = {
            "Test": ["CMD", *spec.health],
            "Interval": round(_HEALTH_EVERY_S * _NANO),
            "Timeout": round(_HEALTH_TIMEOUT_S * _NANO),
        }
    if spec.network:
        endpoint = {"Aliases": [spec.alias]} if spec.alias else {}
        arguments["NetworkingConfig"] = {"EndpointsConfig": {spec.network: endpoint}}
    return arguments


def _host_config(spec: ContainerSpec) -> dict[str, Any]:
    config: dict[str, Any] = {
        # The first process of a container ignores SIGTERM unless it handles it, and keeps
        # zombies; the engine's own init does neither. It leaves a file in a root that is
        # written to, which would become part of a hook's changes.
        "Init": not spec.trusted,
        "NetworkMode": spec.network or spec.limits.network.value,
        "IpcMode": "private",
        "ShmSize": shared_memory_bytes(spec.limits.tmp_bytes),
        "Mounts": [
            *(_mount(each) for each in spec.mounts),
            *({"Type": "volume", "Target": path} for path in spec.volumes),
        ],
        # What it prints is read from the attached stream; a log would be a copy on disk.
        "LogConfig": {"Type": "none", "Config": {}},
        **_bounds(spec.limits),
    }
    if not spec.trusted:
        config |= {
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "Tmpfs": {"/tmp": _temporary(spec.limits)},
        }
    return config


def _bounds(limits: Limits) -> dict[str, Any]:
    bounds: dict[str, Any] = {}
    if limits.memory_mb is not None:
        # Swap counts too: what is over the memory ends the program and does not slow it.
        bounds |= {"Memory": limits.memory_mb * _MIB, "MemorySwap": limits.memory_mb * _MIB}
    if limits.pids is not None:
        bounds["PidsLimit"] = limits.pids
    if limits.cpus is not None:
        bounds["NanoCpus"] = round(limits.cpus * _NANO)
    return bounds


def _temporary(limits: Limits) -> str:
    """Return the options of ``/tmp``, which is memory: never more than there may be of it."""
    size = limits.tmp_bytes
    if size is None and limits.memory_mb is not None:
        size = limits.memory_mb * _MIB
    return _TEMPORARY if size is None else f"{_TEMPORARY},size={size}"


def _mount(mount: Mount) -> dict[str, Any]:
    return {
        "Type": "bind",
        "Source": mount.source,
        "Target": mount.target,
        "ReadOnly": mount.read_only,
        "BindOptions": {"Propagation": "rprivate"},
    }
