"""Ranges of Python versions."""

import pytest

from stepline.plugins.images_local.python_versions import admits

RANGES = {
    ">=3.9": "3.9 3.10 3.11 3.12 3.13",
    ">=3.9,<3.12": "3.9 3.10 3.11",
    ">3.9,<=3.11": "3.9 3.10 3.11",
    ">=3.10.4, <4": "3.10 3.11 3.12 3.13",
    "<3.10.2": "3.8 3.9 3.10",
    "^3.11": "3.11 3.12 3.13",
    "~3.11": "3.11",
    "~=3.11.2": "3.11",
    "~=3.11": "3.11 3.12 3.13",
    "==3.11.*": "3.11",
    "==3.11.4": "3.11",
    "3.11.*": "3.11",
    ">=3.10,!=3.11.*": "3.10 3.12 3.13",
    ">=3.12,!=3.12.1": "3.12 3.13",
    ">=3.13 || ~3.8": "3.8 3.13",
    "*": "3.8 3.9 3.10 3.11 3.12 3.13",
    "": "3.8 3.9 3.10 3.11 3.12 3.13",
}


@pytest.mark.parametrize(("versions", "expected"), RANGES.items(), ids=RANGES)
def test_admits_a_runtime_of_which_some_patch_is_in_the_range(versions, expected):
    found = [f"3.{minor}" for minor in range(8, 14) if admits(versions, f"3.{minor}")]
    assert " ".join(found) == expected
