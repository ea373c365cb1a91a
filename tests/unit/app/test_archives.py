"""Archives of artifacts: what is refused, and that what was packed comes out again."""

import os
import stat
import struct
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepline.app.archive_entries import ArchiveTooLarge, Caps
from stepline.app.archives import pack, unpack
from stepline.errors import ConfigError, PlatformError, UploadError


@pytest.fixture
def target(tmp_path):
    """A folder that is not there yet."""
    return tmp_path / "there" / "unpacked"


def entry(name, *, mode=None, flags=0, packing=zipfile.ZIP_STORED):
    made = zipfile.ZipInfo(name)
    made.filename = name  # as it is: the constructor ends names at NUL
    plain = stat.S_IFDIR | 0o755 if name.endswith("/") else stat.S_IFREG | 0o644
    made.external_attr = (plain if mode is None else mode) << 16
    made.compress_type = packing
    made.create_system = 3
    return made


def archive(folder, *entries, content=b"x"):
    path = folder / "made.zip"
    with zipfile.ZipFile(path, "w") as made:
        for each in entries:
            info = each if isinstance(each, zipfile.ZipInfo) else entry(each)
            made.writestr(info, b"" if info.filename.endswith("/") else content)
    return path


def refusal(path, target, **caps):
    """Return the error of an archive, of which nothing may be left."""
    with pytest.raises(UploadError) as caught:
        unpack(path, target, caps=Caps(**caps))
    assert not target.exists()
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/etc/passwd", "its name is absolute"),
        ("../up.py", "its name leads out of the folder"),
        ("a/../../up.py", "its name leads out of the folder"),
        ("a/..", "its name leads out of the folder"),
        ("a\\b.py", "its name has a backslash"),
        ("C:main.py", "its name begins with a drive letter"),
        ("c:/main.py", "its name begins with a drive letter"),
        ("a\nb.py", "its name has a control character"),
        ("main.py\0.txt", "its name has a control character"),
        ("a\x7f.py", "its name has a control character"),
        ("a\u2028b.py", "its name has a control character"),
        ("./main.py", "its name has an empty part, or is only a dot"),
        ("a//b.py", "its name has an empty part, or is only a dot"),
        ("x" * 256, "its name is too long"),
        ("/".join(["x" * 200] * 6), "its name is too long"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_unpack_entry_with_a_bad_name_is_refused(tmp_path, target, name, reason):
    error = refusal(archive(tmp_path, "main.py", name), target)
    assert error.what.endswith(f"is refused: {reason}")
    assert name[:3] in error.what or repr(name)[1:4] in error.what


@pytest.mark.parametrize(
    "names",
    [
        ("main.py", "main.py"),
        ("main.py", "Main.PY"),
        ("caf\u00e9.py", "cafe\u0301.py"),
        ("stra\u00dfe.py", "STRASSE.py"),
        ("lib/", "lib/"),
        ("lib/", "lib"),
        ("lib", "lib/a.py"),
        ("lib/a.py", "lib"),
        ("lib/a.py", "LIB/b.py"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_unpack_entries_that_a_file_system_may_merge_are_refused(tmp_path, target, names):
    error = refusal(archive(tmp_path, *names), target)
    assert ascii(names[1]) in error.what
    assert "name" in error.what or "spelled" in error.what or "folders" in error.what


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (entry("x", mode=stat.S_IFLNK | 0o777), "it is a symbolic link"),
        (entry("x", mode=stat.S_IFIFO | 0o644), "it is a device, a pipe or a socket"),
        (entry("x", mode=stat.S_IFCHR | 0o644), "it is a device, a pipe or a socket"),
        (entry("x", mode=stat.S_IFDIR | 0o755), "its name and its mode do not agree"),
        (entry("x/", mode=stat.S_IFREG | 0o755), "its name and its mode do not agree"),
        (entry("x", packing=zipfile.ZIP_LZMA), "it is packed in a way other than stored"),
        (entry("x", packing=zipfile.ZIP_BZIP2), "it is packed in a way other than stored"),
    ],
    ids=["link", "pipe", "device", "folder", "file", "lzma", "bzip2"],
)
def test_unpack_entry_that_is_no_plain_file_is_refused(tmp_path, target, made, reason):
    error = refusal(archive(tmp_path, "main.py", made), target)
    assert error.what.startswith(f"the archive's entry {made.filename!r} is refused: {reason}")


@pytest.mark.parametrize("flag", [0x1, 0x40, 0x2000], ids=["plain", "strong", "directory"])
def test_unpack_encrypted_entry_is_refused(tmp_path, target, flag):
    path = archive(tmp_path, "main.py")
    data = bytearray(path.read_bytes())
    directory = data.find(b"PK\1\2")
    struct.pack_into("<H", data, directory + 8, flag)
    path.write_bytes(data)
    assert refusal(path, target).what.endswith("it is encrypted")


def test_unpack_folder_entry_with_content_is_refused(tmp_path, target):
    path = archive(tmp_path, entry("lib_", mode=0))
    path.write_bytes(path.read_bytes().replace(b"lib_", b"lib/"))
    assert refusal(path, target).what.endswith("it is a folder with content")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "this is no zip archive"),
        (b"\x1f\x8b\x08 a tar, packed", "this is no zip archive"),
        (b"PK\3\4 and no more", "the archive is cut off"),
    ],
    ids=["empty", "gzip", "cut"],
)
def test_unpack_bytes_that_are_no_archive_are_refused(tmp_path, target, data, words):
    (tmp_path / "x.zip").write_bytes(data)
    assert refusal(tmp_path / "x.zip", target).what.startswith(words)


def test_unpack_archive_cut_anywhere_is_refused(tmp_path, target):
    path = archive(tmp_path, "main.py", "config.json", content=b"0123456789")
    data = path.read_bytes()
    for size in range(len(data) - 1):
        path.write_bytes(data[:size])
        refusal(path, target)


def test_unpack_empty_archive_is_refused(tmp_path, target):
    assert refusal(archive(tmp_path), target).what == "the archive holds no file"
    assert refusal(archive(tmp_path, "only/"), target).what == "the archive holds no file"


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_unpack_damaged_content_is_refused_by_name(tmp_path, target, packing):
    made = entry("lib/a.py", packing=packing)
    path = archive(tmp_path, "main.py", made, content=bytes(range(200)))
    data = bytearray(path.read_bytes())
    data[data.rfind(b"lib/a.py", 0, data.find(b"PK\1\2")) + 50] ^= 0xFF
    path.write_bytes(data)
    assert refusal(path, target).what.startswith("the archive's entry 'lib/a.py' is refused: it ")


@pytest.mark.parametrize(
    ("caps", "words"),
    [
        ({"archive_bytes": 100}, "bytes; at most 0 MiB are taken"),
        ({"content_bytes": 2999}, "would unpack to 3,000 bytes"),
        ({"entries": 2}, "more than 2 entries"),
    ],
    ids=["archive", "content", "entries"],
)
def test_unpack_archive_over_a_limit_is_too_large(tmp_path, target, caps, words):
    path = archive(tmp_path, "a", "b", "c", content=bytes(1000))
    error = refusal(path, target, **caps)
    assert isinstance(error, ArchiveTooLarge)
    assert words in error.what


def test_unpack_bomb_is_too_large_by_its_ratio(tmp_path, target):
    made = entry("zeros", packing=zipfile.ZIP_DEFLATED)
    path = archive(tmp_path, made, content=bytes(40 * 1024 * 1024))
    error = refusal(path, target)
    assert isinstance(error, ArchiveTooLarge)
    assert "times its size; at most 200 times are taken" in error.what


def test_unpack_bomb_that_lies_about_its_size_stops_at_what_it_said(tmp_path, target):
    made = entry("zeros", packing=zipfile.ZIP_DEFLATED)
    path = archive(tmp_path, made, content=bytes(1_000_000))
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", 1_000_000), struct.pack("<I", 9)))
    assert "'zeros' is refused: it is damaged" in refusal(path, target).what


def test_unpack_entries_that_share_bytes_are_refused(tmp_path, target):
    path = archive(tmp_path, "a", content=bytes(100_000))
    data = path.read_bytes()
    at = data.find(b"PK\1\2")
    end = data.find(b"PK\5\6")
    other = data[at:end].replace(b"a", b"b")
    last = bytearray(data[end:])
    struct.pack_into("<HHI", last, 8, 2, 2, 2 * (end - at))
    path.write_bytes(data[:end] + other + last)
    assert refusal(path, target).what.startswith("the archive's entries overlap")


def test_unpack_large_directory_is_refused_before_it_is_read(tmp_path, target):
    path = archive(tmp_path, "a")
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.rfind(b"PK\5\6") + 12, 500_000_000)
    path.write_bytes(data)
    assert refusal(path, target).what == "the archive has more than 10,000 entries"


def test_unpack_drops_modes_and_keeps_a_wrapping_folder(tmp_path, target):
    path = archive(tmp_path, "s/", entry("s/run.sh", mode=stat.S_IFREG | 0o6755))
    unpack(path, target)
    assert [p.name for p in target.iterdir()] == ["s"]
    assert stat.S_IMODE((target / "s" / "run.sh").stat().st_mode) & 0o7111 == 0


def test_unpack_into_a_folder_that_is_there_changes_nothing(tmp_path, target):
    target.mkdir(parents=True)
    (target / "kept").write_text("kept")
    with pytest.raises(PlatformError):
        unpack(archive(tmp_path, "main.py"), target)
    assert [p.name for p in target.iterdir()] == ["kept"]


PARTS = st.text("aBc .-_\u00e9\u4e2d0", min_size=1, max_size=8).filter(
    lambda part: part not in (".", "..") and not part.endswith(".env") and part != ".env"
)
TREES = st.dictionaries(
    st.tuples(PARTS, PARTS).map("/".join).map(str.casefold), st.binary(max_size=300), min_size=1
)


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@given(tree=TREES)
def test_unpack_gives_back_what_was_packed(tree):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, content in tree.items():
            (folder / "in" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "in" / path).write_bytes(content)
        size = pack(folder / "in", folder / "x.zip")
        assert size == (folder / "x.zip").stat().st_size
        unpack(folder / "x.zip", folder / "out")
        assert contents(folder / "out") == tree


@given(data=st.data())
def test_unpack_damaged_archive_is_refused_or_whole(data):
    with tempfile.TemporaryDirectory() as name:
        path = archive(Path(name), "main.py", "lib/a.py", content=b"content " * 9)
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        target = Path(name, "out")
        try:
            unpack(path, target)
        except UploadError:
            assert not target.exists()
        else:
            assert {b"content " * 9} >= set(contents(target).values())


def test_pack_is_the_same_for_the_same_content(tmp_path):
    packed = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        for each in ("b.py", "a.py") if name == "one" else ("a.py", "b.py"):
            (folder / each).write_text(each)
        os.utime(folder / "a.py", (len(packed), len(packed)))
        (folder / "b.py").chmod(0o750)
        pack(folder, tmp_path / f"{name}.zip")
        packed.append((tmp_path / f"{name}.zip").read_bytes())
    assert packed[0] == packed[1]
    with zipfile.ZipFile(tmp_path / "one.zip") as made:
        assert [info.filename for info in made.infolist()] == ["a.py", "b.py"]
        assert {info.date_time for info in made.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        modes = [stat.S_IMODE(info.external_attr >> 16) for info in made.infolist()]
    assert modes == [0o644, 0o755]


def test_pack_leaves_out_what_copies_leave_out(tmp_path):
    folder = tmp_path / "s"
    for path in ("main.py", ".env", ".git/config", "__pycache__/main.pyc", "lib/prod.env"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("x")
    pack(folder, tmp_path / "x.zip")
    assert zipfile.ZipFile(tmp_path / "x.zip").namelist() == ["main.py"]


@pytest.mark.parametrize("caps", [{"entries": 1}, {"archive_bytes": 10}], ids=["entries", "bytes"])
def test_pack_over_a_limit_leaves_no_archive(tmp_path, caps):
    folder = tmp_path / "s"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_text("x")
    with pytest.raises(ArchiveTooLarge):
        pack(folder, tmp_path / "x.zip", caps=Caps(**caps))
    assert not (tmp_path / "x.zip").exists()


def test_pack_link_out_of_the_folder_is_refused(tmp_path):
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / "x").symlink_to("/etc/passwd")
    with pytest.raises(ConfigError, match="leads out of the task script"):
        pack(folder, tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()
