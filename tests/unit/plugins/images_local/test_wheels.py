"""Commands of packages: their first line names the image's interpreter."""

import sys

import pytest

from stepline.plugins.images_local.wheels import Place, tidy

SITE = "usr/local/lib/python3.11/dist-packages"
PLACE = Place(runtime="3.11", python="/usr/bin/python3", site=f"/{SITE}")
REST = "import sys\nsys.exit(0)\n"


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (f"#!{sys.executable}\n", "#!/usr/bin/python3\n"),
        (
            f"#!/bin/sh\n'''exec' '{sys.executable}' \"$0\" \"$@\"\n' '''\n",
            "#!/usr/bin/python3\n",
        ),
        ("#!/bin/bash\n", "#!/bin/bash\n"),
    ],
    ids=["plain", "too long for the kernel", "another program"],
)
def test_command_names_the_interpreter_of_the_image(tmp_path, first, expected):
    (tmp_path / SITE / "bin").mkdir(parents=True)
    (tmp_path / SITE / "bin" / "tool").write_text(first + REST)
    tidy(tmp_path, PLACE)
    assert (tmp_path / "usr" / "local" / "bin" / "tool").read_text() == expected + REST


def test_package_that_is_called_like_a_shared_folder_stays(tmp_path):
    (tmp_path / SITE / "share").mkdir(parents=True)
    (tmp_path / SITE / "share" / "__init__.py").write_text("")
    tidy(tmp_path, PLACE)
    assert (tmp_path / SITE / "share" / "__init__.py").exists()


def test_data_of_packages_goes_beside_them(tmp_path):
    (tmp_path / SITE / "etc" / "tool").mkdir(parents=True)
    (tmp_path / SITE / "etc" / "tool" / "tool.conf").write_text("x")
    tidy(tmp_path, PLACE)
    assert (tmp_path / "usr" / "local" / "etc" / "tool" / "tool.conf").exists()
