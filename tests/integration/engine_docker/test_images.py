"""Images of a real engine: what is sent, what is kept, and what is told of them."""

import tarfile
import uuid

import pytest

from stepline.errors import PlatformError, UserError
from tests.support.tiny_images import programs_layer, tiny_image

pytestmark = pytest.mark.docker


def fresh(**files):
    """Return an image that no engine has, above the programs."""
    return tiny_image({"own": uuid.uuid4().hex, **files})


class Recorder:
    """Writes an image's archive, and knows which layers it left out and how much it wrote."""

    def __init__(self, image, *, refuse=False):
        self.image, self.refuse = image, refuse
        self.left_out, self.size = [], 0

    def __call__(self, file, without):
        self.left_out.append(set(without))
        recorder, layers = self, {"x"} if self.refuse and without else set(without)

        class Counted:
            def write(self, part):
                recorder.size += len(part)
                return file.write(part)

        if "x" in layers:
            file.write(b"this is no archive")
        else:
            self.image.write(Counted(), layers)


@pytest.fixture
def send(engine):
    """Loads images through a recorder, and removes them in the end."""
    ids = []

    def go(image, **how):
        recorder = Recorder(image, **how)
        ids.append(engine.load(list(image.layers), recorder))
        return recorder

    yield go
    for image_id in {*ids}:
        if engine.image(image_id):
            engine.remove_image(image_id)


def test_load_leaves_out_the_layers_that_the_engine_has(engine, send, tiny):
    image = fresh()
    recorder = send(image)
    [(programs, _)] = [list(image.layers)]
    assert recorder.left_out == [{programs}]
    assert recorder.size < 30_000 < len(programs_layer())
    assert list(engine.image(image.id).layers) == list(image.layers)


def test_load_engine_that_refuses_gets_the_whole_archive(engine, send, tiny):
    image = fresh()
    recorder = send(image, refuse=True)
    assert recorder.left_out == [{next(iter(image.layers))}, set()]
    assert engine.image(image.id).id == image.id


def test_load_layer_on_top_of_others_is_not_the_same(engine, send, tiny):
    """An engine knows a layer by what is below it, too."""
    lowest = {"own": uuid.uuid4().hex}
    one, other = tiny_image(lowest, {"a": "1"}), tiny_image({"b": "2"}, lowest, {"a": "1"})
    send(one)
    assert len(send(other).left_out[0]) == 1
    assert engine.image(other.id).layers == tuple(other.layers)


def test_load_error_of_the_writer_is_the_callers(engine, tiny):
    image = fresh()

    def write(file, without):
        file.write(b"\0" * 5_000_000)
        raise PlatformError("the layer is gone")

    with pytest.raises(PlatformError, match="the layer is gone"):
        engine.load(list(image.layers), write)
    assert engine.image(image.id) is None


def test_load_no_archive_is_refused_by_the_engine(engine):
    with pytest.raises(PlatformError, match="does not"):
        engine.load(["sha256:" + "1" * 64], lambda file, without: file.write(b"\0" * 4096) and None)


def test_image_is_known_by_id_tag_and_not_at_all(engine, load):
    image_id = load(
        tiny_image({"own": uuid.uuid4().hex}, config={"Entrypoint": ["a"], "Cmd": ["b"]})
    )
    name = f"test-{uuid.uuid4().hex}:v1"
    engine.tag(image_id, name)
    found = engine.image(name)
    assert (found.id, found.tags, found.command) == (image_id, (name,), ("a", "b"))
    assert (found.os, found.architecture, len(found.layers)) == ("linux", "amd64", 2)
    assert found.size > 1_000_000
    assert found in engine.images()
    assert engine.image("nobody-has-this:v1") is None
    engine.untag(name)
    assert engine.image(name) is None


def test_untag_image_in_use_loses_its_name_alone(engine, load, start):
    image_id = load(fresh())
    name = f"test-{uuid.uuid4().hex}:v1"
    engine.tag(image_id, name)
    container = start("sleep", "60", image=image_id)
    engine.untag(name)
    engine.untag(name)
    assert engine.image(name) is None
    assert engine.image(image_id).tags == ()
    container.remove()


def test_remove_image_in_use_is_refused_and_then_frees_its_own_bytes(engine, load, start):
    image_id = load(tiny_image({"own": uuid.uuid4().hex, "big": "x" * 100_000}))
    engine.tag(image_id, f"test-{uuid.uuid4().hex}:v1")
    container = start("sleep", "60", image=image_id)
    with pytest.raises(UserError, match="containers use the image") as caught:
        engine.remove_image(image_id)
    assert container.id[:12] in caught.value.what
    assert engine.image(image_id) is not None
    container.remove()
    assert 100_000 <= engine.remove_image(image_id) < 500_000
    assert engine.image(image_id) is None


def test_save_writes_the_whole_archive_or_nothing(engine, load, tmp_path):
    image_id = load(image := fresh(text="hello"))
    engine.save(image_id, tmp_path / "image.tar")
    with tarfile.open(tmp_path / "image.tar") as archive:
        assert "manifest.json" in archive.getnames()
    assert (tmp_path / "image.tar").stat().st_size > sum(map(len, image.layers.values()))
    with pytest.raises(PlatformError):
        engine.save("sha256:" + "0" * 64, tmp_path / "none.tar")
    assert [path.name for path in tmp_path.iterdir()] == ["image.tar"]


@pytest.mark.parametrize("call", ["tag", "image"])
def test_reference_that_is_none_is_the_callers_fault(engine, tiny, call):
    with pytest.raises(UserError, match="no reference of an image"):
        engine.tag(tiny, "BAD//x") if call == "tag" else engine.image("BAD//x")
