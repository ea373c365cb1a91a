"""Engine ``docker``: images and containers of a Docker Engine, by docker-py.

It is the engine of DOCKER_HOST, or the local one. Neither what the docker command line
keeps in its own configuration nor its logins are read or written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from stepline.ports.hookspecs import hookimpl

if TYPE_CHECKING:
    from stepline.ports.engine import ContainerEngine


@hookimpl
def stepline_engine(name: str, environ: Mapping[str, str]) -> ContainerEngine | None:
    """Provide the engine ``docker``."""
    if name != "docker":
        return None
    from stepline.plugins.engine_docker.engine import DockerEngine

    return DockerEngine(environ)
