"""Tars of whole systems: the same files, the same bytes, whatever a build left in them."""

import io
import tarfile

import pytest

from stepline.plugins.images_local.root_tars import rewrite_root


def write(path, members, *, mtime=1, uname="builder"):
    """Write members (name, type, link or bytes, mode) as a tar of a build."""
    with tarfile.open(path, "w") as tar:
        for name, kind, content, mode in members:
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.mtime, member.uname = kind, mode, mtime, uname
            if kind == tarfile.REGTYPE:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            else:
                member.linkname = content
                tar.addfile(member)
    return path


def rewritten(tmp_path, members, **how):
    target = tmp_path / "target.tar"
    rewrite_root(write(tmp_path / "raw.tar", members, **how), target)
    return target


def file(name, content=b"x", mode=0o644):
    return (name, tarfile.REGTYPE, content, mode)


def folder(name, mode=0o755):
    return (name, tarfile.DIRTYPE, "", mode)


def test_rewrite_root_order_times_and_names_of_owners_do_not_count(tmp_path):
    members = [folder("./"), folder("./etc/"), file("./etc/a"), file("./etc.b")]
    first = rewritten(tmp_path, members).read_bytes()
    assert rewritten(tmp_path, members[::-1], mtime=99, uname="you").read_bytes() == first


def test_rewrite_root_modes_stay(tmp_path):
    target = rewritten(tmp_path, [folder("tmp", 0o1777), file("usr/bin/su", mode=0o4755)])
    with tarfile.open(target) as tar:
        assert {each.name: each.mode for each in tar} == {"tmp": 0o1777, "usr/bin/su": 0o4755}


@pytest.mark.parametrize(
    "name",
    ["tmp/a", "run/lock", "dev/null", "var/tmp/x", "var/cache/apt/p.bin", "var/lib/apt/lists/m"],
)
def test_rewrite_root_leftovers_of_a_build_go(tmp_path, name):
    with tarfile.open(rewritten(tmp_path, [file(f"./{name}"), file("./etc/x")])) as tar:
        assert tar.getnames() == ["etc/x"]


def test_rewrite_root_devices_and_sockets_go(tmp_path):
    members = [("opt/pipe", tarfile.FIFOTYPE, "", 0o644), ("opt/d", tarfile.CHRTYPE, "", 0o644)]
    with tarfile.open(rewritten(tmp_path, [*members, file("opt/x")])) as tar:
        assert tar.getnames() == ["opt/x"]


def test_rewrite_root_of_names_of_one_file_the_first_holds_it(tmp_path):
    members = [file("./usr/z", b"content"), ("./usr/a", tarfile.LNKTYPE, "./usr/z", 0o644)]
    with tarfile.open(rewritten(tmp_path, members)) as tar:
        first, second = tar.getmembers()
        assert (first.name, first.isfile(), second.name, second.linkname) == (
            "usr/a",
            True,
            "usr/z",
            "usr/a",
        )
        assert tar.extractfile("usr/z").read() == b"content"


def test_rewrite_root_links_keep_their_targets(tmp_path):
    target = rewritten(tmp_path, [("./bin", tarfile.SYMTYPE, "usr/bin", 0o777)])
    with tarfile.open(target) as tar:
        assert tar.getmember("bin").linkname == "usr/bin"


def test_rewrite_root_owner_of_what_apt_wants_is_root(tmp_path):
    raw, target = tmp_path / "raw.tar", tmp_path / "target.tar"
    with tarfile.open(raw, "w") as tar:
        for name in ("var/cache/apt/archives/partial", "var/mail"):
            member = tarfile.TarInfo(name)
            member.type, member.uid = tarfile.DIRTYPE, 42
            tar.addfile(member)
    rewrite_root(raw, target)
    with tarfile.open(target) as tar:
        assert [member.uid for member in tar] == [0, 42]
