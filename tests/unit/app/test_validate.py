"""Validation of files and folders, alone and against one another."""

import json

import pytest

from stepline.app.validate import validate_paths

PROTOCOL = """\
protocolSchema: v3
steps:
  - id: a
    task: {namespace: private-me, slug: clean, version: v1.0.0, function: run}
"""
CONFIG = {
    "language": "python",
    "runtime": "python3.11",
    "functions": [{"slug": "run", "function": "main.run"}],
}
MANIFEST = {
    "type": "task-script",
    "namespace": "private-me",
    "slug": "clean",
    "version": "v1.0.0",
}
PIPELINE = """\
name: Clean
protocol: private-me/clean:v1.0.0
trigger: {all: [category is raw, any: [labels.plate exists]]}
steps: {a: {memory_mb: 64}}
"""
PIPELINE_JSON = json.dumps({"name": "P", "protocol": "common/p:v1.0.0", "trigger": "tags exists"})


class Project:
    """A folder with one protocol and one task script, all valid."""

    def __init__(self, folder):
        self.folder = folder / "project"
        self.cache = folder / "cache"
        self.write("protocols/p/protocol.yml", PROTOCOL)
        self.write("task-scripts/clean/config.json", json.dumps(CONFIG))
        self.write("task-scripts/clean/manifest.json", json.dumps(MANIFEST))
        self.write("task-scripts/clean/main.py", "def run(input, context):\n    return 1\n")
        self.write("task-scripts/clean/requirements.txt", "")

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def script(self, **changes):
        self.write("task-scripts/clean/config.json", json.dumps({**CONFIG, **changes}))

    def reports(self, *names):
        paths = [self.folder / name for name in names] or [self.folder]
        return validate_paths(paths, self.cache)

    def problems(self, *names):
        return [problem for report in self.reports(*names) for problem in report.problems]

    def codes(self, *names):
        return [problem.code for problem in self.problems(*names)]


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def test_validate_paths_valid_project_reports_every_file(project):
    reports = project.reports()
    names = [report.path.removeprefix(str(project.folder)) for report in reports]
    assert names == [
        "/protocols/p/protocol.yml",
        "/task-scripts/clean/config.json",
        "/task-scripts/clean/manifest.json",
    ]
    assert all(report.valid and report.problems == () for report in reports)


def test_validate_paths_leaves_foreign_folders_out(project):
    for home in (".git", "node_modules/x", "a/venv", "b/__pycache__", "env"):
        project.write(f"{home}/protocol.yml", "broken: [")
    project.write("env/pyvenv.cfg", "")
    project.write("web/config.json", '{"port": 80}')
    project.write("web/manifest.json", '{"name": "app"}')
    assert len(project.reports()) == 3


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("mine.yml", PROTOCOL, "protocol"),
        ("mine.json", '{"protocolSchema": "v3", "steps": []}', "protocol"),
        ("protocol.json", '{"protocolSchema": "v3", "steps": []}', "protocol"),
        ("manifest.json", json.dumps({**MANIFEST, "type": "ids"}), "manifest"),
        ("mine.json", json.dumps(CONFIG), "config"),
        ("mine.json", json.dumps({**MANIFEST, "type": "ids"}), "manifest"),
        ("mine.yml", PIPELINE, "pipeline"),
        ("mine.yaml", "---\n" + PIPELINE.replace("\n", " # a\n"), "pipeline"),
        ("mine.yml", "  " + PIPELINE.replace("\n", "\n  "), "pipeline"),
        ("mine.yml", PIPELINE_JSON, "pipeline"),
        ("mine.json", PIPELINE_JSON, "pipeline"),
    ],
)
def test_validate_paths_file_by_itself_is_taken_by_its_content(project, name, text, kind):
    project.write(f"other/{name}", text)
    (report,) = project.reports(f"other/{name}")
    assert (report.kind.value, report.problems) == (kind, ())


def test_validate_paths_pipeline_reports_all_problems_with_places_and_hints(project):
    text = PIPELINE.replace("is raw", "si raw").replace("me/clean", "me").replace("mory_", "mry_")
    path = project.write("pipelines/clean.yml", text)
    for _ in range(2):  # the second time from what is kept
        (report,) = project.reports("pipelines/clean.yml")
        found = [(str(each.where).removeprefix(f"{path}:"), each.code) for each in report.problems]
        assert found == [
            ("2:11", "invalid-protocol"),
            ("3:26", "unknown-operator"),
            ("4:13", "unknown-key"),
        ]
        assert all(each.hint for each in report.problems)


@pytest.mark.parametrize(
    ("name", "text", "key"),
    [
        ("pipelines/x.yml", "nmae: P\nprotocl: a/b:v1.0.0\n", "nmae"),
        ("other/x.yml", "nmae: P\ntrigger: tags exists\n", "nmae"),
        ("pipelines/x.json", '{"protocl": 1}', "protocl"),
        ("pipelines/x.yml", "protocolSchema: v3\nstpes: []\n", "stpes"),
        ("other/x.yml", "protocolSchema: v3\ntrigger: {}\nsteps: []\n", "trigger"),
    ],
    ids=["by its folder", "by a key", "JSON by its folder", "protocol", "protocol by its key"],
)
def test_validate_paths_broken_file_is_taken_for_what_it_is_most_like(project, name, text, key):
    project.write(name, text)
    (report,) = project.reports(name)
    assert report.kind.value == ("protocol" if "protocolSchema" in text else "pipeline")
    assert key in next(each.message for each in report.problems if each.code == "unknown-key")


def test_validate_paths_same_file_twice_is_reported_once(project):
    name = "protocols/p/protocol.yml"
    assert len(project.reports(name, name)) == 1


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("nowhere", "no-such-file"),
        ("empty", "nothing-found"),
        ("a.txt", "unknown-file"),
        ("b.json", "json-syntax"),
        ("c.json", "unknown-file"),
        ("large.json", "file-too-large"),
    ],
)
def test_validate_paths_nothing_to_validate_is_an_error(project, name, code):
    (project.folder / "empty").mkdir()
    project.write("a.txt", "x")
    project.write("b.json", "[")
    project.write("c.json", "{}")
    project.write("large.json", "{}" + " " * 2**21)
    (report,) = project.reports(name)
    assert (report.kind, report.valid) == (None, False)
    assert [problem.code for problem in report.problems] == [code]


def test_acceptance_3_09_unknown_slug_is_refused_with_those_that_exist(project):
    project.write("protocols/p/protocol.yml", PROTOCOL.replace("function: run", "function: rnu"))
    (problem,) = project.problems()
    assert (problem.code, problem.severity) == ("unknown-function", "error")
    assert (problem.where.line, problem.where.column) == (4, 75)
    assert problem.hint == "did you mean 'run'? it exposes 'run'"


def test_acceptance_3_12_unknown_name_fails_with_line_and_column(project):
    project.write("protocols/p/protocol.yml", PROTOCOL + "    input: {x: $( config.usr )}\n")
    (problem,) = project.problems()
    assert (problem.code, problem.severity) == ("unknown-member", "error")
    assert (problem.where.line, problem.where.column) == (5, 26)


@pytest.mark.parametrize(
    "line",
    [
        "Updating dependencies",
        "Resolving dependencies...",
        "Resolving dependencies... (1.2s)",
        "Creating virtualenv x-Vi2u4BIR-py3.11 in /home/me/.cache/pypoetry/virtualenvs",
        "Writing lock file",
        "The lock file does not exist. Locking.",
        'The "poetry-plugin-export" plugin is not installed by default',
        "Warning: poetry-plugin-export will not be installed by default",
    ],
)
def test_acceptance_3_05_progress_of_poetry_is_refused_with_its_line(project, line):
    project.write("task-scripts/clean/requirements.txt", f"six==1.17.0\n{line}\nidna==3\n")
    (problem,) = project.problems()
    assert (problem.code, problem.severity) == ("poetry-output", "error")
    assert problem.where.path.endswith("clean/requirements.txt")
    assert (problem.where.line, problem.where.column) == (2, 1)
    assert "what Poetry prints" in problem.message
    assert "poetry export --output" in problem.hint


def test_acceptance_3_06_runtime_is_refused_by_name_or_warned_of(project):
    project.script(runtime="python3.6")
    (problem,) = project.problems()
    assert (problem.severity, "'python3.6'" in problem.message) == ("error", True)
    project.write("task-scripts/clean/config.json", json.dumps({**CONFIG, "runtime": "python3.13"}))
    assert project.codes() == []


@pytest.mark.parametrize(
    ("name", "text", "code", "severity"),
    [
        ("main.py", "def rn(input, context): ...\n", "no-function", "error"),
        ("main.py", "def run(input): ...\n", "function-arguments", "warning"),
        ("main.py", "def run(input, context, more): ...\n", "function-arguments", "warning"),
        ("main.py", "def run(input, context, *, key): ...\n", "function-arguments", "warning"),
        ("main.py", "async def run(input, context): ...\n", "coroutine", "warning"),
        ("main.py", "def run(input, context:\n", "broken-module", "error"),
        ("main.py", "match 1:\n  case 1: pass\ndef run(a, b): ...\n", None, None),
        ("main.py", "x = " + "(" * 5000 + ")" * 5000, "broken-module", "error"),
    ],
)
def test_validate_paths_module_is_read_without_import(project, name, text, code, severity):
    project.write(f"task-scripts/clean/{name}", text)
    found = [(problem.code, problem.severity) for problem in project.problems()]
    assert found == ([(code, severity)] if code else [])


@pytest.mark.parametrize(
    "text",
    [
        "from other import run\n",
        "from other import *\n",
        "import other as run\n",
        "run = lambda input, context: 1\n",
        "class run:\n    def __init__(self, a, b): ...\n",
        "def run(*args): ...\n",
        "def run(a, b=1, c=2): ...\n",
        "try:\n    import fast\nexcept ImportError:\n    def run(a, b): ...\n",
        "if True:\n    def run(a, b): ...\n",
        "@wrapped\ndef run(): ...\n",
        "def __getattr__(name): ...\n",
        "raise SystemExit\ndef run(a, b): ...\n",
    ],
)
def test_validate_paths_function_that_may_be_defined_is_accepted(project, text):
    project.write("task-scripts/clean/main.py", text)
    assert project.codes() == []


def test_validate_paths_syntax_newer_than_the_runtime_is_refused(project):
    project.script(runtime="python3.7")
    project.write("task-scripts/clean/main.py", "def run(a, b):\n    return (x := 1)\n")
    (problem,) = project.problems()
    assert problem.code == "broken-module"
    assert "not valid Python 3.7" in problem.message
    assert problem.where.line == 2


@pytest.mark.parametrize(
    ("requirements", "severity"), [("", "error"), ("# none\n", "error"), ("mylib==1\n", "warning")]
)
def test_validate_paths_missing_module_names_the_nearest(project, requirements, severity):
    project.write("task-scripts/clean/requirements.txt", requirements)
    project.script(functions=[{"slug": "run", "function": "mian.run"}])
    (problem,) = project.problems()
    assert (problem.code, problem.severity) == ("no-module", severity)
    assert problem.where.path.endswith("config.json")
    assert "'main'" in problem.hint


def test_validate_paths_module_in_a_package_is_found(project):
    project.write("task-scripts/clean/pkg/__init__.py", "")
    project.write("task-scripts/clean/pkg/mod.py", "def run(a, b): ...\n")
    project.script(functions=[{"slug": "run", "function": "pkg.mod.run"}])
    assert project.codes() == []


def test_validate_paths_no_requirements_is_refused(project):
    (project.folder / "task-scripts/clean/requirements.txt").unlink()
    (problem,) = project.problems()
    assert (problem.code, problem.hint) == ("no-requirements", "add one; it may be empty")


def test_validate_paths_unchanged_folder_is_not_checked_again(project, monkeypatch):
    project.write("task-scripts/clean/main.py", "def rn(a, b): ...\n")
    first = project.problems()

    def refuse(*_):
        raise AssertionError("checked again")

    monkeypatch.setattr("stepline.app.script_checks.check_folder", refuse)
    assert project.problems() == first
    project.write("task-scripts/clean/main.py", "def run(a, b): ...\n")
    with pytest.raises(AssertionError, match="checked again"):
        project.problems()


def test_validate_paths_unknown_task_script_warns_with_the_nearest(project):
    project.write("protocols/p/protocol.yml", PROTOCOL.replace("slug: clean", "slug: claen"))
    (problem,) = project.problems()
    assert (problem.code, problem.severity) == ("no-task-script", "warning")
    assert problem.hint == "did you mean 'clean'? there are 'clean'"


def test_validate_paths_protocol_without_project_is_not_linked(tmp_path):
    path = tmp_path / "protocol.yml"
    path.write_text(PROTOCOL)
    (report,) = validate_paths([path], tmp_path / "cache")
    assert report.problems == ()


@pytest.mark.parametrize(
    ("changes", "code", "severity"),
    [
        ({"type": "protocol"}, "wrong-kind", "error"),
        ({"version": "v2.0.0"}, "other-version", "warning"),
        ({"namespace": "common"}, "other-version", "warning"),
    ],
)
def test_validate_paths_manifest_of_a_script_is_compared(project, changes, code, severity):
    manifest = json.dumps({**MANIFEST, **changes})
    project.write("task-scripts/clean/manifest.json", manifest)
    assert [(p.code, p.severity) for p in project.problems()] == [(code, severity)]


def test_validate_paths_manifest_of_a_protocol_holds_against_it(project):
    project.write("protocols/p/protocol.yml", PROTOCOL + "slug: other\n")
    manifest = json.dumps({**MANIFEST, "type": "protocol"})
    project.write("protocols/p/manifest.json", manifest)
    (problem,) = project.problems("protocols")
    assert (problem.code, problem.severity) == ("other-identity", "warning")
    assert "'other' here and 'clean' in manifest.json" in problem.message
    assert (problem.where.line, problem.where.column) == (5, 7)


def test_validate_paths_old_protocol_beside_the_new_one_only_warns(project):
    old = project.write("protocols/p/protocol.json", '{"protocolSchema": "v2"}')
    assert [(p.code, p.severity) for p in project.problems()] == [("protocol-v2", "warning")]
    (old.parent / "protocol.yml").unlink()
    assert [(p.code, p.severity) for p in project.problems()] == [("protocol-v2", "error")]
