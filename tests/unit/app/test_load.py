"""Loading through the cache of what was validated before."""

import json
import os
import subprocess
import sys

import pytest

from stepline.app import load, validation_cache
from stepline.app.load import load_manifest, load_protocol, load_task_script, restore_protocol

PROTOCOL = """\
protocolSchema: v3
config: {user: {label: User, type: string}}
steps:
  - id: a
    task: {namespace: common, slug: s, version: 1.0.0, function: f}
    input: {who: $( config.user )}
"""
CONFIG = {"language": "python", "functions": [{"slug": "f", "function": "main.f"}]}
MANIFEST = {"type": "protocol", "namespace": "common", "slug": "p", "version": "v1.0.0"}


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def protocol(tmp_path):
    path = tmp_path / "protocol.yml"
    path.write_text(PROTOCOL)
    return path


def entries(cache):
    return sorted((cache / "validated").iterdir())


def large_file(path):
    path.touch()
    os.truncate(path, 50 * 2**20)


def forbid_parsing(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("parsed again")

    monkeypatch.setattr("stepline.parsing.protocol.parse_protocol", refuse)
    monkeypatch.setattr("stepline.parsing.task_script.parse_config", refuse)
    monkeypatch.setattr("stepline.parsing.manifest.parse_manifest", refuse)


def test_load_protocol_unchanged_is_not_parsed_again(protocol, cache, monkeypatch):
    first = load_protocol(protocol, cache)
    forbid_parsing(monkeypatch)
    assert load_protocol(protocol, cache) == first
    assert first.value.steps[0].task.version == "v1.0.0"


def test_load_task_script_and_manifest_unchanged_are_not_parsed_again(tmp_path, cache, monkeypatch):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST))
    script = load_task_script(tmp_path, cache)
    manifest = load_manifest(tmp_path / "manifest.json", cache)
    forbid_parsing(monkeypatch)
    assert load_task_script(tmp_path, cache) == script
    assert load_manifest(tmp_path / "manifest.json", cache) == manifest
    assert script.value.functions[0].function == "main.f"


def test_load_protocol_same_content_elsewhere_has_its_own_places(protocol, cache, monkeypatch):
    load_protocol(protocol, cache)
    forbid_parsing(monkeypatch)
    other = protocol.with_name("other.yml")
    other.write_text(PROTOCOL)
    parsed = load_protocol(other, cache)
    assert parsed.path == str(other)
    assert {problem.where.path for problem in parsed.problems} == {str(other)}
    assert str(parsed.locate("steps[0].task.slug")) == f"{other}:5:37"


def test_load_protocol_with_errors_keeps_problems_and_sound_steps(protocol, cache, monkeypatch):
    protocol.write_text(PROTOCOL + "    if: yes\n")
    first = load_protocol(protocol, cache)
    forbid_parsing(monkeypatch)
    again = load_protocol(protocol, cache)
    assert again == first
    assert again.value is None
    assert [step.id for step in again.steps] == ["a"]


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b'{"value": 1}', b'{"value": {}, "problems": 5}', b"\xff", b"null"],
)
def test_load_protocol_damaged_entry_is_ignored_and_mended(protocol, cache, damage):
    first = load_protocol(protocol, cache)
    (entry,) = entries(cache)
    whole = entry.read_bytes()
    entry.write_bytes(damage)
    assert load_protocol(protocol, cache) == first
    assert entry.read_bytes() == whole


def test_load_protocol_of_another_version_of_ours_is_parsed_again(protocol, cache, monkeypatch):
    load_protocol(protocol, cache)
    monkeypatch.setattr(validation_cache, "fingerprint", lambda: "another")
    load_protocol(protocol, cache)
    assert len(entries(cache)) == 2


def test_fingerprint_changes_with_the_code_that_judges():
    assert validation_cache.fingerprint().startswith("0.")
    assert int(validation_cache.fingerprint().split(":")[1]) > 0


def test_load_protocol_unwritable_cache_goes_on_without(protocol, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    assert load_protocol(protocol, blocked).value is not None


def test_load_protocol_leaves_no_drafts_in_the_cache(protocol, cache):
    load_protocol(protocol, cache)
    assert [path.suffix for path in entries(cache)] == [".json"]


def test_cache_full_of_entries_drops_the_older_half(protocol, cache, monkeypatch):
    monkeypatch.setattr(validation_cache, "MAX_ENTRIES", 4)
    for index in range(7):
        protocol.write_text(PROTOCOL + f"name: n{index}\n")
        load_protocol(protocol, cache)
        os.utime(entries(cache)[0], (index, index))
    assert len(entries(cache)) <= 4


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (lambda path: None, "no-such-file", "there is no such file"),
        (lambda path: path.mkdir(), "not-a-file", "a folder"),
        (os.mkfifo, "not-a-file", "not a plain file"),
        (lambda path: path.write_bytes(b"a: \xff"), "not-utf8", "0xff"),
        (large_file, "file-too-large", "52,428,800 bytes"),
    ],
    ids=["missing", "folder", "pipe", "not text", "50 MB"],
)
def test_load_protocol_file_that_cannot_be_read_says_why(tmp_path, cache, make, code, words):
    path = tmp_path / "protocol.yml"
    make(path)
    (problem,) = load_protocol(path, cache).problems
    assert (problem.code, problem.where.path) == (code, str(path))
    assert words in problem.message


def test_restore_protocol_from_a_document_needs_no_check():
    document = {"protocolSchema": "v3", "steps": [], "onFailed": None}
    restored = restore_protocol(document)
    assert (restored.steps, restored.has_on_failed) == ((), True)


def test_load_protocol_warm_imports_neither_yaml_nor_schemas(protocol, cache):
    load_protocol(protocol, cache)
    code = (
        "import sys; from pathlib import Path; from stepline.app.load import load_protocol\n"
        "parsed = load_protocol(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "print(parsed.value is not None, *(m for m in ('yaml', 'jsonschema', 'difflib', "
        "'asyncio', 'importlib.metadata', 'click') if m in sys.modules))"
    )
    words = [sys.executable, "-c", code, str(protocol), str(cache)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["True"]


def test_read_source_unreadable_file_names_the_reason(tmp_path, monkeypatch):
    path = tmp_path / "protocol.yml"
    path.write_text("x")

    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "read_bytes", refuse)
    _, problem = load.read_source(path)
    assert problem.code == "unreadable"
    assert "Permission denied" in problem.message
