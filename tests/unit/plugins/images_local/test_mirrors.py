"""Where Debian packages come from: what this machine's apt says, and nothing else."""

import os
import stat

import pytest

from stepline.errors import PlatformError
from stepline.plugins.images_local import mirrors
from stepline.plugins.images_local.mirrors import (
    KEYRING,
    Mirror,
    Source,
    find_sources,
    write_apt_folder,
)

ARCHIVE = "http://mirror.example/debian"
SECURITY = "http://mirror.example/debian-security"
PROGRAM = """\
#!/bin/sh
case "$*" in
  indextargets*) printf '{lines}' ;;
  "dump Acquire") echo 'Acquire "";'; echo 'Acquire::http::Proxy "http://proxy.example:3128";'
    echo 'Acquire::Languages "none";' ;;
  download-file*)
    case "$2" in {reachable}) ;; *) echo "E: no route to host" >&2; exit 100 ;; esac ;;
esac
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Makes a machine whose apt has some lines of index targets and reaches some addresses."""

    def machine(*lines, reachable="*"):
        text = "".join("\\t".join(line) + "\\n" for line in lines)
        for name in ("apt-get", "apt-config", "apt-helper"):
            program = tmp_path / name
            program.write_text(PROGRAM.format(lines=text, reachable=reachable))
            program.chmod(0o755)
        monkeypatch.setattr(mirrors, "_HELPER", str(tmp_path / "apt-helper"))
        monkeypatch.setattr(mirrors, "_APT_FOLDER", tmp_path / "etc")
        return {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}

    return machine


def line(site, release, entry="/nowhere/a.sources:1", trusted="yes", origin="Debian"):
    return site, release, entry, trusted, origin


def test_find_sources_has_security_updates_of_the_suite_that_is_asked_for(machine, tmp_path):
    environ = machine(line(ARCHIVE, "bookworm"), line(SECURITY, "bookworm-security"))
    found = find_sources("trixie", folder=tmp_path, environ=environ)
    assert [each.line() for each in found] == [
        f"deb [signed-by={KEYRING}] {ARCHIVE} trixie main",
        f"deb [signed-by={KEYRING}] {ARCHIVE} trixie-updates main",
        f"deb [signed-by={KEYRING}] {SECURITY} trixie-security main",
    ]


def test_find_sources_leaves_out_what_the_mirror_does_not_have(machine, tmp_path):
    environ = machine(
        line(ARCHIVE, "bookworm"),
        line(SECURITY, "bookworm-security"),
        reachable="*/dists/bookworm/Release",
    )
    found = find_sources("bookworm", folder=tmp_path, environ=environ)
    assert [each.suite for each in found] == ["bookworm"]


def test_find_sources_mirror_that_is_down_is_named(machine, tmp_path):
    environ = machine(line(ARCHIVE, "bookworm"), reachable="nothing")
    with pytest.raises(
        PlatformError, match=f"trixie cannot be had .*{ARCHIVE}.*no route"
    ) as caught:
        find_sources("trixie", folder=tmp_path, environ=environ)
    assert caught.value.retryable
    assert "apt-get update" in caught.value.hint


@pytest.mark.parametrize(
    "lines",
    [(), (line("http://other.example/tools", "stable", origin="Tools"),)],
    ids=["none", "of somebody else"],
)
def test_find_sources_machine_without_a_mirror_says_where_to_name_one(machine, tmp_path, lines):
    with pytest.raises(PlatformError, match="has no Debian mirror") as caught:
        find_sources("bookworm", folder=tmp_path, environ=machine(*lines))
    assert "/etc/apt/sources.list" in caught.value.hint


def test_find_sources_machine_without_apt_is_told(tmp_path):
    with pytest.raises(PlatformError, match="apt-get is not on this machine"):
        find_sources("bookworm", folder=tmp_path, environ={"PATH": str(tmp_path)})


@pytest.mark.parametrize(
    ("name", "text", "option"),
    [
        ("a.list", "# x\ndeb [signed-by={key}] {site} bookworm main\n", "signed-by={key}"),
        ("a.sources", "URIs: {site}\nSuites: bookworm\nSigned-By: {key}\n", "signed-by={key}"),
        ("a.list", "# x\ndeb [trusted=yes] {site} bookworm main\n", "trusted=yes"),
    ],
    ids=["list", "sources", "unsigned"],
)
def test_find_sources_keys_are_those_of_the_machines_entry(machine, tmp_path, name, text, option):
    key = tmp_path / "own.gpg"
    key.touch()
    (tmp_path / name).write_text(text.format(key=key, site=ARCHIVE))
    environ = machine(line(ARCHIVE, "bookworm", entry=f"{tmp_path / name}:2"))
    [first, *_] = find_sources("bookworm", folder=tmp_path, environ=environ)
    assert first.line() == f"deb [{option.format(key=key)}] {ARCHIVE} bookworm main"


def test_apt_folder_has_all_that_a_container_needs(machine, tmp_path):
    key, bundle, folder = tmp_path / "own.gpg", tmp_path / "ca.pem", tmp_path / "apt"
    key.write_text("key"), bundle.write_text("certificates"), folder.mkdir()
    credentials = tmp_path / "etc" / "auth.conf.d" / "own.conf"
    credentials.parent.mkdir(parents=True)
    credentials.write_text("machine mirror.example login me password hush\n")
    environ = {**machine(), "SSL_CERT_FILE": str(bundle)}
    write_apt_folder(folder, [Source(Mirror(ARCHIVE, str(key)), "trixie")], environ=environ)
    assert folder.joinpath("sources.list").read_text() == (
        f"deb [signed-by=/run/stepline/apt/own.gpg] {ARCHIVE} trixie main\n"
    )
    assert folder.joinpath("apt.conf").read_text() == (
        'Acquire::http::Proxy "http://proxy.example:3128";\n'
        'Acquire::https::CAInfo "/run/stepline/apt/ca.crt";\n'
        'Dir::Etc::netrc "/run/stepline/apt/auth.conf";\n'
    )
    assert folder.joinpath("own.gpg").read_text() == "key"
    assert folder.joinpath("ca.crt").read_text() == "certificates"
    assert "hush" in folder.joinpath("auth.conf").read_text()
    assert stat.S_IMODE(folder.joinpath("auth.conf").stat().st_mode) == 0o600
