"""Engines that cannot be used, each from its real cause where there can be one."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from stepline.errors import PlatformError
from stepline.plugins.engine_docker.engine import DockerEngine

NOBODY = 65534


def fault(host):
    """Return the error of an engine that cannot be used."""
    engine = DockerEngine({"DOCKER_HOST": host})
    with pytest.raises(PlatformError) as caught:
        engine.check()
    engine.close()
    assert host in caught.value.what
    return caught.value


@contextlib.contextmanager
def answering(path, **version):
    """Stand in for an engine that tells its version and nothing else."""
    body = json.dumps(version).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve():
            for _ in range(5):
                try:
                    with server.accept()[0] as client:
                        if not (request := client.recv(4096)):
                            continue
                        asked.append(request.split()[1].decode())
                        client.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
                except OSError:
                    return

        asked = []
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield asked
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def test_engine_that_is_not_there_says_how_to_name_one(tmp_path):
    error = fault(f"unix://{tmp_path}/none.sock")
    assert error.what.startswith("no Docker Engine answers at")
    assert "DOCKER_HOST" in error.hint
    assert error.retryable


def test_engine_socket_that_nobody_serves_is_no_engine(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{tmp_path}/dead.sock")
    assert "no Docker Engine answers" in fault(f"unix://{tmp_path}/dead.sock").what


def test_engine_that_is_too_old_says_what_is_needed(tmp_path):
    with answering(tmp_path / "old.sock", Version="19.03.9", ApiVersion="1.40"):
        error = fault(f"unix://{tmp_path}/old.sock")
    assert "too old: 19.03.9, which speaks API 1.40" in error.what
    assert "Docker Engine 20.10" in error.hint
    assert not error.retryable


def test_engine_that_no_longer_speaks_the_oldest_is_spoken_to_as_it_wants(tmp_path):
    version = {"Version": "29.0.0", "ApiVersion": "1.52", "MinAPIVersion": "1.44"}
    with answering(tmp_path / "new.sock", **version) as asked:
        engine = DockerEngine({"DOCKER_HOST": f"unix://{tmp_path}/new.sock"})
        assert engine.check() == "Docker Engine 29.0.0, API 1.52"
        engine.close()
    assert asked == ["/version", "/v1.44/_ping"]


def hang_up_twice(server):
    for _ in range(2):
        server.accept()[0].close()


def test_engine_that_is_none_breaks_off(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{tmp_path}/odd.sock")
        server.listen()
        threading.Thread(target=hang_up_twice, args=(server,), daemon=True).start()
        error = fault(f"unix://{tmp_path}/odd.sock")
    assert "broke" in error.what
    assert error.retryable


@pytest.mark.parametrize(
    "host",
    ["bogus", "nonsense://x", "tcp://", "tcp://[::1", "tcp://host:port", "unix://", "ssh://x"],
)
def test_engine_host_that_cannot_be_one_is_told(host):
    error = fault(host)
    assert error.what.startswith(f"DOCKER_HOST, '{host}', is no address of an engine")
    assert "unix:///PATH" in error.hint
    assert not error.retryable


@pytest.mark.docker
@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
def test_engine_that_one_may_not_use_says_how_to_get_the_right(tmp_path):
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents:
        if folder.stat().st_uid == 0 and folder != Path("/") and "pytest" in folder.name:
            folder.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{tmp_path}/closed.sock")
        os.chmod(f"{tmp_path}/closed.sock", 0o600)
        server.listen()
        found = tried_by_nobody(f"unix://{tmp_path}/closed.sock")
    assert found[0].startswith("you have no right to use the Docker Engine at unix://")
    assert "group" in found[1]
    assert found[2] == "False"


def tried_by_nobody(host):
    """Return what, hint and whether it may pass, as another user sees the error."""
    child, parent = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            import docker  # noqa: F401 - its files may be out of the other user's reach
            import requests  # noqa: F401

            os.setgid(NOBODY)
            os.setuid(NOBODY)
            DockerEngine({"DOCKER_HOST": host}).check()
        except PlatformError as error:
            os.write(parent, "\n".join((error.what, error.hint, str(error.retryable))).encode())
        finally:
            os._exit(0)
    os.close(parent)
    with os.fdopen(child) as file:
        said = file.read()
    os.waitpid(pid, 0)
    return said.split("\n")


def test_engine_module_is_loaded_when_it_is_used_first():
    code = (
        "import sys\n"
        "from stepline.plugins.engine_docker import stepline_engine as hook\n"
        "engine = hook(name='docker', environ={})\n"
        "assert hook(name='other', environ={}) is None\n"
        "print(sorted({'docker', 'requests'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
