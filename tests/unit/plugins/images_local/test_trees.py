import io
import os
import tarfile

import pytest

from stepline.plugins.images_local.trees import read_folder, read_layers, same, write_tree


def tar_of(path, *members):
    """Write a tar of (name, content) pairs; None for a folder, a link's target as ('to', …)."""
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if content is None:
                member.type = tarfile.DIRTYPE
            elif isinstance(content, tuple):
                member.type, member.linkname = content
            else:
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content if isinstance(content, bytes) else b""))
    return path


def written(tree, path):
    with path.open("wb") as file:
        write_tree(tree, file)
    return path


def test_read_layers_upper_file_replaces_lower_one(tmp_path):
    lower = tar_of(tmp_path / "a", ("etc", None), ("etc/x", b"old"))
    tree = read_layers([lower, tar_of(tmp_path / "b", ("./etc/x", b"new"))])
    assert tree["etc/x"].content.read() == b"new"


@pytest.mark.parametrize(
    ("hidden", "left"),
    [
        ("d/.wh.x", {"d", "d/y", "d/y/z"}),
        ("d/.wh.y", {"d", "d/x"}),
        (".wh.d", set()),
        ("d/.wh..wh..opq", {"d"}),
    ],
    ids=["file", "folder", "top folder", "all of a folder"],
)
def test_read_layers_whiteout_removes(tmp_path, hidden, left):
    lower = tar_of(tmp_path / "a", ("d", None), ("d/x", b""), ("d/y", None), ("d/y/z", b""))
    assert set(read_layers([lower, tar_of(tmp_path / "b", (hidden, b""))])) == left


def test_read_layers_file_in_place_of_folder_hides_what_was_in_it(tmp_path):
    lower = tar_of(tmp_path / "a", ("d", None), ("d/x", b""))
    assert set(read_layers([lower, tar_of(tmp_path / "b", ("d", b"file"))])) == {"d"}


def test_read_layers_hard_link_has_the_content_of_its_file(tmp_path):
    tar = tar_of(tmp_path / "a", ("x", b"same"), ("y", (tarfile.LNKTYPE, "x")))
    tree = read_layers([tar])
    assert tree["y"].content == tree["x"].content


def test_read_folder_agrees_with_the_layer_that_was_written_of_it(tmp_path):
    folder = tmp_path / "f"
    folder.joinpath("bin").mkdir(parents=True)
    folder.joinpath("bin/run").write_text("#!/bin/sh\n")
    folder.joinpath("bin/run").chmod(0o4755)
    os.link(folder / "bin/run", folder / "bin/again")
    folder.joinpath("link").symlink_to("bin/run")
    tree = read_folder(folder)
    again = read_layers([written(tree, tmp_path / "tar")])
    assert again.keys() == tree.keys()
    assert all(same(tree[path], again[path]) for path in tree)


def test_write_tree_depends_on_no_time_and_no_order(tmp_path):
    folder = tmp_path / "f"
    folder.mkdir()
    for name in "ba":
        folder.joinpath(name).write_text(name)
    first = written(read_folder(folder), tmp_path / "1").read_bytes()
    os.utime(folder / "a", (5, 5))
    tree = dict(reversed(read_folder(folder).items()))
    assert written(tree, tmp_path / "2").read_bytes() == first


def test_write_tree_removed_path_is_a_whiteout(tmp_path):
    lower = tar_of(tmp_path / "a", ("d", None), ("d/x", b""), ("y", b""))
    upper = written({"d/x": None, "y": None}, tmp_path / "b")
    assert set(read_layers([lower, upper])) == {"d"}


@pytest.mark.parametrize("change", ["mode", "content", "kind"])
def test_same_tells_nodes_apart(tmp_path, change):
    folder = tmp_path / "f"
    folder.mkdir()
    for name in ("one", "other"):
        folder.joinpath(name).write_text("1234")
    if change == "mode":
        folder.joinpath("other").chmod(0o600)
    elif change == "content":
        folder.joinpath("other").write_text("1235")
    else:
        folder.joinpath("other").unlink()
        folder.joinpath("other").symlink_to("one")
    tree = read_folder(folder)
    assert not same(tree["one"], tree["other"])
