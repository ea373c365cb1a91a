"""The connection with an engine: made when it is first used, one for all threads."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from stepline.errors import PlatformError
from stepline.plugins.engine_docker.faults import translated, unreachable

Client = Any
"""docker-py's ``APIClient``, half of which its types leave open."""

LEAST_API = "1.41"
LEAST_ENGINE = "Docker Engine 20.10"
_UNIX = "unix://"
_LOCAL = f"{_UNIX}/var/run/docker.sock"
# A commit or the answer to an archive takes its time on a slow disk.
_PATIENCE_S = 300
# A worker is waited for on a connection of its own.
_KEPT_CONNECTIONS = 32
_swapping = threading.Lock()


class Connection:
    """Speaks with the engine that an environment names.

    Args:
        environ: DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH count.

    Attributes:
        place: Address of the engine, for messages.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._lock = threading.Lock()
        self._client: Client = None
        self.place = environ.get("DOCKER_HOST") or _LOCAL
        self.version: Mapping[str, Any] = {}

    @property
    def client(self) -> Client:
        """The client, connected.

        Raises:
            PlatformError: There is no engine, one may not use it, or it is too old.
        """
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def close(self) -> None:
        """End the connection; the next use makes a new one."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _connect(self) -> Client:
        try:
            import docker  # noqa: F401 - its absence is told apart from that of an engine
        except ImportError as error:
            hint = "install it: pip install 'stepline[docker]'"
            raise PlatformError(
                "docker-py, which speaks with engines, is missing", hint=hint
            ) from error
        self._try_socket()
        with translated(self.place):
            client = self._make(LEAST_API)
            self.version = client.version(api_version=False)
        api = str(self.version.get("ApiVersion", "0"))
        if _number(api) < _number(LEAST_API):
            client.close()
            raise self._too_old(api)
        least = str(self.version.get("MinAPIVersion", LEAST_API))
        if _number(least) > _number(LEAST_API):
            client.close()
            client = self._make(least)
        return client

    def _try_socket(self) -> None:
        """Raise what keeps us from a socket of this machine; docker-py would leak its own."""
        if not self.place.startswith(_UNIX):
            return
        if not self.place.startswith(f"{_UNIX}/"):
            raise self._wrong_host("it has no full path")
        try:
            with socket.socket(socket.AF_UNIX) as own:
                own.connect(self.place.removeprefix(_UNIX))
        except OSError as error:
            raise unreachable(error, self.place) from error

    def _make(self, api: str) -> Client:
        """Return a client, which is not connected yet."""
        from docker import APIClient
        from docker.errors import DockerException, TLSParameterError
        from docker.utils import kwargs_from_env

        try:
            named = kwargs_from_env(environment=dict(self._environ))
            with _no_config_file():
                client = APIClient(
                    base_url=named.get("base_url") or _LOCAL,
                    tls=named.get("tls") or False,
                    version=api,
                    timeout=_PATIENCE_S,
                    max_pool_size=_KEPT_CONNECTIONS,
                )
        except TLSParameterError:
            raise
        except (DockerException, ValueError, NameError) as error:  # the last where ssh is missing
            raise self._wrong_host(str(error)) from error
        if self.place.startswith(_UNIX):
            # No proxy and no ~/.netrc is meant for a socket of this machine.
            client.trust_env = False
        return client

    def _wrong_host(self, why: str) -> PlatformError:
        return PlatformError(
            f"DOCKER_HOST, '{self.place}', is no address of an engine: {why}",
            hint=f"write unix:///PATH or tcp://HOST:PORT; without DOCKER_HOST it is {_LOCAL}",
        )

    def _too_old(self, api: str) -> PlatformError:
        engine = self.version.get("Version", "of unknown version")
        return PlatformError(
            f"the Docker Engine at {self.place} is too old: {engine}, which speaks API {api}",
            hint=f"update it to {LEAST_ENGINE}, which speaks API {LEAST_API}, or a newer one",
        )


@contextmanager
def _no_config_file() -> Iterator[None]:
    """Keep docker-py from reading logins and proxies of the docker command line.

    It offers no way to say so; afterwards it reads nothing more.
    """
    from docker.utils import config

    with _swapping:
        found = config.find_config_file
        config.find_config_file = lambda config_path=None: None
        try:
            yield
        finally:
            config.find_config_file = found


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
