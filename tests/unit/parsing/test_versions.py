"""Versions and version ranges."""

import pytest

from stepline.parsing import Version, VersionRange, highest_match

EVERY = ("v0.0.3", "v0.2.3", "v0.2.9", "v0.3.0", "v1.0.0", "v1.2.3", "v1.2.9", "v1.3.0", "v2.0.0")
NEWER = ("v2.0.0-rc.1", "v2.9.9", "v3.0.0")
MATCHES = {
    "*": (*EVERY, "v2.9.9", "v3.0.0"),
    "": (*EVERY, "v2.9.9", "v3.0.0"),
    "^1.2.0": ("v1.2.3", "v1.2.9", "v1.3.0"),
    "^0.2.3": ("v0.2.3", "v0.2.9"),
    "^0.0.3": ("v0.0.3",),
    "^0": ("v0.0.3", "v0.2.3", "v0.2.9", "v0.3.0"),
    "^0.0": ("v0.0.3",),
    "~1.2": ("v1.2.3", "v1.2.9"),
    "~1": ("v1.0.0", "v1.2.3", "v1.2.9", "v1.3.0"),
    "v1": ("v1.0.0", "v1.2.3", "v1.2.9", "v1.3.0"),
    "1.2.x": ("v1.2.3", "v1.2.9"),
    ">=1 <2": ("v1.0.0", "v1.2.3", "v1.2.9", "v1.3.0"),
    "> 1.2": ("v1.3.0", "v2.0.0", "v2.9.9", "v3.0.0"),
    "<=0.2": ("v0.0.3", "v0.2.3", "v0.2.9"),
    "<0.2": ("v0.0.3",),
    "1.2 - 2": ("v1.2.3", "v1.2.9", "v1.3.0", "v2.0.0", "v2.9.9"),
    "1.2.3 || 3.0.0": ("v1.2.3", "v3.0.0"),
    ">1.2.3 <1.0.0": (),
    ">*": (),
    "2.0.0-rc.1": ("v2.0.0-rc.1",),
    ">=2.0.0-rc.1": ("v2.0.0", "v2.9.9", "v3.0.0"),
}


@pytest.mark.parametrize(("text", "expected"), MATCHES.items(), ids=MATCHES)
def test_range_matches_just_these_versions(text, expected):
    wanted = VersionRange.parse(text)
    assert tuple(v for v in EVERY + NEWER if wanted.matches(Version.parse(v))) == expected


@pytest.mark.parametrize(
    ("text", "exact"),
    [("1.2.3", "v1.2.3"), ("=1.2.3", "v1.2.3"), ("1.2.3-rc.1", "v1.2.3-rc.1"), ("v1", None)],
)
def test_range_that_is_one_version_knows_it(text, exact):
    found = VersionRange.parse(text).exact
    assert (str(found) if found else None) == exact


@pytest.mark.parametrize(
    "text", ["latest", "1.2.3.4", "01.2.3", "^", "1.2.3-", "=>1", "9007199254740992.0.0", "1" * 300]
)
def test_range_that_is_none_gives_none(text):
    assert VersionRange.parse(text) is None


@pytest.mark.parametrize(
    "text", ["1.2.3", "v1.2", "v01.2.3", "v1.2.3-01", "v1.2.3+b", "V1.2.3", ""]
)
def test_version_in_another_form_gives_none(text):
    assert Version.parse(text) is None


def test_versions_sort_by_number_and_prerelease():
    texts = [
        "v1.0.0-alpha",
        "v1.0.0-alpha.1",
        "v1.0.0-beta.2",
        "v1.0.0-beta.11",
        "v1.0.0",
        "v1.0.10",
    ]
    versions = sorted((Version.parse(text) for text in reversed(texts)), key=lambda v: v.order)
    assert [str(version) for version in versions] == texts


def test_highest_match_of_versions_leaves_prereleases_and_others_out():
    given = ["v1.9.0", "v1.10.0", "v2.0.0", "v1.11.0-rc.1", "draft"]
    assert highest_match(given, VersionRange.parse("^1")) == "v1.10.0"
    assert highest_match(given, VersionRange.parse("^3")) is None
