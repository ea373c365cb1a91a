"""The pytest plugin that comes with Stepline; registered by an entry point.

pytest imports this in every project of an environment, so it imports nothing of
Stepline before a test asks for one of the fixtures.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from stepline.model.values import Json
    from stepline.testing.kit.files import Files
    from stepline.testing.kit.functions import RunFunction, ScriptModule
    from stepline.testing.kit.protocols import RunProtocol
    from stepline.testing.kit.secrets import Secrets
    from stepline.testing.kit.session import Session
    from stepline_sdk.context import Context

_SESSION: pytest.StashKey[Session] = pytest.StashKey()


def pytest_load_initial_conftests() -> None:
    """Let conftest files import what task scripts import."""
    _offer_import_names()


def pytest_configure() -> None:
    """Let tests import what task scripts import, ``ts_sdk``, where nothing else brings it."""
    _offer_import_names()


def _offer_import_names() -> None:
    found = find_spec("stepline_sdk")
    folders = found.submodule_search_locations if found else None
    for folder in folders or ():
        names = os.path.join(folder, "compat")
        if names not in sys.path:
            sys.path.append(names)


@pytest.fixture
def ids_folder() -> Path | None:
    """Folder of IDS and schemas; override it to use another than the project's ``ids``."""
    return None


@pytest.fixture
def _stepline(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    ids_folder: Path | None,
) -> Session:
    """What the other fixtures of this plugin share in one test."""
    from stepline.testing.kit.project import Project
    from stepline.testing.kit.session import Session

    session = Session(
        Project(request.path.parent),
        tmp_path_factory.mktemp("stepline"),
        fail=_fail,
        ids_folder=ids_folder,
    )
    request.node.stash[_SESSION] = session
    return session


@pytest.fixture
def files(_stepline: Session) -> Files:
    """The files of the test: `add` makes one, `written` has what functions wrote."""
    return _stepline.files


@pytest.fixture
def secrets(_stepline: Session) -> Secrets:
    """The secrets of the test: ``secrets["api_key"] = "value"`` declares one."""
    return _stepline.secrets


@pytest.fixture
def pipeline_config(_stepline: Session) -> dict[str, Json]:
    """Values of ``context.pipeline_config`` for functions that the test runs."""
    return _stepline.config


@pytest.fixture
def context(_stepline: Session) -> Context:
    """A real Context over the files, secrets and configuration of the test."""
    return _stepline.context


@pytest.fixture
def run_function(_stepline: Session) -> RunFunction:
    """Runs one function of the project's task script."""
    from stepline.testing.kit.functions import RunFunction

    return RunFunction(_stepline)


@pytest.fixture
def run_protocol(_stepline: Session) -> RunProtocol:
    """Runs a protocol of the project."""
    from stepline.testing.kit.protocols import RunProtocol

    return RunProtocol(_stepline)


@pytest.fixture
def script_module(_stepline: Session) -> Iterator[ScriptModule]:
    """Imports a module of the project's task script, to call or to patch it."""
    from stepline.testing.kit.functions import ScriptModule

    with ExitStack() as stack:
        yield ScriptModule(_stepline, stack)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail a test whose functions asked for what it did not provide, whatever came of it."""
    try:
        result = yield
    except BaseException as error:
        for problem in _problems(item):
            if problem not in str(error):
                error.add_note(problem)
        raise
    if problems := _problems(item):
        _fail("\n".join(problems))
    return result


def _problems(item: pytest.Item) -> list[str]:
    session = item.stash.get(_SESSION, None)
    return session.strictness.problems if session else []


def _fail(problem: str) -> None:
    pytest.fail(problem, pytrace=False)
