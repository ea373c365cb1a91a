"""The servers that tests push to, one of each in a session; loaded as a plugin by conftest.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def mlflow_server(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[object]:
    """MLflow's own server; all tests share what it stores, so names must be a test's own."""
    from tests.support.client_environments import locked_environment
    from tests.support.mlflow_server import serve_mlflow

    python = locked_environment(pytestconfig, "mlflow")
    with serve_mlflow(python, tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture(scope="session")
def shared_moto_server(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[object]:
    """moto's server for the whole session."""
    from tests.support.client_environments import locked_environment
    from tests.support.moto_server import serve_moto

    python = locked_environment(pytestconfig, "moto")
    with serve_moto(python, tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture
def moto_server(shared_moto_server: object) -> object:
    """An S3 with nothing in it, which lets any key in until it is locked."""
    from tests.support.moto_server import MotoServer

    assert isinstance(shared_moto_server, MotoServer)
    shared_moto_server.reset()
    return shared_moto_server


@pytest.fixture(scope="session")
def push_client(
    stepline_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Return a cache with the environment of a ready-made task script, made once in a session."""
    from tests.support.client_environments import client_environment

    made: dict[str, Path] = {}

    def push_client(slug: str) -> Path:
        if slug not in made:
            scratch = tmp_path_factory.mktemp(f"client-{slug}")
            made[slug] = client_environment(slug, cache=stepline_cache, scratch=scratch)
        return made[slug]

    return push_client
