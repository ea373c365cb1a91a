"""Which base a runtime gets, and what keeps a base from being removed."""

import pytest

from stepline.errors import PlatformError, UserError
from stepline.model.image import BaseVariant
from stepline.plugins.images_local.bases import Bases
from stepline.plugins.images_local.store import LayerStore
from stepline.ports.images import ImageOptions
from tests.support.images import local_images, no_engine, put_base, script_version

SLIM, HOOK = BaseVariant.SLIM, BaseVariant.HOOK


def bases(folder, engine=no_engine, environ=None, **named):
    options = ImageOptions(
        folder=folder, bases=named, engine=engine, credential=lambda reference: None
    )
    return Bases(LayerStore(folder), options, environ=environ or {"PATH": "/nowhere"})


def get(known, runtime="3.11", variant=SLIM):
    return known.get(runtime, variant, tell=lambda line: None)


def unreachable():
    raise PlatformError("no engine answers", hint="start it", retryable=True)


def test_bases_newest_that_was_built_is_used(tmp_path):
    put_base(tmp_path, "old")
    newest = put_base(tmp_path, "new")
    assert get(bases(tmp_path)).image.id == newest.image.id


def test_bases_are_listed_oldest_first(tmp_path):
    made = [put_base(tmp_path, text).image.id for text in "abc"]
    assert [base.image.id for base in bases(tmp_path).all()] == made


def test_bases_one_without_its_layer_is_not_used(tmp_path):
    old, new = put_base(tmp_path, "old"), put_base(tmp_path, "new")
    LayerStore(tmp_path).path(new.image.layers[0]).write_bytes(b"cut")
    assert get(bases(tmp_path)).image.id == old.image.id


def test_bases_runtime_that_cannot_be_had_is_refused_by_name_and_the_others_are_listed(tmp_path):
    put_base(tmp_path)
    with pytest.raises(PlatformError, match=r"there is no base image of python3\.6") as caught:
        get(bases(tmp_path), "3.6")
    for word in ("here are bases of: 3.11;", "bullseye (python3.9)", "3.7, 3.8,", "bases"):
        assert word in caught.value.hint


def test_bases_without_an_engine_say_what_could_not_be_fetched_and_what_there_is(tmp_path):
    put_base(tmp_path)
    with pytest.raises(PlatformError) as caught:
        get(bases(tmp_path, unreachable), "3.10")
    what, hint = caught.value.what, caught.value.hint
    assert what.startswith("there is no base image of python3.10 here, and docker.io/library/")
    assert what.endswith("cannot be fetched: no engine answers")
    assert hint.startswith("here are bases of: 3.11; `stepline base build` makes one")
    assert hint.endswith("; for the engine: start it")
    assert caught.value.retryable


def test_bases_hook_of_a_system_built_here_is_not_taken_from_elsewhere(tmp_path):
    put_base(tmp_path)
    with pytest.raises(PlatformError, match="that hooks run in was not") as caught:
        get(bases(tmp_path), variant=HOOK)
    assert caught.value.hint == "run `stepline base build test --hook`"


def test_bases_setting_wins_over_what_was_built(tmp_path):
    put_base(tmp_path)
    with pytest.raises(PlatformError, match=r"registry\.example/python:1 cannot be fetched"):
        get(bases(tmp_path, unreachable, **{"3.11": "registry.example/python:1"}))


@pytest.mark.parametrize(
    "named", [{"3.11-hook": "r/hook"}, {"3.11": "r/hook"}], ids=["own", "slim's"]
)
def test_bases_setting_names_the_base_of_hooks(tmp_path, named):
    with pytest.raises(PlatformError, match="r/hook cannot be fetched"):
        get(bases(tmp_path, unreachable, **named), variant=HOOK)


def test_build_unknown_suite_is_refused_naming_those_known(tmp_path):
    with pytest.raises(UserError, match="no base can be made of the suite 'sarge'") as caught:
        bases(tmp_path).build("sarge", SLIM, tell=print)
    for suite in ("bullseye (python3.9)", "bookworm (python3.11)", "trixie (python3.13)"):
        assert suite in caught.value.hint


def test_build_without_mmdebstrap_says_what_to_install(tmp_path):
    with pytest.raises(PlatformError, match="mmdebstrap, which is not on this machine") as caught:
        bases(tmp_path).build("bookworm", SLIM, tell=print)
    assert caught.value.hint == "apt-get install mmdebstrap"


def test_remove_frees_the_layers_that_nothing_else_has(tmp_path):
    one, other = put_base(tmp_path, "one"), put_base(tmp_path, "other")
    images = local_images(tmp_path)
    assert images.remove_base(one.image.id[7:19]) == one.image.size
    assert [base.image.id for base in images.bases()] == [other.image.id]
    assert images.layer(other.image.layers[0]).is_file()


def test_remove_base_that_an_image_is_made_of_is_refused(tmp_path):
    base = put_base(tmp_path / "images")
    script = tmp_path / "script"
    script.mkdir()
    script.joinpath("main.py").write_text("")
    images = local_images(tmp_path / "images")
    images.build(script_version(script), tell=lambda line: None)
    with pytest.raises(UserError, match="images are made of the base"):
        images.remove_base(base.image.id)
    assert len(images.bases()) == 1


@pytest.mark.parametrize("start", ["", "sha256:", "xyz"], ids=["nothing", "prefix", "unknown"])
def test_remove_what_is_no_base_is_refused(tmp_path, start):
    put_base(tmp_path)
    with pytest.raises(UserError, match="no base images have an id that starts with"):
        local_images(tmp_path).remove_base(start)


def test_build_by_a_user_without_newuidmap_says_what_to_install(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "mmdebstrap"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    known = bases(tmp_path, environ={"PATH": str(program.parent)})
    with pytest.raises(PlatformError, match="only by root or in a user namespace") as caught:
        known.build("bookworm", SLIM, tell=print)
    assert caught.value.hint == "apt-get install uidmap, or run the command as root"
