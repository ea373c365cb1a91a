"""Fixtures for tests that use the product as its users do."""

import pytest

from tests.support.imaged import ImagedProject, forget_images
from tests.support.projects import Project


@pytest.fixture
def project(tmp_path, stepline_cache):
    """An empty project."""
    return Project(tmp_path, stepline_cache)


@pytest.fixture
def imaged(tmp_path, stepline_cache, slim_base, engine, images_environ):
    """An empty project with images and a container engine."""
    before = {build.image.id for build in slim_base.builds()}
    yield ImagedProject(tmp_path / "project", stepline_cache, images_environ)
    forget_images(slim_base, engine, but=before)
