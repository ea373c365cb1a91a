"""Layers are unpacked over what is there, and never outside of it."""

import io
import os
import stat
import tarfile

import pytest

from stepline.errors import PlatformError
from stepline.plugins.images_local.unpacking import unpack


def member(name, content=b"new", *, kind=tarfile.REGTYPE, to="", mode=0o644):
    """Return a member of a tar, and its content."""
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode, made.mtime = kind, to, mode, 1_000_000_000
    made.size = len(content) if kind == tarfile.REGTYPE else 0
    return made, content


def folder(name, mode=0o755):
    return member(name, kind=tarfile.DIRTYPE, mode=mode)


def link(name, to):
    return member(name, kind=tarfile.SYMTYPE, to=to)


def hard_link(name, to):
    return member(name, kind=tarfile.LNKTYPE, to=to)


@pytest.fixture
def root(tmp_path):
    """A folder with what lower layers brought, and a precious file outside."""
    made = tmp_path / "outer" / "root"
    (made / "etc" / "deep").mkdir(parents=True)
    (made / "etc" / "kept").write_text("old")
    (made / "etc" / "deep" / "file").write_text("old")
    (made / "out").symlink_to("../../outside")
    (made / "here").symlink_to("/etc")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_text("precious")
    return made


def put(root, *members):
    """Unpack a layer of these members."""
    tar = root.parent.parent / "layer.tar"
    with tarfile.open(tar, "w") as file:
        for made, content in members:
            file.addfile(made, io.BytesIO(content))
    unpack(tar, root, name="sha256:1")


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([member("../../outside/precious")], "is not a name in the image"),
        ([member("/etc/kept")], "is not a name in the image"),
        ([member("etc/../../x")], "is not a name in the image"),
        ([member("out/precious")], "'out' leads out of the image"),
        ([link("a", "../../outside"), member("a/new")], "'a' leads out of the image"),
        ([link("a", "/../../outside"), member("a/new")], "'a' leads out of the image"),
        ([link("a", "a"), member("a/new")], "'a' leads through too many links"),
        ([hard_link("got", "out/precious")], "'out' leads out of the image"),
        ([hard_link("got", "../../outside/precious")], "is not a name in the image"),
        ([hard_link("got", "etc")], "which is no file"),
        ([hard_link("got", "nothing")], "which is no file"),
        ([member("etc/kept/below")], "'etc/kept' leads through a file"),
        ([member("etc/.wh...")], "hides nothing that has a name"),
        ([member(".wh...")], "hides nothing that has a name"),
        ([member("out/.wh.precious")], "'out' leads out of the image"),
        ([member("out/.wh..wh..opq")], "'out' leads out of the image"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_unpack_what_leads_out_is_refused_and_nothing_outside_changes(root, members, words):
    with pytest.raises(PlatformError) as raised:
        put(root, *members)
    assert raised.value.what.startswith("the layer sha256:1 cannot be unpacked: ")
    assert words in raised.value.what
    assert "made to harm" in raised.value.hint
    outside = root.parent.parent / "outside"
    assert os.listdir(outside) == ["precious"]
    assert (outside / "precious").read_text() == "precious"
    assert os.stat(outside / "precious").st_nlink == 1


def test_unpack_link_on_the_way_is_followed_as_inside(root):
    put(root, member("here/new"), member("made/on/the/way"))
    assert (root / "etc" / "new").read_text() == "new"
    assert (root / "made" / "on" / "the" / "way").read_text() == "new"
    assert not os.path.exists("/etc/new")


def test_unpack_whiteouts_hide_what_is_below_and_not_their_own_layer(root):
    put(root, member("etc/.wh.kept"), member("etc/deep/own"), member("etc/deep/.wh..wh..opq"))
    assert sorted(os.listdir(root / "etc")) == ["deep"]
    assert os.listdir(root / "etc" / "deep") == ["own"]


def test_unpack_replaced_file_leaves_its_other_names_alone(root):
    os.link(root / "etc" / "kept", root.parent / "other")
    put(root, member("etc/kept", mode=0o755))
    assert (root / "etc" / "kept").read_text() == "new"
    assert (root.parent / "other").read_text() == "old"
    assert stat.S_IMODE(os.stat(root.parent / "other").st_mode) != 0o755


def test_unpack_kinds_replace_one_another(root):
    put(root, folder("out"), member("out/in"), member("etc/deep"), link("etc/kept", "nowhere"))
    assert (root / "out" / "in").read_text() == "new"
    assert (root / "etc" / "deep").read_text() == "new"
    assert os.readlink(root / "etc" / "kept") == "nowhere"


def test_unpack_modes_and_times_are_the_layers_without_the_right_to_be_another(root):
    put(root, member("run", mode=0o6755), folder("closed", mode=0o2011), folder("t", mode=0o1777))
    found = os.stat(root / "run")
    assert (stat.S_IMODE(found.st_mode), found.st_mtime) == (0o755, 1_000_000_000)
    assert stat.S_IMODE(os.stat(root / "closed").st_mode) == 0o711
    assert stat.S_IMODE(os.stat(root / "t").st_mode) == 0o1777


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE], ids=str)
def test_unpack_devices_and_pipes_are_left_out(root, kind):
    put(root, member("dev/thing", kind=kind), member("after"))
    assert not (root / "dev" / "thing").exists()
    assert (root / "after").exists()


@pytest.mark.parametrize("length", [700, 5000], ids=["header", "content"])
def test_unpack_damaged_layer_is_an_error(root, length):
    put(root, member("large", b"x" * 20_000))
    tar = root.parent.parent / "layer.tar"
    os.truncate(tar, length)
    with pytest.raises(PlatformError, match="the layer sha256:1 cannot be unpacked"):
        unpack(tar, root, name="sha256:1")
