"""Images of task scripts that were removed: made again, and only with leave another one."""

import pytest

from stepline.errors import ConfigError
from stepline.ports.executor import ExecutorOptions
from stepline.workers.imaged import VersionImages
from tests.support.images import local_images, put_base, script_version


@pytest.fixture
def folder(tmp_path):
    """A folder of images with one base."""
    put_base(tmp_path / "images")
    return tmp_path / "images"


@pytest.fixture
def version(tmp_path):
    """A task script."""
    (tmp_path / "script").mkdir()
    (tmp_path / "script" / "main.py").write_text("def f(input, context):\n    return {}\n")
    return script_version(tmp_path / "script")


def build(folder, version, **options):
    return local_images(folder).build(version, tell=lambda line: None, **options)


def test_image_that_is_gone_is_made_again(folder, version):
    first = build(folder, version)
    local_images(folder).remove(first.id)
    assert build(folder, version) == first


def test_image_that_is_gone_is_not_replaced_by_another(folder, version):
    first = build(folder, version)
    local_images(folder).remove(first.id)
    put_base(folder, "a newer base")
    for _ in range(2):
        with pytest.raises(ConfigError) as caught:
            build(folder, version)
        assert f"the image {first.id} that {version.name} was given is gone" in caught.value.what
        assert "made again it would be sha256:" in caught.value.what
        assert "publish it again with -f" in caught.value.hint
        assert local_images(folder).builds() == []


def test_image_that_is_gone_is_replaced_where_it_may_be(folder, version):
    first = build(folder, version)
    local_images(folder).remove(first.id)
    put_base(folder, "a newer base")
    second = build(folder, version, renew=True)
    assert second.id != first.id
    assert build(folder, version) == second


def test_image_that_is_there_stays_where_another_may_be_made(folder, version):
    first = build(folder, version)
    put_base(folder, "a newer base")
    assert build(folder, version, renew=True) == first


@pytest.fixture
def executors_images(folder):
    """The images of an executor."""
    return VersionImages(ExecutorOptions(images=lambda: local_images(folder)))


def test_executor_looks_again_for_an_image_that_may_be_renewed(folder, version, executors_images):
    first = executors_images.get(version)
    local_images(folder).remove(first.id)
    put_base(folder, "a newer base")
    second = executors_images.get(version, renew=True)
    assert second.id != first.id
    assert executors_images.get(version) == second


def test_executor_does_not_replace_an_image_that_is_gone(folder, version, executors_images):
    first = executors_images.get(version)
    local_images(folder).remove(first.id)
    put_base(folder, "a newer base")
    with pytest.raises(ConfigError, match="is gone, and made again it would be"):
        executors_images.again(version, first.id)
