"""Plugins by name: found through a kept list that is right even when it is damaged or stale."""

import json
import os
import sys
import types

import pluggy
import pytest

from stepline import bootstrap
from stepline.bootstrap import PluginEntry, Plugins
from stepline.errors import PluginError, SettingsError
from stepline.ports.executor import ExecutorOptions
from stepline.ports.hookspecs import hookimpl
from stepline.settings import Settings

OWN = PluginEntry("secrets.env", "stepline.plugins.secrets_env", "stepline", "1.0")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def scans(monkeypatch):
    """What a scan of all distributions finds; its length in calls is in `scans.count`."""
    found = types.SimpleNamespace(entries=[OWN], count=0)

    def scan():
        found.count += 1
        return list(found.entries)

    monkeypatch.setattr(bootstrap, "_scan_entries", scan)
    return found


def entries(cache):
    return Plugins(cache, {}).entries()


def test_scan_finds_our_own_plugins_as_anybodys():
    found = {entry.name: entry for entry in bootstrap._scan_entries()}
    assert found["executor.process"].target == "stepline.plugins.executor_process"
    assert found["secrets.env"].package == "stepline"
    assert list(found) == sorted(found)


def test_entries_are_scanned_once_while_no_import_folder_changes(cache, scans):
    assert [entries(cache), entries(cache), entries(cache)] == [[OWN]] * 3
    assert scans.count == 1


def test_entries_are_scanned_again_after_a_change_of_an_import_folder(
    cache, scans, tmp_path, monkeypatch
):
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    entries(cache)
    (site / "new.dist-info").mkdir()
    os.utime(site, ns=(1, 1))
    scans.entries.append(PluginEntry("secrets.x", "x", "new", "2"))
    assert [entry.name for entry in entries(cache)] == ["secrets.env", "secrets.x"]
    assert scans.count == 2


def test_entries_are_scanned_again_for_another_import_path(cache, scans, tmp_path, monkeypatch):
    entries(cache)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "not-there")])
    entries(cache)
    assert scans.count == 2


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b"[" * 100_000,
        {"entries": [["one"]]},
        {"entries": [[1, 2, 3, 4]]},
        {"entries": [["secrets.env", "m", "p", None]]},
        {"entries": "abcd"},
        {"entries": None},
    ],
    ids=[
        *("empty", "cut", "not text", "list", "null", "no stamp", "deep"),
        *("short", "numbers", "no version", "text", "no entries"),
    ],
)
def test_entries_damaged_list_is_made_anew(cache, scans, damage):
    entries(cache)
    file = cache / "plugins.json"
    kept = json.loads(file.read_text())
    file.write_bytes(damage if isinstance(damage, bytes) else json.dumps(kept | damage).encode())
    assert entries(cache) == [OWN]
    assert scans.count == 2
    assert entries(cache) == [OWN]
    assert scans.count == 2


def test_entries_cache_that_cannot_be_written_only_costs_time(tmp_path, scans):
    (tmp_path / "cache").write_text("a file in its place")
    assert [entries(tmp_path / "cache")] * 2 == [[OWN]] * 2


def test_entries_list_that_cannot_be_replaced_leaves_nothing_behind(cache, scans):
    (cache / "plugins.json" / "inside").mkdir(parents=True)
    assert entries(cache) == [OWN]
    assert [path.name for path in cache.iterdir()] == ["plugins.json"]


@pytest.fixture
def plugins(cache, scans, monkeypatch):
    """Loads plugins that tests write as modules, by `plugins.add`."""
    made = Plugins(cache, {})
    scans.entries = []

    def add(name, module, **functions):
        each = types.ModuleType(module)
        vars(each).update(functions)
        monkeypatch.setitem(sys.modules, module, each)
        scans.entries.append(PluginEntry(name, module, f"{module}-dist", "3.1"))

    made.add = add
    return made


@hookimpl
def stepline_secret_backend(name, environ):
    """Provides whatever it is asked for."""
    return f"backend {name}"


@hookimpl(specname="stepline_secret_backend")
def provide_nothing(name, environ):
    return None


def test_load_imports_a_plugin_once(plugins):
    plugins.add("secrets.x", "plugin_x", stepline_secret_backend=stepline_secret_backend)
    assert plugins.load("secrets.x") is plugins.load("secrets.x")
    assert plugins.secret_backend("x") == "backend x"


def test_load_attribute_of_a_module(plugins, scans):
    inner = types.SimpleNamespace(stepline_secret_backend=stepline_secret_backend)
    plugins.add("secrets.x", "plugin_x", deep=types.SimpleNamespace(inner=inner))
    scans.entries[0] = scans.entries[0]._replace(target="plugin_x:deep.inner")
    assert plugins.load("secrets.x") is inner


@pytest.mark.parametrize(
    ("name", "hint"),
    [("secrets.y", "use one of: x, z"), ("trigger.y", "see stepline plugins list")],
    ids=["known kind", "unknown kind"],
)
def test_load_unknown_name_names_those_of_its_kind(plugins, name, hint):
    plugins.add("secrets.x", "plugin_x")
    plugins.add("secrets.z", "plugin_z")
    kind = name.partition(".")[0]
    with pytest.raises(SettingsError) as caught:
        plugins.load(name)
    assert caught.value.what == f"no installed package brings a plugin 'y' of kind '{kind}'"
    assert caught.value.hint == hint


def test_load_failing_import_names_plugin_package_and_reason(plugins, scans):
    scans.entries.append(PluginEntry("secrets.x", "no_such_module_here", "x-dist", "3.1"))
    with pytest.raises(PluginError) as caught:
        plugins.load("secrets.x")
    assert caught.value.what.startswith(
        "plugin 'secrets.x' of package x-dist 3.1: cannot be loaded"
    )
    assert "No module named 'no_such_module_here'" in caught.value.what
    assert caught.value.hint == "mend, update or uninstall the package"


def test_load_unknown_hook_is_refused_and_not_kept(plugins):
    @pluggy.HookimplMarker("stepline")
    def stepline_no_such_hook():
        pass

    plugins.add("secrets.x", "plugin_x", stepline_no_such_hook=stepline_no_such_hook)
    for _ in range(2):
        with pytest.raises(PluginError, match="unknown hook 'stepline_no_such_hook'"):
            plugins.load("secrets.x")
    assert plugins.manager.get_plugin("secrets.x") is None


def test_load_name_that_two_packages_bring_is_refused(plugins):
    plugins.add("secrets.x", "plugin_x")
    plugins.add("secrets.x", "plugin_z")
    with pytest.raises(PluginError) as caught:
        plugins.load("secrets.x")
    assert "plugin_x-dist 3.1, plugin_z-dist 3.1" in caught.value.what
    assert caught.value.hint == "uninstall all of them but one"


def test_provider_that_gives_nothing_is_at_fault(plugins):
    plugins.add("secrets.x", "plugin_x", stepline_secret_backend=provide_nothing)
    with pytest.raises(PluginError) as caught:
        plugins.secret_backend("x")
    assert caught.value.what == (
        "plugin 'secrets.x' of package plugin_x-dist: its stepline_secret_backend gave nothing"
    )


def test_executor_gets_options_cache_and_environment(plugins, cache):
    def stepline_executor(name, options, cache_dir, environ):
        return (name, options, cache_dir, environ)

    plugins.add("executor.x", "plugin_x", stepline_executor=hookimpl(stepline_executor))
    name, options, *others = plugins.executor("x", ExecutorOptions({"TZ": "UTC"}))
    assert (name, options.task_env, others) == ("x", {"TZ": "UTC"}, [cache, {}])
    assert (options.images, options.engine) == (plugins.images, plugins.engine)


@pytest.mark.parametrize("by_option", [True, False])
@pytest.mark.parametrize("by_setting", [True, False])
def test_images_let_hooks_run_here_where_the_setting_or_the_command_does(
    plugins, cache, by_setting, by_option
):
    def stepline_executor(name, options, cache_dir, environ):
        return options

    def stepline_images(name, options, environ):
        return options

    plugins.add("executor.x", "plugin_x", stepline_executor=hookimpl(stepline_executor))
    plugins.add("images.local", "plugin_y", stepline_images=hookimpl(stepline_images))
    made = Plugins(cache, {}, Settings(allow_before_install=by_setting))
    given = made.executor("x", ExecutorOptions(allow_before_install=by_option))
    assert given.images().allow_before_install is (by_setting or by_option)


def test_observers_are_all_told_and_their_faults_are_named(plugins):
    told = []

    @hookimpl(specname="stepline_workflow_finished")
    def good(record):
        told.append(record)

    @hookimpl(specname="stepline_workflow_finished")
    def bad(record):
        told.append(record)
        raise RuntimeError("no network")

    plugins.add("observer.a", "plugin_a", good=good)
    plugins.add("observer.b", "plugin_b", bad=bad)
    plugins.add("observer.c", "plugin_c", good=good)
    plugins.load_all(["observer.a", "observer.b", "observer.c"])
    assert plugins.workflow_finished({"id": "w"}) == [
        "plugin 'observer.b': RuntimeError('no network')"
    ]
    assert told == [{"id": "w"}] * 3
