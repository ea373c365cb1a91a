"""A workflow gets the newest values of its own secrets, and each is masked beforehand."""

import gc
import threading
import time

import pytest

from stepline.app import masking
from stepline.app.masking import MASK, Masker, process_masker
from stepline.app.service_secrets import (
    ServiceSecrets,
    WorkflowSecrets,
    secret_reference,
)
from stepline.errors import PlatformError, PluginError, SecretNotFound, SettingsError
from stepline.model.pipeline import Condition, Pipeline, PipelineSpec
from stepline.plugins.secrets_encrypted.store import EncryptedSecrets
from stepline.plugins.secrets_env import EnvironmentSecrets
from stepline.ports.secrets import SecretValue

CONFIG = {
    "user": "me",
    "key": secret_reference("api-key", org="demo"),
    "token": secret_reference("token", org="demo"),
}
KEY_PATH = "/local/demo/org-secrets/api-key"


@pytest.fixture
def store(tmp_path):
    store = EncryptedSecrets(tmp_path, {})
    store.put("api-key", "value-of-key")
    store.put("token", "value-of-token")
    store.put("foreign", "value-of-another")
    return store


@pytest.fixture
def masker():
    return Masker()


def secrets_of(store, masker, config=CONFIG, **environ):
    environment = EnvironmentSecrets(environ)
    return WorkflowSecrets(config, store, masker=masker, environment=environment)


def test_read_gives_value_and_version_and_masks_the_value(store, masker):
    assert secrets_of(store, masker).read(KEY_PATH) == SecretValue("value-of-key", "1")
    assert masker.text("a value-of-key b") == f"a {MASK} b"
    assert process_masker().text("value-of-key") == MASK


def test_read_gives_the_newest_value_and_masks_the_ones_before_too(store, masker):
    secrets = secrets_of(store, masker)
    secrets.read(KEY_PATH)
    store.put("api-key", "value-renewed")
    assert secrets.read(KEY_PATH) == SecretValue("value-renewed", "2")
    assert masker.text("value-of-key value-renewed") == f"{MASK} {MASK}"


@pytest.mark.parametrize(
    "path", ["/local/demo/org-secrets/foreign", "/local/other/org-secrets/api-key", "api-key", ""]
)
def test_read_of_what_the_workflow_does_not_declare_is_refused(store, masker, path):
    with pytest.raises(SettingsError) as caught:
        secrets_of(store, masker).read(path)
    assert caught.value.what == f"the workflow has no secret '{path}'"
    assert caught.value.hint.startswith("declare a config item of type secret")
    assert masker.text("value-of-another value-of-key") == "value-of-another value-of-key"


def test_check_masks_every_declared_secret_and_no_other(store, masker):
    secrets_of(store, masker).check()
    shown = masker.text("value-of-key value-of-token value-of-another")
    assert shown == f"{MASK} {MASK} value-of-another"


def test_check_names_all_that_are_missing_or_cannot_be_masked(store, masker):
    store.delete("api-key")
    store.delete("token")
    store.put("lines", "ab\ncd\nef")
    config = {**CONFIG, "x": secret_reference("lines", org="demo")}
    with pytest.raises(SettingsError) as caught:
        secrets_of(store, masker, config).check()
    codes = [(problem.code, problem.message) for problem in caught.value.problems]
    assert codes == [
        ("missing-secret", "there is no secret 'api-key', which config 'key' needs"),
        ("missing-secret", "there is no secret 'token', which config 'token' needs"),
        (
            "unusable-secret",
            "the longest line of the secret 'lines' has 2 characters; "
            "under 6 it could not be masked in logs",
        ),
    ]
    assert all(message in caught.value.what for _, message in codes)
    assert caught.value.problems[0].hint == (
        "set it: stepline secret set api-key; "
        "or start the service with it in STEPLINE_SECRET_API_KEY"
    )
    assert str(caught.value.problems[1].where) == "config 'token'"


def test_check_of_a_store_that_cannot_be_read_says_so_once(store, masker, tmp_path):
    (tmp_path / "secrets.key").unlink()
    with pytest.raises(SettingsError) as caught:
        secrets_of(store, masker, STEPLINE_SECRET_TOKEN="value-of-variable").check()
    assert len(caught.value.problems) == 1
    assert caught.value.what.startswith("the key is missing, and there are secrets in")


def test_check_of_a_damaged_store_is_a_fault_of_the_platform(store, masker, tmp_path):
    (tmp_path / "secrets.json").write_bytes(b"{")
    with pytest.raises(PlatformError, match="damaged"):
        secrets_of(store, masker, STEPLINE_SECRET_TOKEN="value-of-variable").check()


def test_prime_masks_what_there_is_and_returns_what_is_missing(store, masker):
    store.delete("api-key")
    [problem] = secrets_of(store, masker).prime()
    assert problem.message.startswith("there is no secret 'api-key'")
    assert masker.text("value-of-token") == MASK


def test_prime_again_masks_what_another_process_has_set_since(store, masker, tmp_path):
    secrets = secrets_of(store, masker)
    secrets.check()
    EncryptedSecrets(tmp_path, {}).put("token", "value-renewed")
    assert masker.text("value-renewed") == "value-renewed"
    assert secrets.prime() == []
    assert masker.text("value-renewed") == MASK


def test_secret_that_is_not_stored_is_read_from_the_environment(store, masker):
    store.delete("api-key")
    secrets = secrets_of(store, masker, STEPLINE_SECRET_API_KEY="value-of-variable")
    secrets.check()
    found = secrets.read(KEY_PATH)
    assert found == SecretValue("value-of-variable", "env:STEPLINE_SECRET_API_KEY")
    assert masker.text("value-of-variable") == MASK


def test_secret_that_is_stored_wins_over_the_environment(store, masker):
    secrets = secrets_of(store, masker, STEPLINE_SECRET_API_KEY="value-of-variable")
    assert secrets.read(KEY_PATH).value == "value-of-key"


def test_secret_without_an_environment_is_only_looked_for_in_the_store(store, masker):
    config = {"x": secret_reference("not-there", org="demo")}
    with pytest.raises(SettingsError) as caught:
        WorkflowSecrets(config, store, masker=masker).check()
    assert caught.value.hint == "set it: stepline secret set not-there"


def test_variable_that_two_secrets_share_is_given_to_neither(store, masker):
    config = {name: secret_reference(name, org="demo") for name in ("a-b", "a.b")}
    with pytest.raises(SettingsError) as caught:
        secrets_of(store, masker, config, STEPLINE_SECRET_A_B="value-of-variable").check()
    assert [problem.hint for problem in caught.value.problems] == [
        "set it: stepline secret set a-b",
        "set it: stepline secret set a.b",
    ]
    assert secrets_of(
        store, masker, {"x": config["a.b"]}, STEPLINE_SECRET_A_B="value-of-variable"
    ).read("/local/demo/org-secrets/a.b")


class Faulty:
    """A store of a plugin that breaks its promise."""

    def read(self, name):
        raise KeyError("hunter2-hunter2")


def test_store_that_raises_what_it_may_not_is_named_without_its_text(masker):
    secrets = WorkflowSecrets(CONFIG, Faulty(), masker=masker, store_name="vault")
    with pytest.raises(PluginError) as caught:
        secrets.check()
    assert caught.value.what == (
        "plugin 'secrets.vault': reading the secret 'api-key' raised KeyError"
    )
    assert caught.value.__suppress_context__


def test_value_is_masked_before_a_second_reader_gets_it(store, masker, monkeypatch):
    """While one thread works out the forms of a value, another with it must wait."""
    begun, forms = threading.Event(), masking.secret_forms

    def slow_forms(value):
        begun.set()
        time.sleep(0.2)
        return forms(value)

    monkeypatch.setattr(masking, "secret_forms", slow_forms)
    secrets = secrets_of(store, masker)
    first = threading.Thread(target=secrets.read, args=(KEY_PATH,))
    first.start()
    assert begun.wait(10)
    assert masker.text(secrets.read(KEY_PATH).value) == MASK
    first.join(10)


def test_put_is_masked_in_workflows_that_declare_it_before_it_is_stored(store):
    service = ServiceSecrets(store)
    concerned, other = Masker(), Masker()
    kept = [
        service.of_workflow(CONFIG, masker=concerned),
        service.of_workflow({"key": CONFIG["token"]}, masker=other),
    ]
    seen, put = [], store.put

    def watched_put(name, value):
        seen.append(concerned.text(value))
        return put(name, value)

    store.put = watched_put
    assert service.put("api-key", "value-renewed") == 2
    assert (seen, concerned.text("value-renewed")) == ([MASK], MASK)
    assert other.text("value-renewed") == "value-renewed"
    assert len(kept) == 2


def test_workflow_that_ended_is_forgotten(store):
    service = ServiceSecrets(store)
    service.of_workflow(CONFIG, masker=Masker())
    gc.collect()
    assert len(service._in_progress) == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("api-key", "abc"), ("api-key", "ab\ncd\nef\ngh"), ("api_key", "value-renewed")],
    ids=["short", "short lines", "name"],
)
def test_put_that_is_refused_leaves_the_value_before(store, name, value):
    with pytest.raises(SettingsError):
        ServiceSecrets(store).put(name, value)
    assert store.read("api-key") == SecretValue("value-of-key", "1")


def pipeline(name, **config):
    spec = PipelineSpec(name=name, protocol="a/b:v1.0.0", trigger=Condition(), config=config)
    return Pipeline(id=name, revision=1, spec=spec)


def test_delete_is_refused_while_pipelines_use_the_secret(store):
    users = [
        pipeline("push", key={"secret": "api-key"}),
        pipeline("again", key=CONFIG["key"]),
        pipeline("other", key={"secret": "token"}, x={"secret": "api-key", "more": 1}, y="api-key"),
    ]
    with pytest.raises(SettingsError) as caught:
        ServiceSecrets(store).delete("api-key", pipelines=users)
    assert caught.value.what == "the secret 'api-key' is used by pipelines: 'again', 'push'"
    assert caught.value.hint.startswith("change or delete them first")
    assert store.read("api-key").value == "value-of-key"


def test_delete_removes_a_secret_that_none_uses(store):
    service = ServiceSecrets(store)
    service.delete("api-key", pipelines=[pipeline("other", key={"secret": "token"})])
    assert [info.name for info in service.list()] == ["foreign", "token"]
    with pytest.raises(SecretNotFound):
        service.delete("api-key", pipelines=[])
