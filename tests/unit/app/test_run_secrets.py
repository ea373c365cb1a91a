"""Secrets of a run: references are public, values are read when asked for, and then masked."""

import traceback

import pytest

from stepline.app.masking import MASK, Masker, process_masker
from stepline.app.run_secrets import RunSecrets, SecretSource, parse_source, reference
from stepline.errors import PlatformError, PluginError, SettingsError
from stepline.ports.secrets import SecretValue


class Store:
    """A backend whose values change with every read."""

    def __init__(self, *values):
        self.values = list(values)
        self.asked = []

    def read(self, name):
        self.asked.append(name)
        return SecretValue(self.values[0] if len(self.values) == 1 else self.values.pop(0), "1")


@pytest.fixture
def masker():
    return Masker()


def secrets_of(stores, sources, masker):
    return RunSecrets(sources, backend=stores.__getitem__, masker=masker)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("env:MY_KEY", ("env", "MY_KEY")),
        ("file:/run/secrets/key", ("file", "/run/secrets/key")),
        ("file:C:key", ("file", "C:key")),
        ("prompt", ("prompt", "api_key")),
        ("prompt:", ("prompt", "api_key")),
        ("vault:a/b:c", ("vault", "a/b:c")),
    ],
)
def test_parse_source_names_backend_and_name(text, source):
    assert parse_source("api_key", text) == SecretSource(*source)


@pytest.mark.parametrize("text", ["hunter2-hunter2", "", ":hunter2-hunter2"])
def test_parse_source_plain_value_is_refused_without_showing_it(text):
    with pytest.raises(SettingsError) as caught:
        parse_source("api_key", text)
    assert "plain word" in caught.value.what
    assert caught.value.hint == "use --secret api_key=env:VARIABLE, file:PATH or prompt"
    assert "hunter2" not in str(caught.value)


def test_run_secrets_check_reads_every_secret_once_and_masks_it(masker):
    stores = {"env": Store("value-of-a"), "file": Store("value-of-b")}
    sources = {"a": SecretSource("env", "A"), "b": SecretSource("file", "/b")}
    secrets_of(stores, sources, masker).check()
    assert (stores["env"].asked, stores["file"].asked) == (["A"], ["/b"])
    assert masker.text("value-of-a value-of-b") == f"{MASK} {MASK}"


def test_run_secrets_check_refuses_a_value_that_cannot_be_masked(masker):
    secrets = secrets_of({"env": Store("abc")}, {"a": SecretSource("env", "A")}, masker)
    with pytest.raises(SettingsError, match="the secret 'a' has 3 characters"):
        secrets.check()


def test_run_secrets_references_hold_no_value(masker):
    secrets = secrets_of({"env": Store("value-of-a")}, {"a": SecretSource("env", "A")}, masker)
    assert secrets.references() == {"a": reference("a")}
    assert reference("a") == {"ssm": "/local/local/org-secrets/a", "secret": True}


def test_run_secrets_read_gives_the_newest_value_and_masks_all(masker):
    secrets = secrets_of(
        {"env": Store("first-value", "second-value")}, {"a": SecretSource("env", "A")}, masker
    )
    name = reference("a")["ssm"]
    assert [secrets.read(name).value, secrets.read(name).value] == ["first-value", "second-value"]
    assert masker.text("first-value second-value") == f"{MASK} {MASK}"


@pytest.mark.parametrize("name", ["/local/local/org-secrets/b", "/org/pipeline/b", "b"])
def test_run_secrets_read_unknown_name_says_how_to_give_it(name, masker):
    secrets = secrets_of({"env": Store("value-of-a")}, {"a": SecretSource("env", "A")}, masker)
    with pytest.raises(SettingsError) as caught:
        secrets.read(name)
    assert caught.value.what == f"no secret '{name}' was given to this run"
    assert caught.value.hint == "add --secret b=env:VARIABLE"


def test_secret_value_does_not_show_itself():
    assert "value-of-a" not in repr(SecretValue("value-of-a", "3"))
    assert "'3'" in repr(SecretValue("value-of-a", "3"))


def test_run_secrets_asks_for_each_backend_once(masker):
    """What a backend remembers, such as what a person typed, is there at the next read."""
    made = []

    def backend(name):
        made.append(name)
        return Store("secret-value")

    sources = {"a": SecretSource("prompt", "a"), "b": SecretSource("prompt", "b")}
    secrets = RunSecrets(sources, backend=backend, masker=masker)
    secrets.check()
    secrets.read(reference("a")["ssm"])
    assert made == ["prompt"]


class Faulty:
    """A backend that breaks its promise."""

    def __init__(self, fault):
        self.fault = fault

    def read(self, name):
        if isinstance(self.fault, BaseException):
            raise self.fault
        return self.fault


def faulty_backend(fault):
    def backend(name):
        raise fault

    return backend


def check_fault(backend, masker):
    with pytest.raises(PluginError) as caught:
        RunSecrets({"a": SecretSource("vault", "x/y")}, backend=backend, masker=masker).check()
    error = caught.value
    assert (error.plugin, error.hint) == (
        "secrets.vault",
        "its author can mend that; another backend may hold the secret meanwhile",
    )
    shown = "".join(traceback.format_exception(error))
    assert "hunter2" not in shown
    return error.what


def test_run_secrets_exception_in_a_backend_names_the_plugin_and_shows_no_text(masker):
    """A foreign exception's text may hold the value, as that of a failed parse does."""
    what = "plugin 'secrets.vault': reading the secret 'a' raised KeyError"
    fault = KeyError("hunter2-hunter2")
    assert check_fault(lambda name: Faulty(fault), masker) == what
    assert check_fault(faulty_backend(fault), masker) == what


@pytest.mark.parametrize(
    "answer", ["hunter2-hunter2", None, SecretValue(b"hunter2-hunter2", "1")], ids=repr
)
def test_run_secrets_backend_that_gives_no_text_names_the_plugin(answer, masker):
    what = check_fault(lambda name: Faulty(answer), masker)
    assert what == "plugin 'secrets.vault': it gave no text for the secret 'a'"


@pytest.mark.parametrize(
    "fault", [SettingsError("none"), PlatformError("down"), KeyboardInterrupt()], ids=repr
)
def test_run_secrets_backends_own_error_is_passed_on(fault, masker):
    secrets = secrets_of({"env": Faulty(fault)}, {"a": SecretSource("env", "A")}, masker)
    with pytest.raises(type(fault)) as caught:
        secrets.check()
    assert caught.value is fault


def test_run_secrets_value_is_masked_in_what_the_process_reports(masker):
    secrets_of({"env": Store("value-of-z")}, {"z": SecretSource("env", "Z")}, masker).check()
    assert process_masker().text("a value-of-z b") == f"a {MASK} b"
    assert Masker().text("value-of-z") == "value-of-z"
