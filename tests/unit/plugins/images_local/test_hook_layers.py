"""The layer that a build step leaves: all that the image needs, and no tool."""

import pytest

from stepline.plugins.images_local.hook_layers import (
    Systems,
    changed_paths,
    find_text,
    raw_layer,
    shipped_layer,
)
from stepline.plugins.images_local.trees import read_folder

STATUS = "var/lib/dpkg/status"
PACKAGES = {
    "base": {"files": ["usr/lib/libbase.so"]},
    "sed": {"files": ["usr/bin/sed"], "Essential": "yes"},
    "apt": {"files": ["usr/bin/apt"], "Depends": "libgpg, libboth (>= 1)"},
    "libgpg": {"files": ["usr/lib/libgpg.so"]},
    "libboth": {"files": ["usr/lib/libboth.so"]},
    "pkg-resources": {"files": ["usr/lib/pkg_resources.py"], "Source": "setuptools (66)"},
    "python3-setuptools": {"files": ["usr/lib/setuptools.py"], "Source": "setuptools"},
    "tool": {"files": ["usr/bin/tool"], "Depends": "libboth | libother, base"},
    "app": {"files": ["usr/bin/app"], "Depends": "pkg-resources, apt"},
}
BEFORE = ("base", "sed", "apt", "libgpg", "libboth", "pkg-resources", "python3-setuptools")


def system(folder, packages, **files):
    """Make a root file system of packages and further files; return its folder."""
    entries = []
    for name in packages:
        fields = dict(PACKAGES[name])
        paths = fields.pop("files")
        lines = [f"Package: {name}", "Status: install ok installed", "Version: 1"]
        entries.append("\n".join([*lines, *(f"{k}: {v}" for k, v in fields.items())]))
        put(folder, f"var/lib/dpkg/info/{name}.list", "".join(f"/{path}\n" for path in paths))
        for path in paths:
            put(folder, path, name)
    put(folder, STATUS, "\n\n".join(entries) + "\n\n")
    for path, text in files.items():
        put(folder, path, text)
    return folder


def put(folder, path, text):
    folder.joinpath(path).parent.mkdir(parents=True, exist_ok=True)
    folder.joinpath(path).write_text(text)


def systems(tmp_path, finished=(), remove=(), packages=BEFORE):
    """Return systems on a slim base of the package base."""
    # Folders that every system has.
    both = dict.fromkeys(("etc/slim", "root/x", "tmp/y", "run/y", "var/log/y"), "1")
    slim = system(tmp_path / "slim", ["base"], **both)
    before = system(tmp_path / "before", BEFORE, **both)
    after = system(tmp_path / "after", packages, **both, **dict(finished))
    for path in remove:
        after.joinpath(path).unlink()
    trees = {"before": before, "finished": after, "shipped": slim}
    return Systems(**{name: read_folder(folder) for name, folder in trees.items()})


def layer(tmp_path, wanted=(), **changes):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return shipped_layer(systems(tmp_path, **changes), scratch=scratch, wanted=wanted)


def files(tree):
    return {path for path, node in tree.items() if node is None or not node.is_folder}


def test_shipped_layer_without_a_change_is_none(tmp_path):
    assert layer(tmp_path) is None


@pytest.mark.parametrize(
    "path",
    ["var/log/apt/x", "tmp/x", "run/x", "root/.cache/pip/x", "etc/apt/y", "var/lib/apt/lists/x"],
)
def test_shipped_layer_traces_of_a_build_alone_are_no_change(tmp_path, path):
    assert layer(tmp_path, finished={path: "x"}) is None


def test_shipped_layer_has_what_the_hook_saw_but_no_tools(tmp_path):
    tree = layer(tmp_path, finished={"opt/new": "x"})
    assert files(tree) == {"opt/new", "usr/bin/sed", STATUS}


def test_shipped_layer_new_package_has_all_that_it_needs(tmp_path):
    tree = layer(tmp_path, packages=(*BEFORE, "tool"))
    assert files(tree) == {"usr/bin/tool", "usr/bin/sed", "usr/lib/libboth.so", STATUS}


def test_shipped_layer_status_names_the_packages_whose_files_are_there(tmp_path):
    text = layer(tmp_path, packages=(*BEFORE, "tool"))[STATUS].content.read().decode()
    named = [line.split()[1] for line in text.splitlines() if line.startswith("Package:")]
    assert named == ["base", "libboth", "sed", "tool"]


def test_shipped_layer_new_package_has_what_python_packages_import(tmp_path):
    tree = layer(tmp_path, packages=(*BEFORE, "app"))
    assert files(tree) == {"usr/bin/app", "usr/lib/pkg_resources.py", "usr/bin/sed", STATUS}


@pytest.mark.parametrize(
    ("name", "path"), [("libgpg", "usr/lib/libgpg.so"), ("apt", "usr/bin/apt")], ids=str
)
def test_shipped_layer_has_what_was_asked_for_though_it_was_there(tmp_path, name, path):
    assert path in layer(tmp_path, wanted=[name])


@pytest.mark.parametrize(
    ("requires", "kept"), [("setuptools>=40", True), ("setuptools ; extra == 'x'", False)]
)
def test_shipped_layer_has_the_tool_that_a_new_python_package_requires(tmp_path, requires, kept):
    info = "opt/site-packages/a-1.dist-info/METADATA"
    tree = layer(tmp_path, finished={info: f"Name: a\nRequires-Dist: {requires}\n\n"})
    assert ("usr/lib/setuptools.py" in tree) is kept


def test_shipped_layer_wanted_package_of_the_slim_base_is_no_change(tmp_path):
    assert layer(tmp_path, wanted=["base"]) is None


def test_shipped_layer_tool_that_was_brought_up_to_date_stays_out(tmp_path):
    assert "usr/bin/apt" not in layer(tmp_path, finished={"usr/bin/apt": "newer"})


def test_shipped_layer_folders_come_with_their_files(tmp_path):
    tree = layer(tmp_path, finished={"opt/a/new": "x"})
    assert tree["opt"].is_folder
    assert tree["opt/a"].is_folder


def test_shipped_layer_removed_file_is_removed_of_the_slim_base(tmp_path):
    tree = layer(tmp_path, remove=["etc/slim"])
    assert tree["etc/slim"] is None


def test_shipped_layer_has_a_tool_of_pip_that_the_hook_changed(tmp_path):
    path = "usr/local/lib/python3.11/dist-packages/pip/__init__.py"
    assert path in layer(tmp_path, finished={path: "new"})


def test_changed_paths_leave_out_bytecode_that_goes_by_time(tmp_path):
    stale, lasting = "opt/__pycache__/a.pyc", "opt/__pycache__/b.pyc"
    both = systems(tmp_path, finished={stale: "abcd\0\0\0\0rest", lasting: "abcd\3\0\0\0rest"})
    assert [path for path in changed_paths(both) if path.endswith("pyc")] == [lasting]


def test_raw_layer_has_changes_of_dpkg_too(tmp_path):
    tree = raw_layer(systems(tmp_path, packages=(*BEFORE, "tool")))
    assert files(tree) == {"usr/bin/tool", STATUS, "var/lib/dpkg/info/tool.list"}


def test_find_text_across_the_border_of_two_blocks_is_found(tmp_path):
    put(tmp_path, "etc/big", "x" * ((1 << 20) - 3) + "password")
    assert find_text(read_folder(tmp_path), ["password"]) == "etc/big"
    assert find_text(read_folder(tmp_path), ["passwords"]) is None
