"""Another key for all secrets: the old one opens nothing any more, and nothing is lost."""

import base64

import pytest

from stepline.errors import SettingsError
from stepline.plugins.secrets_encrypted.keys import VARIABLE

KEY = bytes(range(32))
NEW = bytes(range(1, 33))


def test_rotate_key_file_is_replaced_and_all_values_stay(filled):
    filled.store().delete("b")
    filled.store().put("c", "value-of-c")
    before = filled.contents()
    infos = filled.store().list()
    filled.store().rotate()
    after = filled.contents()
    assert filled.store().list() == infos
    assert [filled.store().read(name).value for name in "ac"] == ["value-of-a", "value-of-c"]
    assert before["secrets.key"] != after["secrets.key"]
    assert len(after["secrets.key"].splitlines()) == 1
    assert filled.store().put("b", "value-of-b") == 2


def test_rotate_key_of_before_opens_nothing(filled):
    old = filled.path.joinpath("secrets.key").read_bytes()
    filled.store().rotate()
    filled.path.joinpath("secrets.key").write_bytes(old)
    with pytest.raises(SettingsError, match="not the one of the secrets"):
        filled.store().read("a")


def test_rotate_to_a_given_key_puts_it_into_the_key_file(filled):
    filled.store().rotate(NEW)
    assert base64.b64decode(filled.path.joinpath("secrets.key").read_bytes()) == NEW
    assert filled.store(NEW).read("a").value == "value-of-a"


def test_rotate_key_of_environment_is_used_from_then_on(folder):
    store = folder.store(KEY)
    store.put("a", "value-of-a")
    store.rotate(NEW)
    store.put("b", "value-of-b")
    assert folder.store(NEW).read("a").value == "value-of-a"
    assert folder.store(NEW).read("b").value == "value-of-b"
    with pytest.raises(SettingsError, match=VARIABLE):
        folder.store(KEY).read("a")
    assert folder.names() == ["secrets.json", "secrets.lock"]


def test_rotate_done_again_after_a_crash_leaves_the_new_key_alone(filled):
    key_file = filled.path / "secrets.key"
    old = key_file.read_bytes()
    filled.store().rotate(NEW)
    key_file.write_bytes(key_file.read_bytes() + old)
    filled.store().rotate(NEW)
    assert base64.b64decode(key_file.read_bytes(), validate=False)[:32] == NEW
    assert len(key_file.read_bytes().splitlines()) == 1
    assert filled.store().read("a").value == "value-of-a"


def test_rotate_before_the_first_secret_makes_the_key(folder):
    folder.store().rotate(NEW)
    folder.store().put("a", "value-of-a")
    assert folder.store(NEW).read("a").value == "value-of-a"


@pytest.mark.parametrize(
    ("environment", "key", "what"),
    [
        (KEY, None, f"the key is from {VARIABLE}, where a new one cannot be put from here"),
        (KEY, KEY, "the new key is the one in use"),
        (KEY, b"short", "a key has 32 bytes, not 5"),
        (None, b"", "a key has 32 bytes, not 0"),
    ],
    ids=["none", "same", "short", "empty"],
)
def test_rotate_to_what_is_no_new_key_is_refused(folder, environment, key, what):
    folder.store(environment).put("a", "value-of-a")
    before = folder.contents()
    with pytest.raises(SettingsError) as caught:
        folder.store(environment).rotate(key)
    assert caught.value.what == what
    assert caught.value.hint
    assert folder.contents() == before


def test_reader_that_meets_a_rotation_reads_again(filled, monkeypatch):
    """The secrets are read, then another process changes both files, then the key is read."""
    store = filled.store()
    keys, asked = store._keys, []

    def rotated_before():
        asked.append(1)
        if len(asked) == 1:
            filled.store().rotate()
        return keys()

    monkeypatch.setattr(store, "_keys", rotated_before)
    assert store.read("a").value == "value-of-a"
    assert len(asked) == 2
