"""Which credential a reference's registry gets."""

import pytest

from stepline.app.images.logins import RegistryLogins
from stepline.app.masking import process_masker
from stepline.errors import PluginError, SecretNotFound, SettingsError
from stepline.ports.engine import Credential
from stepline.ports.secrets import SecretValue
from stepline.settings import RegistryLogin


class Values:
    """A secret backend over a mapping."""

    def __init__(self, **values):
        self.values = values

    def read(self, name):
        if name not in self.values:
            raise SecretNotFound(f"there is no '{name}'", hint="set it")
        return SecretValue(self.values[name], "1")


def logins(backend, provide=None, **registries):
    named = {name.replace("_", ".", 1): login for name, login in registries.items()}
    return RegistryLogins(named, backend=lambda name: backend, provide=provide)


def test_credential_is_that_of_the_registry_of_the_reference():
    secrets = Values(KEY="secret-one")
    found = logins(secrets, reg_example=RegistryLogin(user="robot", secret="env:KEY"))
    credential = found.credential("reg.example/a/b:v1")
    assert (credential.connection, credential.server) == ("reg.example", "reg.example")
    assert (credential.username, credential.password) == ("robot", "secret-one")
    assert found.credential("other.example/a/b:v1") is None
    assert found.credential("a/b:v1") is None
    assert "secret-one" not in repr(credential)


def test_credential_of_the_hub_is_that_of_names_without_a_registry():
    login = RegistryLogin(user="me", secret="env:KEY", name="my hub")
    found = logins(Values(KEY="secret-two"), docker_io=login)
    assert found.credential("library/postgres:15").connection == "my hub"


def test_credential_changed_secret_counts_at_once_and_is_masked_in_reports():
    secrets = Values(KEY="secret-old")
    found = logins(secrets, reg_example=RegistryLogin(user="robot", secret="env:KEY"))
    assert found.credential("reg.example/a").password == "secret-old"
    secrets.values["KEY"] = "secret-new"
    assert found.credential("reg.example/a").password == "secret-new"
    assert "secret-new" not in process_masker().text("it was secret-new")


def test_credential_missing_secret_names_registry_and_remedy():
    found = logins(Values(), reg_example=RegistryLogin(user="robot", secret="env:KEY"))
    with pytest.raises(SettingsError) as caught:
        found.credential("reg.example/a")
    assert "the registry reg.example cannot be logged in to: there is no 'KEY'" in caught.value.what
    assert caught.value.hint == "set it"


def test_credential_backend_that_breaks_its_promise_is_named():
    class Broken:
        def read(self, name):
            raise ValueError("secret-value")

    with pytest.raises(PluginError, match=r"secrets\.env") as caught:
        logins(Broken(), reg_example=RegistryLogin(user="a", secret="env:KEY")).credential(
            "reg.example/a"
        )
    assert "secret-value" not in str(caught.value)


def test_credential_of_another_kind_comes_from_one_source_until_its_secret_changes():
    made = []

    def provide(host, login, secret):
        made.append((host, login.kind, secret))
        token = f"token-of-{secret}"
        return lambda: Credential(connection="c", server=host, username="AWS", password=token)

    secrets = Values(KEY="secret-one")
    found = logins(
        secrets, provide, reg_example=RegistryLogin(user="a", secret="env:KEY", kind="ecr")
    )
    assert {found.credential("reg.example/a").password for _ in range(3)} == {"token-of-secret-one"}
    assert made == [("reg.example", "ecr", "secret-one")]
    secrets.values["KEY"] = "secret-two"
    assert found.credential("reg.example/a").password == "token-of-secret-two"
