"""Each hook, as our own plugins implement it; `tests/docs` sees that none is left out."""

from pathlib import Path

import pytest

from stepline.bootstrap import Plugins
from stepline.errors import SettingsError
from stepline.plugins import (
    executor_process,
    files_local,
    secrets_encrypted,
    secrets_env,
    watch_folder,
)
from stepline.ports.executor import ExecutorOptions
from stepline.ports.hookspecs import hookimpl


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


def test_stepline_local_lake_gives_files_over_the_folder(plugins, tmp_path):
    (tmp_path / "in.json").write_text("{}")
    lake = plugins.local_lake(tmp_path / "files")
    record = lake.add_input(tmp_path / "in.json")
    assert lake.catalog.latest(record.pointer.key) == record
    assert files_local.stepline_local_lake("other", folder=tmp_path) is None


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
