"""What executors share that run tasks in images."""

from dataclasses import replace

import pytest

from stepline.errors import PlatformError
from stepline.model.image import Image
from stepline.model.task import Isolation, Limits
from stepline.ports.executor import ExecutorOptions
from stepline.workers.held import Held
from stepline.workers.imaged import VersionImages, image_variables, task_variables
from tests.support.images import script_version

HELD = Held.by(Limits(memory_mb=None, timeout_s=None))


class Making:
    """Makes an image of each version's content and runtime, and counts them."""

    def __init__(self):
        self.made = []
        self.content = ""

    def build(self, version, *, tell, renew=False):
        """See the port."""
        del renew
        tell("building")
        name = f"sha256:{version.digest}-{version.runtime}{self.content}"
        self.made.append(name)
        return image(name)


def image(name="sha256:1", *, config="{}"):
    """Return an image of a name."""
    return Image(id=name, config=config, layers=(), runtime="3.11", python="/python", site="/site")


@pytest.fixture
def making():
    """What makes images."""
    return Making()


@pytest.fixture
def version(tmp_path):
    """A task script."""
    (tmp_path / "main.py").write_text("def f(input, context):\n    return 1\n")
    return script_version(tmp_path)


def options_of(making, **further):
    return ExecutorOptions(images=lambda: making, **further)


def test_version_images_of_another_runtime_are_others(making, version):
    images = VersionImages(options_of(making))
    other = replace(version, runtime="3.13")
    assert images.get(version).id != images.get(other).id
    assert len(making.made) == 2


def test_version_images_are_made_and_got_ready_once(making, version):
    ready, said = [], []
    images = VersionImages(options_of(making), ready.append)
    assert images.get(version, said.append) is images.get(version, said.append)
    assert [each.id for each in ready] == making.made
    assert said == ["building"]


def test_version_images_one_that_is_gone_is_made_again(making, version):
    images = VersionImages(options_of(making))
    first = images.get(version)
    assert images.again(version, first.id) == first
    assert len(making.made) == 2


def test_version_images_one_that_is_another_now_is_refused(making, version):
    images = VersionImages(options_of(making))
    first = images.get(version)
    making.content = "-changed"
    with pytest.raises(PlatformError) as caught:
        images.again(version, first.id)
    assert caught.value.what == f"the image {first.id} is gone"
    assert caught.value.retryable is True


@pytest.mark.parametrize(
    ("isolation", "count"), [(Isolation.FORK, 1), (Isolation.PROCESS, 0), (Isolation.REUSE, 0)]
)
def test_version_images_key_has_modules_where_tasks_are_copies(making, version, isolation, count):
    images = VersionImages(options_of(making, isolation=isolation))
    key = images.key(version, image(), held=HELD)
    assert (key.image, len(key.modules), key.held) == ("sha256:1", count, HELD)


def test_image_variables_are_those_of_its_config():
    assert image_variables(image()) == {}
    config = '{"config": {"Env": ["A=1=2", "EMPTY="]}}'
    assert image_variables(image(config=config)) == {"A": "1=2", "EMPTY": ""}


@pytest.mark.parametrize(
    ("env", "language"), [("[]", "C.UTF-8"), ('["LANG=de_DE"]', None)], ids=["without", "with"]
)
def test_task_variables_have_a_language_unless_the_image_has(env, language):
    config = f'{{"config": {{"Env": {env}}}}}'
    told = task_variables(image(config=config), HELD, task_env={"HOME": "/h"})
    assert told.get("LANG") == language
    assert told["HOME"] == "/h"
    assert told["TMPDIR"] == "/run/stepline-task/work"
