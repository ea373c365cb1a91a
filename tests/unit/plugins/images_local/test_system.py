"""What apt-get says of Debian packages that it cannot install, in our words."""

import pytest

from stepline.errors import ConfigError, PlatformError
from stepline.plugins.images_local.system import failure

HEAD = "Reading package lists...\nBuilding dependency tree...\n"
VERSIONS = """\
      tree |    2.1.0-1 | http://mirror.example/debian bookworm/main amd64 Packages
      tree |    2.0.0-1 | http://mirror.example/debian bookworm-updates/main amd64 Packages
"""


@pytest.mark.parametrize(
    ("package", "said", "what", "hint"),
    [
        (
            "treee",
            "E: Unable to locate package treee\n",
            "there is no Debian package treee",
            "apt-cache search",
        ),
        (
            "mail-transport-agent",
            "Package mail-transport-agent is a virtual package provided by:\n  postfix 3.7.11\n\n"
            "E: Package 'mail-transport-agent' has no installation candidate\n",
            "there is no Debian package that can be installed as mail-transport-agent",
            "apt-cache search",
        ),
        (
            "tree=99",
            "E: Version '99' for 'tree' was not found\n" + VERSIONS,
            "the Debian package tree has no version 99",
            "there is tree=2.1.0-1, tree=2.0.0-1",
        ),
        (
            "tree/sid",
            "E: Release 'sid' for 'tree' was not found\n" + VERSIONS,
            "the Debian package tree has no version of the release sid",
            "there is tree=2.1.0-1, tree=2.0.0-1",
        ),
    ],
    ids=["unknown", "virtual", "version", "release"],
)
def test_failure_of_a_package_that_is_not_there_says_so(package, said, what, hint):
    error = failure([package, "jq"], code=100, output=HEAD + said)
    assert isinstance(error, ConfigError)
    assert error.what == what
    assert hint in error.hint


def test_failure_to_fetch_is_the_platforms():
    error = failure(["tree"], code=100, output="E: Failed to fetch http://mirror.example/debian\n")
    assert isinstance(error, PlatformError)
    assert error.retryable


def test_failure_of_another_kind_shows_what_was_said():
    error = failure(["tree"], code=100, output="E: dpkg was interrupted\n")
    assert "dpkg was interrupted" in error.what
