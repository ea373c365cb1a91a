"""Secrets are kept, counted and told apart; nothing of them is readable on the disk."""

import multiprocessing
import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepline.app.masking import secret_forms
from stepline.errors import SecretNotFound, SettingsError
from stepline.plugins.secrets_encrypted.store import EncryptedSecrets
from stepline.ports.secrets import SecretInfo, SecretValue


@pytest.mark.parametrize("key", [None, bytes(range(32))], ids=["key file", "key of environment"])
def test_put_value_is_read_by_the_next_process(folder, key):
    assert folder.store(key).put("api-key.2", "value-of-a") == 1
    assert folder.store(key).read("api-key.2") == SecretValue("value-of-a", "1")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(st.characters(codec="utf-8"), min_size=6, max_size=300))
def test_put_any_text_is_read_as_it_was(folder, value):
    store = folder.store()
    version = store.put("any", value)
    assert folder.store().read("any") == SecretValue(value, str(version))


@pytest.mark.parametrize("value", ["x" * 65_536, "é" * 32_768, "line\r\nline\0\n"])
def test_put_longest_and_oddest_values_are_kept(folder, value):
    folder.store().put("a", value)
    assert folder.store().read("a").value == value


def test_put_again_gives_the_next_version_and_counts_the_edit(folder):
    store = folder.store()
    assert [store.put("a", f"value-{n}") for n in range(3)] == [1, 2, 3]
    assert store.read("a") == SecretValue("value-2", "3")
    assert list(store.list()) == [SecretInfo("a", 3, 2, "2030-01-01T00:00:03Z")]


def test_list_is_by_name_and_without_values(filled):
    filled.store().put("a.0", "value-of-c")
    infos = filled.store().list()
    assert [(info.name, info.version, info.edits) for info in infos] == [
        ("a", 1, 0),
        ("a.0", 1, 0),
        ("b", 1, 0),
    ]
    assert "value-of" not in repr(infos)


def test_list_without_a_secret_is_empty_and_makes_nothing(folder):
    assert list(folder.store().list()) == []
    assert not folder.path.exists()


def test_delete_removes_the_value_and_its_version_is_not_used_again(filled):
    store = filled.store()
    store.put("a", "second-of-a")
    store.delete("a")
    assert [info.name for info in store.list()] == ["b"]
    with pytest.raises(SecretNotFound):
        store.read("a")
    assert store.put("a", "third-of-a") == 3
    assert [(info.name, info.edits) for info in store.list()] == [("a", 0), ("b", 0)]


@pytest.mark.parametrize("act", ["read", "delete"])
def test_unknown_secret_is_named_with_how_to_set_it(filled, act):
    with pytest.raises(SecretNotFound) as caught:
        getattr(filled.store(), act)("c")
    assert caught.value.what == "there is no secret 'c'"
    assert caught.value.hint == "set it: stepline secret set c"


@pytest.mark.parametrize(
    "name", ["", "A", "a_b", "a b", "-a", ".a", "ä", "a/b", "../a", "a\n", "x" * 129], ids=repr
)
def test_name_that_breaks_the_rule_is_refused_with_it(folder, name):
    with pytest.raises(SettingsError) as caught:
        folder.store().put(name, "value-of-a")
    assert caught.value.what.startswith("a secret cannot be named ")
    assert caught.value.hint == (
        "a name has at most 128 lower-case letters, digits, '-' and '.', "
        "and begins with a letter or digit"
    )
    assert not folder.path.exists()


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("abcde", "has 5 characters; under 6 it could not be masked in logs"),
        ("é" * 32_769, "has 65,538 bytes, and 65,536 are allowed"),
        ("value\udc80", "is not UTF-8 text"),
    ],
    ids=["short", "long", "no text"],
)
def test_put_value_that_cannot_be_kept_is_refused_and_the_old_stays(filled, value, what):
    before = filled.contents()
    with pytest.raises(SettingsError) as caught:
        filled.store().put("a", value)
    assert caught.value.what == f"the secret 'a' {what}"
    assert caught.value.hint
    assert caught.value.__cause__ is None
    assert filled.contents() == before


def test_files_are_for_their_owner_alone(filled):
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in filled.path.iterdir()}
    assert modes == dict.fromkeys(["secrets.json", "secrets.key", "secrets.lock"], 0o600)
    assert stat.S_IMODE(filled.path.stat().st_mode) == 0o700


def test_key_of_environment_needs_no_key_file(folder):
    folder.store(bytes(range(32))).put("a", "value-of-a")
    assert folder.names() == ["secrets.json", "secrets.lock"]


VALUE = 'pw="häns/o+\\n&<x>"\nsecond-line of it\n0081726354'


def test_no_form_of_a_value_is_in_any_byte_of_the_folder(folder):
    store = folder.store()
    for value in ("the-one-before-it", VALUE):
        store.put("a", value)
    store.put("gone", "the-one-deleted")
    store.delete("gone")
    store.rotate()
    bytes_of_all = b"\0".join(folder.contents().values()).lower()
    forms = set().union(*map(secret_forms, (VALUE, "the-one-before-it", "the-one-deleted")))
    assert len(forms) > 40
    assert [form for form in forms if form.lower().encode() in bytes_of_all] == []


def test_file_of_secrets_does_not_hold_the_key(filled):
    contents = filled.contents()
    assert contents["secrets.key"].strip() not in contents["secrets.json"]


def put_many(path, name, count):
    store = EncryptedSecrets(path, {})
    for number in range(count):
        store.put(name, f"value-{number}")
        store.put("shared", f"value-{name}-{number}")


def test_put_from_several_processes_at_once_loses_nothing(folder):
    context = multiprocessing.get_context("spawn")
    names = ["a", "b", "c"]
    processes = [context.Process(target=put_many, args=(folder.path, n, 8)) for n in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    infos = {info.name: info.version for info in folder.store().list()}
    assert infos == {"a": 8, "b": 8, "c": 8, "shared": 24}
    assert len(folder.contents()["secrets.key"].splitlines()) == 1
