"""Containers of a Docker Engine."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from stepline.plugins.engine_docker.arguments import create_arguments
from stepline.plugins.engine_docker.connection import Client, Connection
from stepline.plugins.engine_docker.faults import translated
from stepline.plugins.engine_docker.output import Output
from stepline.plugins.engine_docker.terminals import connect
from stepline.plugins.engine_docker.top_layer import empty_layer, top_layer
from stepline.ports.engine import LABEL, ContainerEnd, ContainerSpec

# The last of what it printed may still be on its way when a container has ended.
_SETTLE_S = 2.0
# An answer that got lost is not waited for longer than this.
_ASK_AGAIN_S = 60.0


class DockerContainer:
    """One container.

    Args:
        container_id: The engine's id.
        connection: The engine.
        owner: Value of its label.
        image: Id of its image.
        output: What it prints; None for one that was found, whose output went elsewhere.
        terminal: Its terminal; None where it has none, or was found.
    """

    def __init__(
        self,
        container_id: str,
        connection: Connection,
        *,
        owner: str,
        image: str,
        output: Output | None = None,
        terminal: socket.socket | None = None,
    ) -> None:
        self.id = container_id
        self.owner = owner
        self.image = image
        self._terminal = terminal
        self._connection = connection
        self._output = output

    def wait(self, *, timeout_s: float | None = None) -> ContainerEnd | None:
        """Wait for its end; None where it still runs after the time."""
        with self._engine() as client:
            if timeout_s is None:
                while not self._ends(client, _ASK_AGAIN_S) and self._running(client):
                    pass
            elif timeout_s > 0 and not self._ends(client, timeout_s):
                return None
            state = self._state(client)
        if state.get("Running") or state.get("Status") == "created":
            return None
        return ContainerEnd(
            exit_code=int(state["ExitCode"]), out_of_memory=bool(state.get("OOMKilled"))
        )

    def output(self) -> str:
        """Return the last that it printed, at most 64 KiB."""
        if self._output is None:
            return ""
        with self._engine() as client:
            running = self._running(client)
        return self._output.text(settle_s=0.0 if running else _SETTLE_S)

    def follow(self, tell: Callable[[str], None]) -> None:
        """Pass on what it prints, line by line, until its end; see `Container.follow`."""
        if self._output is not None:
            self._output.follow(tell, runs=self._still_runs)

    def interact(self, keyboard: int, screen: int) -> None:
        """Connect its terminal to one of ours, until its end."""
        if self._terminal is None:
            return

        def resize(height: int, width: int) -> None:
            with self._engine() as client, _forgiving(404, 409, 500):
                client.resize(self.id, height=height, width=width)

        connect(self._terminal, keyboard=keyboard, screen=screen, resize=resize)

    def kill(self) -> None:
        """End it by force; no error where it has ended or is gone."""
        with self._engine() as client, _forgiving(404, 409):
            client.kill(self.id)

    def changes(self) -> BinaryIO:
        """Return what it changed of its root, as the tar of a layer, whiteouts included."""
        with self._engine() as client:
            below = _layers(client, str(client.inspect_container(self.id)["Image"]))
            image = str(client.commit(self.id)["Id"])
            try:
                # Where nothing was changed, a commit adds no layer.
                changed = _layers(client, image) > below
                return top_layer(client.get_image(image)) if changed else empty_layer()
            finally:
                # Parents without a name would go with it otherwise.
                client.remove_image(image, noprune=True)

    def healthy(self) -> bool | None:
        """Tell whether its health check passes; None where its image has none."""
        with self._engine() as client:
            state = self._state(client)
        health = state.get("Health", {}).get("Status", "none")
        return None if health == "none" else bool(state["Running"]) and health == "healthy"

    def remove(self) -> None:
        """End and remove it, with its anonymous volumes; no error where it is gone."""
        if self._output is not None:
            self._output.end()  # it is not held up by nobody reading
        with self._engine() as client, _forgiving(404, 409):
            client.remove_container(self.id, v=True, force=True)

    @contextmanager
    def _engine(self) -> Iterator[Client]:
        client = self._connection.client
        with translated(self._connection.place):
            yield client

    def _ends(self, client: Client, timeout_s: float) -> bool:
        """Tell whether it ends in time."""
        from requests.exceptions import ConnectionError as Broken
        from requests.exceptions import Timeout

        begun = time.monotonic()
        try:
            client.wait(self.id, timeout=timeout_s)
        except (Broken, Timeout):
            # docker-py tells a time that is up as a connection that broke.
            if time.monotonic() - begun < timeout_s:
                raise
            return False
        return True

    def _state(self, client: Client) -> dict[str, Any]:
        state: dict[str, Any] = client.inspect_container(self.id)["State"]
        return state

    def _still_runs(self) -> bool:
        with self._engine() as client:
            return self._running(client)

    def _running(self, client: Client) -> bool:
        from docker.errors import NotFound

        try:
            return bool(self._state(client)["Running"])
        except NotFound:
            return False


def start_container(connection: Connection, spec: ContainerSpec) -> DockerContainer:
    """Make and start a container; nothing of it stays where it does not start."""
    client, output = connection.client, Output(followed=spec.followed)
    with translated(connection.place):
        made = client.create_container_from_config(create_arguments(spec))["Id"]
        container = DockerContainer(
            made,
            connection,
            owner=spec.owner,
            image=spec.image,
            output=output,
            terminal=_terminal(client, made) if spec.terminal else None,
        )
        try:
            # Before the start, so that nothing it prints is missed.
            stream = client.attach(made, stream=True)
            # docker-py leaves it to its callers to close the answer, and hides it from them.
            output.begin(stream, vars(stream)["_response"].close)
            client.start(made)
        except BaseException:
            container.remove()
            raise
    return container


def found_containers(connection: Connection, owner: str) -> list[DockerContainer]:
    """Return our containers, running or not; only those of an owner where one is given."""
    client = connection.client
    label = f"{LABEL}={owner}" if owner else LABEL
    with translated(connection.place):
        listed = client.containers(all=True, filters={"label": label})
    return [
        DockerContainer(
            each["Id"], connection, owner=each["Labels"][LABEL], image=each.get("ImageID", "")
        )
        for each in listed
    ]


def _terminal(client: Client, container_id: str) -> socket.socket:
    """Return the terminal of a container that is not started yet."""
    ways = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
    file = client.attach_socket(container_id, params=ways)
    # docker-py wraps the socket in a file that can only be read.
    held: socket.socket = getattr(file, "_sock", file)
    duplicate = held.dup()
    duplicate.setblocking(True)
    return duplicate


def _layers(client: Client, image: str) -> int:
    """Return how many layers an image has."""
    return len(client.inspect_image(image)["RootFS"].get("Layers") or ())


@contextmanager
def _forgiving(*codes: int) -> Iterator[None]:
    """Let answers of the engine with these status codes pass."""
    from docker.errors import APIError

    try:
        yield
    except APIError as error:
        if error.status_code not in codes:
            raise
