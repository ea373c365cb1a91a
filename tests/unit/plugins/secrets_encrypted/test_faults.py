"""Wrong keys, damaged files, full disks and crashes: a clear error, and nothing is overwritten."""

import base64
import fcntl
import itertools
import json
import os
import resource
import shutil
from contextlib import contextmanager

import pytest

from stepline.errors import PlatformError, SettingsError
from stepline.plugins.secrets_encrypted import disk, sealed
from stepline.plugins.secrets_encrypted.keys import VARIABLE
from stepline.plugins.secrets_encrypted.store import EncryptedSecrets

KEY = bytes(range(32))
OTHER = bytes(32)
ACTS = {
    "read": lambda store: store.read("a"),
    "list": lambda store: store.list(),
    "put": lambda store: store.put("a", "value-new"),
    "put of another": lambda store: store.put("c", "value-new"),
    "delete": lambda store: store.delete("a"),
    "rotate": lambda store: store.rotate(bytes([7]) * 32),
}


@pytest.fixture(params=ACTS.values(), ids=ACTS)
def act(request):
    """One thing that is done with a store."""
    return request.param


def refused(act, folder, kind, key=None):
    """Check that an act is refused and changes no file; return the error."""
    before = folder.contents()
    with pytest.raises(kind) as caught:
        act(folder.store(key))
    assert folder.contents() == before
    return caught.value


def test_missing_key_file_is_refused_with_what_to_do(filled, act):
    filled.path.joinpath("secrets.key").unlink()
    error = refused(act, filled, SettingsError)
    file = filled.path / "secrets.json"
    assert error.what == f"the key is missing, and there are secrets in {file}"
    assert error.where.path == str(filled.path / "secrets.key")
    assert error.hint.startswith("put the key file of your backup there, or set " + VARIABLE)


def test_wrong_key_file_is_refused(filled, act):
    filled.path.joinpath("secrets.key").write_bytes(base64.b64encode(OTHER))
    error = refused(act, filled, SettingsError)
    assert error.what.startswith("the key is not the one of the secrets in ")
    assert error.where.path == str(filled.path / "secrets.key")


def test_wrong_key_of_environment_is_refused(filled, act):
    error = refused(act, filled, SettingsError, key=OTHER)
    assert error.what.startswith(f"the key in {VARIABLE} is not the one of the secrets in ")
    assert error.hint.endswith("unset it if that is in a key file")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_key_file_that_others_may_use_is_refused_with_the_command(filled, act, mode):
    key_file = filled.path / "secrets.key"
    key_file.chmod(mode)
    error = refused(act, filled, SettingsError)
    assert error.what == f"the key of the secrets may be used by others: its mode is {mode:o}"
    assert error.where.path == str(key_file)
    assert error.hint == f"chmod 600 '{key_file}'"


def test_key_file_that_others_may_use_is_refused_before_the_first_secret(folder):
    folder.path.mkdir()
    folder.path.joinpath("secrets.key").write_bytes(base64.b64encode(KEY))
    folder.path.joinpath("secrets.key").chmod(0o644)
    with pytest.raises(SettingsError, match="may be used by others"):
        folder.store().put("a", "value-of-a")
    assert folder.names() == ["secrets.key", "secrets.lock"]


@pytest.mark.parametrize("content", [b"", b"\n", b"AAAA\n", b"\xff" * 44, b"x" * 9000], ids=len)
def test_damaged_key_file_is_refused(filled, act, content):
    filled.path.joinpath("secrets.key").write_bytes(content)
    error = refused(act, filled, SettingsError)
    assert error.what == "the key file is damaged: it does not hold 32 bytes in base64"
    assert error.hint == "put the key file of your backup in its place"


@pytest.mark.parametrize("text", ["", "hunter2-hunter2", "QUJD", "é" * 44], ids=repr)
def test_variable_that_is_no_key_is_refused_without_showing_it(tmp_path, text):
    with pytest.raises(SettingsError) as caught:
        EncryptedSecrets(tmp_path, {VARIABLE: text})
    assert caught.value.what == f"the environment variable {VARIABLE} is not 32 bytes in base64"
    assert "unset it to use a key file" in caught.value.hint
    assert not text or text not in str(caught.value)


def test_key_is_taken_with_a_newline_and_of_either_alphabet(folder):
    key = bytes([0xFB, 0xFF] * 16)
    folder.store(key).put("a", "value-of-a")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        environ = {VARIABLE: encode(key).decode() + "\n"}
        assert EncryptedSecrets(folder.path, environ).read("a").value == "value-of-a"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"{}", b"\xff\xfe", b"[" * 9000])
def test_file_that_is_none_of_ours_is_refused(filled, act, content):
    filled.path.joinpath("secrets.json").write_bytes(content)
    error = refused(act, filled, PlatformError)
    assert error.what == "the file of the secrets is damaged"
    assert error.where.path == str(filled.path / "secrets.json")
    assert error.hint.startswith("put the file of your backup in its place")


def test_file_that_is_cut_is_refused_at_every_length(filled):
    file = filled.path / "secrets.json"
    whole = file.read_bytes()
    for length in range(len(whole) - 1):
        file.write_bytes(whole[:length])
        refused(ACTS["put"], filled, PlatformError)


def test_file_with_any_bit_flipped_never_gives_another_value(filled):
    """A flip is either found, or it changed nothing: base64 has bits without a meaning."""
    file = filled.path / "secrets.json"
    whole = file.read_bytes()
    found = 0
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        file.write_bytes(damaged)
        try:
            values = [filled.store().read(name).value for name in "ab"]
        except (PlatformError, SettingsError):
            found += 1
        else:
            assert values == ["value-of-a", "value-of-b"]
    assert found > 0.95 * len(whole)


def edited(folder, change):
    """Change the file as somebody without the key could."""
    file = folder.path / "secrets.json"
    body = json.loads(file.read_text())
    change(body["secrets"])
    file.write_text(json.dumps(body))


def swap(rows):
    rows["a"]["value"], rows["b"]["value"] = rows["b"]["value"], rows["a"]["value"]


@pytest.mark.parametrize(
    "change",
    [
        swap,
        lambda rows: rows.pop("b"),
        lambda rows: rows.update(c=rows["a"]),
        lambda rows: rows["a"].update(version=2),
        lambda rows: rows["a"].update(edits=7),
        lambda rows: rows["a"].update(value=None),
    ],
    ids=["swapped", "removed", "copied", "version", "edits", "emptied"],
)
def test_file_that_was_edited_without_the_key_is_refused(filled, act, change):
    edited(filled, change)
    refused(act, filled, PlatformError)


@pytest.mark.parametrize(("name", "version"), [("b", 1), ("a", 2)], ids=["name", "version"])
def test_value_is_bound_to_its_name_and_version(name, version):
    text = sealed.encrypt("value-of-a", KEY, name="a", version=1)
    assert sealed.decrypt(sealed.Entry(1, 0, "", text), KEY, name="a") == "value-of-a"
    with pytest.raises(sealed.Damaged):
        sealed.decrypt(sealed.Entry(version, 0, "", text), KEY, name=name)


def test_same_value_is_never_encrypted_alike():
    forms = {sealed.encrypt("value-of-a", KEY, name="a", version=1) for _ in range(50)}
    assert len({form[:12] for form in forms}) == 50
    assert len({form[12:] for form in forms}) == 50


def test_file_of_a_later_format_says_to_update(folder, act, monkeypatch):
    with monkeypatch.context() as later:
        later.setattr(sealed, "FORMAT", 2)
        folder.store().put("a", "value-of-a")
    error = refused(act, folder, SettingsError)
    assert error.what == "a later version of Stepline wrote the secrets"
    assert error.hint == "update Stepline"


@contextmanager
def full_disk():
    """No file can grow beyond 100 bytes, as on a disk that is full; the tests' output neither."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_put_on_a_full_disk_keeps_what_was_there(filled):
    with full_disk():
        error = refused(ACTS["put"], filled, PlatformError)
    assert error.what == "the secrets cannot be read or stored: File too large"
    assert error.where.path == str(filled.path / "secrets.json")
    assert error.retryable
    assert filled.store().read("a").value == "value-of-a"


def test_put_where_no_folder_can_be_is_a_fault_of_the_platform(tmp_path):
    tmp_path.joinpath("file").touch()
    with pytest.raises(PlatformError, match="cannot be read or stored: File exists"):
        EncryptedSecrets(tmp_path / "file", {}).put("a", "value-of-a")


def test_change_while_another_process_holds_the_lock_ends_in_an_error(filled, monkeypatch):
    monkeypatch.setattr(disk, "LOCK_WAIT_S", 0.05)
    with open(filled.path / "secrets.lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        error = refused(ACTS["put"], filled, PlatformError)
        assert error.what == "another process has held this lock for over 0.05 s"
        assert error.where.path == str(filled.path / "secrets.lock")
        assert filled.store().read("a").value == "value-of-a"
    assert filled.store().put("a", "value-new") == 2


class Killed(BaseException):
    """Stands for the end of the process: no code of ours looks out for it."""


def killed_at(monkeypatch, act, point):
    """Do an act that ends before a system call; tell whether it came to that."""
    calls = itertools.count()

    def counted(call):
        def before(*args, **named):
            if next(calls) == point:
                raise Killed
            return call(*args, **named)

        return before

    with monkeypatch.context() as patch:
        for name in ("open", "fsync", "replace"):
            patch.setattr(os, name, counted(getattr(os, name)))
        try:
            act()
        except Killed:
            return True
    return False


def readable(folder):
    return {info.name: folder.store().read(info.name).value for info in folder.store().list()}


@pytest.mark.parametrize("name", ["put", "put of another", "delete", "rotate"])
def test_process_killed_at_any_point_leaves_the_old_or_the_new(filled, monkeypatch, name):
    before = readable(filled)
    for point in range(50):
        ended = killed_at(monkeypatch, lambda: ACTS[name](filled.store()), point)
        after = readable(filled)
        if not ended:
            break
        assert after in (before, wanted(name, before))
        if after != before:
            filled.store().put("a", "value-of-a")
            filled.store().put("c", "value-of-c")
            before = readable(filled)
    assert 4 < point < 50
    assert filled.names() == ["secrets.json", "secrets.key", "secrets.lock"]
    assert len(filled.path.joinpath("secrets.key").read_text().splitlines()) == 1


def wanted(name, before):
    """Return the secrets after an act."""
    changes = {"put": {"a": "value-new"}, "put of another": {"c": "value-new"}}
    after = {**before, **changes.get(name, {})}
    return {key: value for key, value in after.items() if (name, key) != ("delete", "a")}


def test_first_put_killed_at_any_point_can_be_done_again(folder, monkeypatch):
    for point in range(50):
        if not killed_at(monkeypatch, lambda: folder.store().put("a", "value-of-a"), point):
            break
        assert readable(folder) in ({}, {"a": "value-of-a"})
        folder.store().put("a", "value-again")
        assert readable(folder) == {"a": "value-again"}
        assert folder.names() == ["secrets.json", "secrets.key", "secrets.lock"]
        shutil.rmtree(folder.path)
    assert 8 < point < 50
    assert readable(folder) == {"a": "value-of-a"}
