"""Each hook, as our own plugins implement it; `tests/docs` sees that none is left out."""

import contextlib
from pathlib import Path

import pytest

from stepline.bootstrap import Plugins
from stepline.errors import PlatformError, SettingsError
from stepline.plugins import (
    engine_docker,
    executor_process,
    files_local,
    images_local,
    registry_ecr,
    secrets_encrypted,
    secrets_env,
    state_sql,
    watch_folder,
)
from stepline.ports.executor import ExecutorOptions, LogLine
from stepline.ports.hookspecs import hookimpl
from stepline.settings import RegistryLogin, Settings


@pytest.fixture
def plugins(tmp_path):
    return Plugins(tmp_path / "cache", {"PATH": "/usr/bin", "MY_KEY": "secret-value"})


def test_stepline_executor_gives_the_executor_of_its_name(plugins, tmp_path):
    executor = plugins.executor("process", ExecutorOptions())
    try:
        assert executor.name == "process"
    finally:
        executor.close()
    others = {"options": ExecutorOptions(), "cache_dir": tmp_path, "environ": {}}
    assert executor_process.stepline_executor("other", **others) is None


def test_stepline_secret_backend_gives_the_backend_of_its_name(plugins):
    assert plugins.secret_backend("env").read("MY_KEY").value == "secret-value"
    assert secrets_env.stepline_secret_backend("other", environ={}) is None


def test_stepline_secret_store_gives_the_store_of_its_name(plugins, tmp_path):
    store = plugins.secret_store("encrypted", tmp_path / "secrets")
    assert store.put("my-key", "secret-value") == 1
    assert plugins.secret_store("encrypted", tmp_path / "secrets").read("my-key").version == "1"
    other = {"folder": tmp_path, "environ": {}}
    assert secrets_encrypted.stepline_secret_store("other", **other) is None


def test_stepline_images_gives_those_of_the_folder_that_settings_name(tmp_path):
    settings = Settings(images_dir=str(tmp_path / "images"))
    images = Plugins(tmp_path / "cache", {}, settings).images()
    assert (list(images.builds()), list(images.bases())) == ([], [])
    assert images_local.stepline_images("other", options=None, environ={}) is None


def test_stepline_engine_gives_one_that_is_connected_when_it_is_used(tmp_path):
    socket = tmp_path / "none.sock"
    engine = Plugins(tmp_path / "cache", {"DOCKER_HOST": f"unix://{socket}"}).engine()
    assert engine.name == "docker"
    with pytest.raises(PlatformError, match=r"none\.sock"):
        engine.images()
    assert engine_docker.stepline_engine("other", environ={}) is None


def test_stepline_registry_credential_gives_a_source_for_its_kind():
    login = RegistryLogin(user="AKIA", kind="ecr", region="eu-test-1")
    given = {"host": "registry.example", "login": login, "environ": {}}
    source = registry_ecr.stepline_registry_credential(kind="ecr", secret="a-secret", **given)
    assert callable(source)
    assert registry_ecr.stepline_registry_credential(kind="other", secret="", **given) is None


def test_registry_kind_without_a_plugin_is_refused(tmp_path):
    settings = Settings(registries={"reg.example": RegistryLogin(kind="nobodys")})
    with pytest.raises(SettingsError, match=r"'registry\.nobodys'|plugin 'nobodys'"):
        Plugins(tmp_path, {}, settings).credential("reg.example/a:v1")


@pytest.mark.parametrize("backend", ["env", "secret"])
def test_credential_takes_its_secret_from_where_settings_say(tmp_path, backend):
    login = RegistryLogin(user="robot", secret=f"{backend}:my-key")
    plugins = Plugins(tmp_path, {"my-key": "value-of-env"}, Settings(registries={"r.io": login}))
    plugins.stored_secrets = plugins.secret_store("encrypted", tmp_path / "secrets")
    plugins.stored_secrets.put("my-key", "value-of-secret")
    assert plugins.credential("r.io/a:v1").password == f"value-of-{backend}"
    assert plugins.credential("other.io/a:v1") is None


def test_credential_of_a_stored_secret_without_a_store_says_what_to_do(tmp_path):
    login = RegistryLogin(user="robot", secret="secret:my-key")
    plugins = Plugins(tmp_path, {}, Settings(registries={"r.io": login}))
    with pytest.raises(SettingsError, match=r"r\.io cannot be logged in to") as caught:
        plugins.credential("r.io/a:v1")
    assert "env:NAME" in caught.value.hint


def test_stepline_local_lake_gives_files_over_the_folder(plugins, tmp_path):
    (tmp_path / "in.json").write_text("{}")
    lake = plugins.local_lake(tmp_path / "files")
    record = lake.add_input(tmp_path / "in.json")
    assert lake.catalog.latest(record.pointer.key) == record
    assert files_local.stepline_local_lake("other", folder=tmp_path) is None


def test_stepline_file_store_gives_a_durable_store_over_the_folder(plugins, tmp_path):
    store = plugins.file_store(tmp_path / "home" / "files")
    (tmp_path / "in").write_text("abc")
    area = store.staging()
    blob = area.add(str(tmp_path / "in"))
    area.publish()
    assert (store.verify(blob.name), store.durable) == (True, True)
    assert store.local_path(blob.name).startswith(str(tmp_path / "home" / "files"))
    assert files_local.stepline_file_store("other", folder=tmp_path) is None


def test_stepline_log_store_gives_logs_in_the_folder(plugins, tmp_path):
    logs = plugins.log_store(tmp_path / "home" / "logs")
    writer = logs.writer("w-1", step=0, attempt=1)
    writer.add([LogLine(1.0, "out", "hello")])
    writer.close()
    assert logs.attempts("w-1") == [(0, 1)]
    assert list((tmp_path / "home" / "logs").rglob("*.jsonl"))
    assert files_local.stepline_log_store("other", folder=tmp_path) is None


def test_stepline_schema_source_gives_the_schemas_of_the_folder(plugins, tmp_path):
    assert plugins.schema_source(tmp_path).schema
    with pytest.raises(SettingsError, match="there is no folder"):
        plugins.schema_source(tmp_path / "none")
    assert files_local.stepline_schema_source("other", folder=tmp_path) is None


def test_stepline_folder_watcher_gives_the_watcher_of_its_name(plugins, tmp_path):
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "a.csv").write_text("1")
    files = []
    watcher = plugins.folder_watcher(tmp_path / "drop", files.extend)
    watcher.start()
    try:
        watcher.rescan()
    finally:
        watcher.stop()
    assert [(file.relative, file.size) for file in files] == [("a.csv", 1)]
    assert watch_folder.stepline_folder_watcher("other", folder=tmp_path, found=print) is None


def test_stepline_state_opens_the_database_of_the_url(plugins, tmp_path):
    with contextlib.closing(plugins.state(f"sqlite:///{tmp_path}/state.db")) as state:
        state.write(lambda transaction: transaction.values.set("a", "b", value=1))
        with state.read() as view:
            assert view.values.get("a", "b") == 1
    assert state_sql.stepline_state("postgresql://localhost/a") is None


@pytest.mark.parametrize("url", ["", "state.db", "sqlite:", "sqlite:///", "sqlite:///:memory:"])
def test_stepline_state_url_that_names_no_file_is_refused(plugins, url):
    with pytest.raises(SettingsError, match="does not name") as raised:
        plugins.state(url)
    assert "sqlite:///" in raised.value.hint


def test_stepline_workflow_finished_tells_every_observer(plugins):
    told = []

    class Observer:
        @hookimpl
        def stepline_workflow_finished(self, record):
            told.append(record["status"])

    for name in ("observer.a", "observer.b"):
        plugins.manager.register(Observer(), name=name)
    assert plugins.workflow_finished({"status": "failed"}) == []
    assert told == ["failed", "failed"]


def test_hook_that_was_loaded_last_is_asked_first(plugins):
    class Greedy:
        @hookimpl
        def stepline_secret_backend(self, name):
            return f"greedy {name}"

    plugins.load("secrets.env")
    plugins.manager.register(Greedy(), name="secrets.greedy")
    assert plugins.secret_backend("env") == "greedy env"


def test_every_built_in_plugin_loads(plugins):
    own = [entry for entry in plugins.entries() if entry.package == "stepline"]
    plugins.load_all(entry.name for entry in own)
    modules = {Path(entry.target.replace(".", "/")).name for entry in own}
    folder = Path(executor_process.__file__).parents[1]
    assert modules == {path.stem for path in folder.iterdir() if not path.name.startswith("_")}
