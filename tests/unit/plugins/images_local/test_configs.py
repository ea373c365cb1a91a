"""Configs of images: a function of their content alone, and archives that engines read."""

import hashlib
import io
import json
import tarfile

import pytest

from stepline.model.image import Image, Layer, LayerKind
from stepline.plugins.images_local.archive import write_archive
from stepline.plugins.images_local.configs import (
    Contents,
    canonical,
    derived_image,
    image_config,
    image_id,
)

LOW, HIGH = b"low", b"highest"
SCRIPT = "sha256:5c"


def layer(content, kind=LayerKind.BASE):
    return Layer(f"sha256:{hashlib.sha256(content).hexdigest()}", len(content), kind)


def base(**config):
    text = image_config([layer(LOW)], {"Cmd": ["python3"], "Env": ["A=1"], **config})
    return Image(
        id=image_id(text),
        config=text,
        layers=(layer(LOW),),
        runtime="3.11",
        python="/usr/bin/python3",
        site="/site",
    )


def derived(of=None, *, command=(), own_folder=False, **contents):
    of = of or base()
    about = Contents(
        **{"base": of.id, "script": SCRIPT, "components": {}, "system": {}, **contents}
    )
    above = [layer(HIGH, LayerKind.CODE)]
    return derived_image(of, above, contents=about, command=command, own_folder=own_folder)


def settings(image):
    return json.loads(image.config)["config"]


def test_image_is_called_by_the_digest_of_its_config():
    image = derived()
    assert image.id == f"sha256:{hashlib.sha256(image.config.encode()).hexdigest()}"
    assert image.config == canonical(json.loads(image.config))
    assert image.id == derived().id


def test_image_runs_as_nobody_in_the_script_folder():
    found = settings(derived())
    assert found["User"] == "10001:10001"
    assert found["WorkingDir"] == "/opt/stepline/script"
    assert found["Cmd"] == ["python3"]
    assert "A=1" in found["Env"]
    assert any(entry.startswith("PATH=") for entry in found["Env"])


def test_image_has_a_command_of_its_own_in_place_of_the_base_s():
    found = settings(derived(base(Entrypoint=["/start"]), command=("serve", "-x")))
    assert found["Cmd"] == ["serve", "-x"]
    assert "Entrypoint" not in found


@pytest.mark.parametrize(("own", "folder"), [(True, "/app"), (False, "/opt/stepline/script")])
def test_image_of_an_author_s_base_keeps_its_folder(own, folder):
    assert settings(derived(base(WorkingDir="/app"), own_folder=own))["WorkingDir"] == folder


def test_labels_name_what_is_in_the_image():
    image = derived(
        lock="six==1.16.0\n", components={"core": "1.0 sha256:ab"}, system={"libpq5": "15.1"}
    )
    labels = settings(image)["Labels"]
    assert labels["org.opencontainers.image.base.digest"] == base().id
    assert labels["org.stepline.script"] == SCRIPT
    assert labels["org.stepline.lock"].startswith("sha256:")
    assert json.loads(labels["org.stepline.components"]) == {"core": "1.0 sha256:ab"}
    assert json.loads(labels["org.stepline.system"]) == {"libpq5": "15.1"}


@pytest.mark.parametrize(
    "change",
    [{"lock": "x==1"}, {"script": "sha256:other"}, {"command": ("a",)}, {"system": {"a": "1"}}],
    ids=["lock", "script", "command", "system"],
)
def test_image_of_other_content_has_another_id(change):
    assert derived(**change).id != derived().id


def archived(tmp_path, without=()):
    for content in (LOW, HIGH):
        tmp_path.joinpath(layer(content).digest).write_bytes(content)
    target = io.BytesIO()
    target.seek = None  # it may be a pipe
    write_archive(derived(), target, path=lambda each: tmp_path / each.digest, without=without)
    with tarfile.open(fileobj=io.BytesIO(target.getvalue())) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def test_archive_holds_config_layers_and_their_order(tmp_path):
    files, image = archived(tmp_path), derived()
    (entry,) = json.loads(files["manifest.json"])
    assert files[entry["Config"]] == image.config.encode()
    assert [files[name] for name in entry["Layers"]] == [LOW, HIGH]
    assert entry["Config"] == f"{image.id.removeprefix('sha256:')}.json"


def test_archive_leaves_layers_out_and_names_them_still(tmp_path):
    files = archived(tmp_path, without={layer(LOW).digest})
    (entry,) = json.loads(files["manifest.json"])
    assert [files.get(name) for name in entry["Layers"]] == [None, HIGH]
