"""Images of ours get into an engine once, and only as what they are."""

import json
import uuid

import pytest

from stepline.errors import PlatformError
from stepline.model.image import Image, Layer, LayerKind
from stepline.workers.loading import load_image
from tests.support.tiny_images import tiny_image

pytestmark = pytest.mark.docker


def described(tiny, image_id):
    layers = tuple(Layer(each, len(tar), LayerKind.BASE) for each, tar in tiny.layers.items())
    config = json.dumps({"own": uuid.uuid4().hex})
    return Image(id=image_id, config=config, layers=layers, runtime="3.11", python="/p", site="/s")


def test_load_image_twice_writes_it_once(engine, load):
    tiny, written = tiny_image({"own": uuid.uuid4().hex}), []
    image = described(tiny, tiny.id)

    def write(file, without):
        written.append(tiny.id)
        tiny.write(file, without)

    for _ in range(2):
        load_image(image, engine, write=write)
    assert written == [tiny.id]
    assert engine.image(tiny.id) is not None
    engine.remove_image(tiny.id)


def test_load_image_that_is_taken_for_another_is_an_error(engine, load):
    tiny = tiny_image({"own": uuid.uuid4().hex})
    load(tiny)
    with pytest.raises(PlatformError, match=f"for {tiny.id}") as caught:
        load_image(described(tiny, f"sha256:{'0' * 64}"), engine, write=tiny.write)
    assert caught.value.hint
