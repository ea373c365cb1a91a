"""Fixtures for tests that use the product as its users do."""

import pytest

from tests.support.projects import Project


@pytest.fixture
def project(tmp_path, stepline_cache):
    """An empty project."""
    return Project(tmp_path, stepline_cache)
