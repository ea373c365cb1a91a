"""Copies of task scripts by content."""

import os
import socket
import stat
import threading

import pytest

from stepline.app import code_store
from stepline.app.code_store import store_code, stored_code
from stepline.errors import ConfigError, PlatformError


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def script(tmp_path):
    """A task script with a folder in it."""
    return tree(tmp_path / "script", {"main.py": "x = 1\n", "lib/a.py": "a = 1\n"})


def tree(folder, files):
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
    return folder


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_store_code_keeps_a_read_only_copy_by_content(script, cache):
    digest, kept = store_code(script, cache)
    assert kept == stored_code(digest, cache) == cache / "code" / digest.removeprefix("sha256:")
    assert contents(kept) == contents(script)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (kept, *kept.rglob("*"))}
    assert modes == {0o444, 0o555}


def test_store_code_same_content_is_kept_once(script, cache, tmp_path):
    again = tree(tmp_path / "elsewhere", contents(script))
    (again / "main.py").chmod(0o700)
    first, second = store_code(script, cache), store_code(again, cache)
    assert first == second
    assert [path.name for path in (cache / "code").iterdir() if path.is_dir()] == [first[1].name]


@pytest.mark.parametrize(
    "other",
    [
        {"main.py": "x = 2\n", "lib/a.py": "a = 1\n"},
        {"main.py": "x = 1\n", "lib/b.py": "a = 1\n"},
        {"main.py": "x = 1\n", "a.py": "a = 1\n"},
        {"main.py": "x = 1\n"},
        {"main.py": "x = 1\na = 1\n", "lib/a.py": ""},
    ],
    ids=["content", "name", "folder", "missing", "border moved"],
)
def test_store_code_any_change_gives_another_digest(script, cache, tmp_path, other):
    assert store_code(script, cache)[0] != store_code(tree(tmp_path / "o", other), cache)[0]


def test_store_code_change_leaves_the_earlier_copy_as_it_was(script, cache):
    _, before = store_code(script, cache)
    (script / "main.py").write_text("x = 2\n")
    _, after = store_code(script, cache)
    assert contents(before)["main.py"] == "x = 1\n"
    assert contents(after)["main.py"] == "x = 2\n"


def test_store_code_leaves_out_caches_environments_and_env_files(script, cache):
    before, _ = store_code(script, cache)
    left_out = ["__pycache__/main.pyc", ".git/config", ".venv/bin/python", "lib/__pycache__/a.pyc"]
    left_out += [".env", ".env.local", "prod.env", ".DS_Store", "lib/old.pyc", ".stepline/x"]
    tree(script, dict.fromkeys(left_out, "left out"))
    assert store_code(script, cache)[0] == before


def test_store_code_link_within_becomes_a_file(script, cache):
    (script / "linked.py").symlink_to("main.py")
    _, kept = store_code(script, cache)
    assert not (kept / "linked.py").is_symlink()
    assert (kept / "linked.py").read_text() == "x = 1\n"


def make_fifo(path):
    os.mkfifo(path)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda path: path.symlink_to("/etc/passwd"), "the link leads out of the task script"),
        (lambda path: path.symlink_to("/etc"), "the link leads out of the task script"),
        (lambda path: path.symlink_to("lib"), "the link leads to a folder"),
        (lambda path: path.symlink_to("none"), "the link leads nowhere"),
        (lambda path: path.symlink_to(path.name), "the link leads nowhere"),
        (make_fifo, "this is not a plain file"),
        (make_socket, "this is not a plain file"),
    ],
    ids=["file outside", "folder outside", "folder", "dangling", "itself", "pipe", "socket"],
)
def test_store_code_what_cannot_be_copied_is_refused_with_its_place(
    script, cache, monkeypatch, make, what
):
    monkeypatch.chdir(script)  # a socket's path is short
    make(script.joinpath("odd").relative_to(script))
    with pytest.raises(ConfigError) as caught:
        store_code(script, cache)
    assert what in caught.value.what
    assert caught.value.where.path == str(script / "odd")
    assert caught.value.hint
    assert not (cache / "code").exists()


def test_store_code_name_that_is_not_utf8_is_kept(script, cache):
    with open(os.fsencode(script) + b"/\xff.txt", "w") as file:
        file.write("odd name")
    _, kept = store_code(script, cache)
    assert b"\xff.txt" in os.listdir(os.fsencode(kept))


def test_store_code_cache_that_cannot_be_written_says_so(script, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(PlatformError) as caught:
        store_code(script, tmp_path / "cache")
    assert "cannot be copied" in caught.value.what
    assert "STEPLINE_CACHE_DIR" in caught.value.hint


def test_store_code_failed_copy_leaves_nothing_behind(script, cache, monkeypatch):
    def fail(source, target):
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr("shutil.copyfile", fail)
    with pytest.raises(PlatformError, match="No space left"):
        store_code(script, cache)
    assert list((cache / "code").iterdir()) == []


def test_store_code_folder_that_changes_meanwhile_is_known_by_what_was_copied(
    script, cache, monkeypatch
):
    """The digest names what is in the copy, not what was there a moment before."""
    digest_of = code_store.content_digest
    seen = []

    def changing(folder):
        seen.append(digest_of(folder))
        if len(seen) == 1:
            (script / "main.py").write_text("x = 2\n")
        return seen[-1]

    monkeypatch.setattr(code_store, "content_digest", changing)
    digest, kept = store_code(script, cache)
    assert digest == digest_of(kept) != seen[0]
    assert contents(kept)["main.py"] == "x = 2\n"


def test_store_code_many_at_once_agree(script, cache):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(store_code(script, cache))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.name for path in (cache / "code").iterdir() if path.is_dir()] == [found[0][1].name]


@pytest.mark.parametrize(
    "change",
    [
        lambda kept: (kept / "main.py").write_text("raise SystemExit('changed')\n"),
        lambda kept: (
            (kept / "__pycache__").mkdir()
            or (kept / "__pycache__" / "main.cpython-311.pyc").write_bytes(b"changed")
        ),
        lambda kept: (kept / "main.py").unlink(),
    ],
    ids=["changed", "bytecode added", "removed"],
)
def test_store_code_copy_that_was_changed_is_made_anew(tmp_path, change):
    folder, cache = tmp_path / "script", tmp_path / "cache"
    folder.mkdir()
    (folder / "main.py").write_text("VALUE = 1\n")
    digest, kept = store_code(folder, cache)
    kept.chmod(0o755)
    for path in kept.iterdir():
        path.chmod(0o644)
    change(kept)
    assert stored_code(digest, cache) is None
    assert store_code(folder, cache) == (digest, kept)
    assert [path.name for path in kept.iterdir()] == ["main.py"]
    assert (kept / "main.py").read_text() == "VALUE = 1\n"
