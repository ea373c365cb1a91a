"""Images that an engine saves, taken apart; the engine here is a file."""

import gzip
import io
import json
import tarfile

import pytest

from stepline.errors import PlatformError, UserError
from stepline.plugins.images_local.fetching import fetch
from stepline.plugins.images_local.store import LayerStore
from stepline.plugins.images_local.trees import read_layers
from stepline.ports.engine import EngineImage
from stepline.ports.images import ImageOptions
from tests.support.tiny_images import TinyImage, digest_of, text_layer

DIGEST = f"sha256:{'d' * 64}"
PASSWD = "root:x:0:0:root:/root:/bin/sh\nmine:x:10001:10001::/:/bin/sh\n"


class FileEngine:
    """Saves one image, its layers compressed or cut short on demand."""

    def __init__(self, *layers, digests=(), spoil=lambda layer: layer):
        digests_of_layers = [digest_of(layer) for layer in layers]
        self.image = TinyImage(b"{}", dict(zip(digests_of_layers, map(spoil, layers), strict=True)))
        self.found = EngineImage(
            id=self.image.id,
            tags=(),
            digests=digests,
            os="linux",
            architecture="amd64",
            command=(),
            layers=digests_of_layers,
            size=0,
            config={"Env": ["A=b"], "User": "root", "Labels": None},
        )

    def pull(self, reference, credential):
        return self.found

    def save(self, image_id, target):
        with target.open("wb") as file:
            self.image.write(file)


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    return LayerStore(tmp_path)


def fetched(store, engine, reference="registry.example/a/b:1"):
    options = ImageOptions(
        folder=store.folder, bases={}, engine=lambda: engine, credential=lambda _: None
    )
    return fetch(reference, store=store, options=options)


def tree_of(store, found):
    return read_layers([store.path(layer) for layer in found.layers])


def python(version="3.11", folder="usr/local/bin"):
    return text_layer({f"{folder}/python{version}": "x"})


def test_fetch_compressed_layers_become_plain_ones(store):
    found = fetched(store, FileEngine(python(), spoil=gzip.compress))
    assert found.layers[0].digest == digest_of(python())
    assert found.pythons == {"3.11": "/usr/local/bin/python3.11"}


def test_fetch_layer_that_is_another_than_promised_is_refused(store):
    with pytest.raises(PlatformError, match=r"saved the image .* in place of"):
        fetched(store, FileEngine(python(), spoil=lambda layer: text_layer({"other": "1"})))


def test_fetch_keeps_of_the_config_what_programs_need(store):
    assert fetched(store, FileEngine(python())).config == {"Env": ["A=b"]}


@pytest.mark.parametrize(
    ("reference", "digests", "source"),
    [
        ("r.example/a:1", [f"r.example/a@{DIGEST}"], f"r.example/a@{DIGEST}"),
        ("r.example:5000/a", [f"r.example:5000/a@{DIGEST}"], f"r.example:5000/a@{DIGEST}"),
        (
            "docker.io/library/python:3.11",
            [f"other@{DIGEST[::-1]}", f"python@{DIGEST}"],
            f"docker.io/library/python@{DIGEST}",
        ),
        (f"r.example/a@{DIGEST}", [], f"r.example/a@{DIGEST}"),
        ("local:1", [], "local:1"),
    ],
    ids=["tag", "port", "official", "digest", "of no registry"],
)
def test_fetch_source_is_the_reference_by_digest(store, reference, digests, source):
    engine = FileEngine(python(), digests=digests)
    assert fetched(store, engine, reference).source == source


def test_fetch_user_of_tasks_is_added_to_the_others(store):
    root = PASSWD.splitlines(keepends=True)[0]
    found = fetched(store, FileEngine(python(), text_layer({"etc/passwd": root.strip()})))
    tree = tree_of(store, found)
    assert tree["etc/passwd"].content.read().decode() == (
        f"{root}task:x:10001:10001:task:/tmp:/bin/sh\n"
    )
    assert tree["etc/group"].content.read() == b"task:x:10001:\n"


def test_fetch_image_that_has_all_that_bases_have_stays_as_it_is(store):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(folder)
    users = text_layer({"etc/passwd": PASSWD, "etc/group": "mine:x:10001:\n"})
    found = fetched(store, FileEngine(python(), users, file.getvalue()))
    assert len(found.layers) == 3


def test_fetched_debian_python_has_the_folder_of_debian(store):
    image = fetched(store, FileEngine(python(folder="usr/bin"))).image("3.11")
    assert image.python == "/usr/bin/python3.11"
    assert image.site == "/usr/local/lib/python3.11/dist-packages"
    assert json.loads(image.config)["rootfs"]["diff_ids"] == [each.digest for each in image.layers]


def test_fetched_image_without_any_python_is_refused(store):
    with pytest.raises(UserError, match=r"has no Python, and the runtime is python3\.9") as caught:
        fetched(store, FileEngine(text_layer({"a": "b"}))).image("3.9")
    assert caught.value.hint
