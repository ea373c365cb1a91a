"""The software in an image, read from its layers."""

import json
import sys
import tarfile

import pytest

from stepline.errors import PlatformError
from stepline.model.image import Image, Package
from stepline.plugins.images_local.sbom import write_sbom
from stepline.plugins.images_local.software import read_files, read_software
from tests.support.tiny_images import text_layer

STATUS = "var/lib/dpkg/status"
COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: debian/*
License: ISC

Files: *
License: GPL-2+
 Long text
"""


@pytest.fixture
def stack(tmp_path):
    """Writes layers of text files, lowest first, and returns their paths."""

    def write(*layers):
        paths = [tmp_path / f"{number}.tar" for number in range(len(layers))]
        for path, files in zip(paths, layers, strict=True):
            path.write_bytes(text_layer(files))
        return paths

    return write


def debs(*names):
    entry = "Package: {}\nStatus: install ok installed\nVersion: 1-2\n"
    return {STATUS: "\n".join(entry.format(name) for name in names)}


def wheel(name, *lines, version="1.0", folder="usr/local/lib/python3.11/dist-packages"):
    text = "\n".join([f"Name: {name}", f"Version: {version}", *lines]) + "\n\nLicense: no\n"
    return {f"{folder}/{name}-{version}.dist-info/METADATA": text}


def test_software_is_sorted_by_system_and_name(stack):
    found = read_software(stack(debs("zlib1g", "bash"), {**wheel("six"), **wheel("Attrs")}))
    assert [(each.system, each.name) for each in found] == [
        ("deb", "bash"),
        ("deb", "zlib1g"),
        ("pypi", "Attrs"),
        ("pypi", "six"),
    ]


def test_software_upper_layers_replace_and_remove(stack):
    path = next(iter(wheel("six")))
    gone = f"{path.rpartition('/')[0].rpartition('/')[0]}/.wh.six-1.0.dist-info"
    found = read_software(stack({**debs("a", "b"), **wheel("six")}, {**debs("a"), gone: ""}))
    assert found == [Package("a", "1-2", "deb")]


def test_software_packages_that_are_not_installed_do_not_count(stack):
    status = "Package: a\nStatus: deinstall ok config-files\nVersion: 1\n"
    assert read_software(stack({STATUS: status})) == []


def test_software_what_a_package_carries_inside_does_not_count(stack):
    folder = "usr/local/lib/python3.11/dist-packages"
    inner = wheel("inner", folder=f"{folder}/setuptools/_vendor")
    debian = wheel("debian", folder="usr/lib/python3/dist-packages")
    assert read_software(stack({**inner, **debian, **wheel("own")})) == [
        Package("own", "1.0", "pypi")
    ]


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        pytest.param(["License-Expression: MIT", "License: x"], "MIT", id="expression"),
        pytest.param(["License: BSD"], "BSD", id="own word"),
        pytest.param(
            ["License: UNKNOWN", "Classifier: License :: OSI Approved :: MIT License"],
            "MIT License",
            id="classifier",
        ),
        pytest.param(["License: one", "  two"], "", id="whole text"),
        pytest.param([], "", id="none"),
    ],
)
def test_software_licence_of_a_python_package_is_found(stack, lines, licence):
    [found] = read_software(stack(wheel("p", *lines)))
    assert found.licence == licence


def test_software_licence_of_a_debian_package_is_that_of_most_files(stack):
    [found] = read_software(stack({**debs("a"), "usr/share/doc/a/copyright": COPYRIGHT}))
    assert found.licence == "GPL-2+"


def test_software_licence_is_found_where_the_folder_is_a_link(stack, tmp_path):
    paths = stack({**debs("lib"), "usr/share/doc/base/copyright": COPYRIGHT})
    with tarfile.open(tmp_path / "link.tar", "w") as tar:
        link = tarfile.TarInfo("usr/share/doc/lib")
        link.type, link.linkname = tarfile.SYMTYPE, "base"
        tar.addfile(link)
    [found] = read_software([*paths, tmp_path / "link.tar"])
    assert found.licence == "GPL-2+"


def test_files_of_a_stack_are_told_with_their_hashes(stack):
    found = read_files(stack({"a": "1", "b": "2"}, {"b": "3", ".wh.a": ""}))
    assert found == {"b": "4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce"}


@pytest.fixture
def image():
    """An image of which only the id counts."""
    return Image(
        id=f"sha256:{'1' * 64}", config="{}", layers=(), runtime="3.11", python="p", site="s"
    )


def test_sbom_is_the_same_for_the_same_image_and_names_each_package(image):
    pytest.importorskip("cyclonedx")
    packages = [Package("bash", "5.2-1+b1", "deb", "GPL-3+"), Package("six", "1.17", "pypi", "MIT")]
    text = write_sbom(image, packages)
    assert write_sbom(image, packages[::-1]) == text
    bom = json.loads(text)
    assert (bom["bomFormat"], bom["metadata"]["component"]["version"]) == ("CycloneDX", image.id)
    assert {(each["name"], each["version"]) for each in bom["components"]} == {
        ("bash", "5.2-1+b1"),
        ("six", "1.17"),
    }
    assert {each["purl"] for each in bom["components"]} == {
        "pkg:deb/debian/bash@5.2-1%2Bb1",
        "pkg:pypi/six@1.17",
    }


def test_sbom_without_the_library_says_what_to_install(image, monkeypatch):
    monkeypatch.setitem(sys.modules, "cyclonedx.model.bom", None)
    with pytest.raises(PlatformError, match="the CycloneDX library is not installed") as caught:
        write_sbom(image, [])
    assert "pip install 'stepline[images]'" in caught.value.hint
