"""A secret is shown in no form: as a number, in a writer's own escapes, in a tool's error."""

from __future__ import annotations

import pytest

VALUE = "pw=<hunter2>&'x'+y"
MAIN = """
def number(i, c):
    return {"n": int(c.resolve_secret(i["key"])), "f": 1.5}
def log(i, c):
    value = c.resolve_secret(i["key"])
    for escaped in ("<>&", "<>&'", "<>&='", "<>&'+", value):
        for number in ("%04x", "%04X"):
            text = "".join(chr(92) + "u" + number % ord(x) if x in escaped else x for x in value)
            print('{"level": "info", "message": "got %s."}' % text)
            if escaped != value:
                print("seen %s." % text)
    return "done"
"""
BACKEND = """
from stepline.ports.hookspecs import hookimpl
class Vault:
    def read(self, name):
        raise ValueError("cannot parse 'hunter2-hunter2'")
@hookimpl
def stepline_secret_backend(name, environ):
    return Vault() if name == "vault" else None
"""


@pytest.fixture
def secret_project(project):
    """A project whose task script asks for a secret."""
    project.task_script("s", MAIN, ["number", "log"])
    project.write("in.json", "{}")
    return project


def run(project, function, value, *words, source="env:MY_KEY"):
    project.protocol(
        "p",
        [{"id": "a", "function": f"s/{function}", "input": {"key": "$( config.key )"}}],
        config={"key": {"label": "Key", "type": "secret", "required": True}},
    )
    given = ("--input", "in.json", "--out", "results", "--secret", f"key={source}")
    return project.stepline("run", "protocols/p", *given, *words, MY_KEY=value)


def shown_and_kept(project, result):
    kept = [path.read_text() for path in (project.folder / "results").rglob("*.*")]
    return result.stdout + result.stderr, "".join(kept)


def test_secret_as_a_number_is_masked_in_the_record(secret_project):
    result = run(secret_project, "number", "0081726354")
    assert result.returncode == 0, result.stderr
    shown, kept = shown_and_kept(secret_project, result)
    assert secret_project.record()["output"] == {"n": "***", "f": 1.5}
    assert "81726354" not in shown + kept


def test_secret_in_any_writers_escapes_is_neither_shown_nor_kept(secret_project):
    result = run(secret_project, "log", VALUE)
    assert result.returncode == 0, result.stderr
    shown, kept = shown_and_kept(secret_project, result)
    assert shown.count("INFO got ***.") == 10
    assert shown.count("| seen ***.") == kept.count("seen ***.") == 8
    assert "hunter2" not in shown + kept
    assert "\\u00" not in shown + kept


def test_secret_in_the_output_of_a_failing_hook_is_not_shown(secret_project):
    key = secret_project.write("key.txt", VALUE)
    hook = f"#!/bin/sh\necho the key is $(cat '{key}') >&2\nexit 7\n"
    secret_project.write("task-scripts/s/init/before_install", hook).chmod(0o755)
    result = run(secret_project, "log", "", "--allow-before-install", source=f"file:{key}")
    assert result.returncode == 2
    assert "the key is ***" in result.stderr
    assert "hunter2" not in result.stdout + result.stderr


def test_secret_in_the_exception_of_a_backend_is_not_shown(secret_project, tmp_path):
    info = tmp_path / "site" / "vault-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vault\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[stepline]\nsecrets.vault = vault_module\n")
    (tmp_path / "site" / "vault_module.py").write_text(BACKEND)
    secret_project.environ["PYTHONPATH"] = str(tmp_path / "site")
    result = run(secret_project, "log", "", source="vault:x")
    assert result.returncode == 3
    assert result.stderr.startswith(
        "error: plugin 'secrets.vault': reading the secret 'key' raised ValueError\n  hint: "
    )
    assert "hunter2" not in result.stdout + result.stderr
