"""The fixtures for authors, each in a small project of its own."""

import json
import subprocess
import sys
import textwrap
from xml.etree import ElementTree

import pytest

import stepline.testing

MAIN = """
    import os, sys, tempfile
    from datetime import datetime
    from pathlib import Path

    import helper

    COUNT = []


    def read(input, context):
        return {"text": context.read_file(input["file"])["body"].decode()}


    def read_anyway(input, context):
        try:
            return read(input, context)
        except FileNotFoundError:
            return {"text": "nothing"}


    def read_whatever(input, context):
        try:
            return read(input, context)
        except BaseException:
            return {"text": "nothing"}


    def write(input, context):
        context.write_file(
            "one", "out.txt", "PROCESSED", custom_metadata={"a": "b"}, custom_tags=["t"],
            labels=[{"name": "n", "value": "v"}],
        )
        if input.get("fail"):
            raise RuntimeError("after writing")
        context.add_labels(context.input_file, [{"name": "seen", "value": "yes"}])


    def secret(input, context):
        try:
            value = context.resolve_secret(input["key"])
        except Exception:
            value = None
        print("got", value)
        return {"length": value and len(value)}


    def give(input, context):
        kinds = {
            "none": None, "tuple": (1, {2: 3}), "time": datetime(2020, 1, 1), "nan": float("nan"),
            "input": input, "config": context.pipeline_config,
        }
        return kinds[input.get("kind", "input")]


    def fail(input, context):
        if input.get("exit"):
            sys.exit(input["exit"])
        raise helper.Trouble("no such luck")


    def surroundings(input, context):
        COUNT.append(1)
        Path("made.txt").write_text("x")
        os.environ["LEFT"] = "behind"
        Path(tempfile.mkdtemp(), "y").write_text("y")
        return {
            "entries": sorted(os.listdir(".")),
            "bundled": Path("func/config.json").exists(),
            "tmp": tempfile.gettempdir() == os.environ["TMPDIR"] == context.tmp_dir,
            "count": len(COUNT),
            "env": os.environ.get("GIVEN"),
            "helper": helper.NAME,
        }
"""
HELPER = """
    NAME = "the script's own"


    class Trouble(LookupError):
        pass
"""
PROTOCOL = """
    protocolSchema: v3
    config:
      words: {label: Words, type: string, required: true}
      count: {label: Count, type: number, default: 1}
      key: {label: Key, type: secret}
    steps:
      - id: give
        task: &task {namespace: private-demo, slug: script, version: v1.0.0, function: give}
        input: {words: $( config.words ), count: $( config.count )}
      - id: secret
        if: $( not(isNull(config.key)) )
        task: {<<: *task, function: secret}
        input: {key: $( config.key )}
      - id: fail
        continueOnError: true
        task: {<<: *task, function: fail}
      - id: write
        task: {<<: *task, function: write}
    successWhen: $( steps.write.isSuccess )
"""


@pytest.fixture
def project(tmp_path, monkeypatch, stepline_cache):
    """A project of its own for one test."""
    monkeypatch.setenv("STEPLINE_CACHE_DIR", str(stepline_cache))
    return make_project(tmp_path / "project")


def make_project(folder):
    """Write a project with one task script and one protocol; return its folder."""
    script = folder / "task-scripts/script"
    add_script(script, MAIN)
    script.joinpath("helper.py").write_text(textwrap.dedent(HELPER))
    # YAML's merge keys stand for what they say, so that the text above stays short.
    merged = "namespace: private-demo, slug: script, version: v1.0.0"
    document = textwrap.dedent(PROTOCOL).replace("&task ", "").replace("<<: *task", merged)
    for path, text in {"protocols/all/protocol.yml": document, "data/in.txt": "input"}.items():
        folder.joinpath(path).parent.mkdir(parents=True)
        folder.joinpath(path).write_text(text)
    folder.joinpath("tests").mkdir()
    return folder


def add_script(folder, main):
    """Write a task script that exposes each of its functions, without a runtime."""
    source = textwrap.dedent(main)
    names = [line.split("(")[0][4:] for line in source.splitlines() if line.startswith("def ")]
    functions = [{"slug": name.replace("_", "-"), "function": f"main.{name}"} for name in names]
    folder.mkdir(parents=True)
    folder.joinpath("main.py").write_text(source)
    config = {"language": "python", "runtime": runtime(), "functions": functions}
    folder.joinpath("config.json").write_text(json.dumps(config))
    folder.joinpath("requirements.txt").touch()
    identity = {"namespace": "private-demo", "slug": folder.name, "version": "v1.0.0"}
    folder.joinpath("manifest.json").write_text(json.dumps({"type": "task-script", **identity}))


def runtime():
    return f"python3.{sys.version_info.minor}"


FIXTURES = "run_function, run_protocol, files, secrets, context, script_module, capsys"


def run(project, *bodies):
    """Run tests with these bodies in one session; return outcome and text of each."""
    source = "import json, os, sys\nimport pytest\n"
    for number, body in enumerate(bodies):
        indented = textwrap.indent(textwrap.dedent(body), "    ")
        source += f"\ndef test_{number}({FIXTURES}):\n{indented}\n"
    (project / "tests/test_it.py").write_text(source)
    report = project / "report.xml"
    command = [sys.executable, "-m", "pytest", "-pno:cacheprovider", f"--junitxml={report}"]
    done = subprocess.run(
        command, cwd=project, capture_output=True, text=True, timeout=120, check=False
    )
    assert report.exists(), done.stdout + done.stderr
    return [outcome(case) for case in ElementTree.parse(report).iter("testcase")]


def outcome(case):
    """Return how a test of a JUnit report ended, and its text."""
    kinds = {"failure": "failed", "error": "error", "skipped": "skipped"}
    for part in case:
        if part.tag in kinds:
            return kinds[part.tag], f"{part.get('message')}\n{part.text}"
    return "passed", ""


PASSING = {
    "declared secret": """
        secrets["key"] = "0123456789"
        assert run_function("secret", {"key": secrets.reference("key")}) == {"length": 10}
    """,
    "secret by a path": """
        secrets["/a/b/org-secrets/key"] = "0123456789"
        assert context.resolve_secret({"ssm": "/a/b/org-secrets/key"}) == "0123456789"
    """,
    "secret in the configuration": """
        secrets["key"] = "0123456789"
        assert context.pipeline_config["key"] == secrets.reference("key")
        assert run_function("give", {"kind": "config"})["key"] == secrets.reference("key")
        assert "0123456789" not in repr(secrets)
    """,
    "secret declared as none": """
        secrets["key"] = None
        assert run_function("secret", {"key": {"ssm": "key"}}) == {"length": None}
    """,
    "secret printed is masked": """
        secrets["key"] = "0123456789"
        run_function("secret", {"key": secrets.reference("key")})
        assert capsys.readouterr().out == "got ***\\n"
    """,
    "file of the project": """
        pointer = files.add("data/in.txt", labels={"project": "apollo"}, tags=["raw"])
        assert run_function("read", {"file": pointer}) == {"text": "input"}
        assert files[pointer].labels == [("project", "apollo")]
        assert context.get_file_name(pointer) == "in.txt"
    """,
    "file by its content": """
        pointer = files.add("a.json", content={"b": 1}, category="IDS", metadata={"c": "d"})
        result = context.read_file(pointer)
        assert (json.loads(result["body"]), result["custom_metadata"]) == ({"b": 1}, {"c": "d"})
    """,
    "files by name": """
        output = run_function("read", files={"file": "data/in.txt"})
        assert output == {"text": "input"}
        assert run_function("read", files={"file": files.input}) == output
    """,
    "first file is the input file": """
        assert context.input_file == {}
        pointer = files.add("data/in.txt")
        other = files.add("other.txt", content="x")
        assert context.input_file["fileId"] == pointer["fileId"]
        files.input = other
        assert context.input_file["fileId"] == other["fileId"]
    """,
    "missing file that is meant": """
        assert run_function("read-anyway", {"file": files.missing("gone")}) == {"text": "nothing"}
        with pytest.raises(FileNotFoundError):
            context.read_file({"fileId": files.missing("gone")["fileId"]})
    """,
    "files that a function writes": """
        files.add("data/in.txt")
        run_function("write")
        assert list(files.written) == ["out.txt"]
        file = files.written["PROCESSED/in.txt/out.txt"]
        assert (file.content, file.category, file.tags) == (b"one", "PROCESSED", ["t"])
        assert (file.metadata, file.labels) == ({"a": "b"}, [("n", "v")])
        assert files["in.txt"].labels == [("seen", "yes")]
    """,
    "files that the test writes": """
        files.add("data/in.txt")
        pointer = context.write_file("two", "mine.txt", "TMP")
        assert files.written["mine.txt"].text == "two"
        assert run_function("read", {"file": pointer}) == {"text": "two"}
    """,
    "files of a failed function are gone": """
        files.add("data/in.txt")
        with pytest.raises(RuntimeError):
            run_function("write", {"fail": True})
        assert not files.written
    """,
    "output as steps see it": """
        assert run_function("give", {"kind": "none"}) == {}
        assert run_function("give", {"kind": "tuple"}) == [1, {"2": 3}]
        assert run_function("give", []) == {}
    """,
    "exception of its own type": """
        with pytest.raises(LookupError, match="no such luck") as caught:
            run_function("fail")
        assert caught.traceback[-1].name == "fail"
        with pytest.raises(SystemExit) as ended:
            run_function("fail", {"exit": 3})
        assert ended.value.code == 3
    """,
    "exception of the script's own class": """
        helper = script_module("helper")
        with pytest.raises(helper.Trouble):
            run_function("fail")
    """,
    "surroundings": """
        folder, variables, path = os.getcwd(), dict(os.environ), list(sys.path)
        for _ in range(2):
            assert run_function("surroundings", env={"GIVEN": "1"}) == {
                "entries": ["func", "made.txt"], "bundled": True, "tmp": True, "count": 1,
                "env": "1", "helper": "the script's own",
            }
        assert (os.getcwd(), dict(os.environ), sys.path) == (folder, variables, path)
        assert not {"main", "helper"} & set(sys.modules)
    """,
    "patched module": """
        helper = script_module("helper")
        helper.NAME = "patched"
        assert run_function("surroundings")["helper"] == "patched"
        assert script_module("main").helper is helper
    """,
    "configuration": """
        output = run_function("give", {"kind": "config"}, config={"count": 3})
        assert output == {"pipelineName": "stepline run", "count": 3}
    """,
    "protocol": """
        result = run_protocol("protocols/all", input="data/in.txt", config={"words": "a"})
        assert result.status == "completed", result
        assert result.steps["give"].output == {"words": "a", "count": 1}
        assert [step.status for step in result.steps.values()] == [
            "success", "skipped", "failed", "success"]
        assert (result.steps["fail"].error, result.error) == ("no such luck", None)
        assert result.steps[2].traceback.startswith("Traceback")
        assert list(result.files) == ["out.txt"]
        assert files["in.txt"].labels == [("seen", "yes")]
    """,
    "protocol with secret and log": """
        config = {"words": "a", "count": 2.5}
        result = run_protocol(input="data/in.txt", config=config, secrets={"key": "0123456789"})
        assert result.steps["secret"].output == {"length": 10}
        assert result.steps["secret"].log == ["got ***"]
        assert "0123456789" not in json.dumps(result.record)
    """,
    "protocol with patched module": """
        script_module("helper").Trouble = ValueError
        result = run_protocol("all", input="data/in.txt", config={"words": "a"})
        assert "ValueError" in result.steps["fail"].traceback
    """,
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory, stepline_cache):
    """How each of the tests above and below ended, by its name."""
    folder = tmp_path_factory.mktemp("kit")
    bodies = PASSING | {name: body for name, (body, _) in FAILING.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEPLINE_CACHE_DIR", str(stepline_cache))
        found = run(make_project(folder / "project"), *bodies.values())
    return dict(zip(bodies, found, strict=True))


@pytest.mark.parametrize("name", PASSING)
def test_kit_what_the_test_provides_passes(ended, name):
    assert ended[name] == ("passed", "")


UNDECLARED = "the secret 'key' was resolved and the test does not declare it"
FAILING = {
    "undeclared secret": (
        'run_function("secret", {"key": {"ssm": "/a/b/org-secrets/key"}})',
        UNDECLARED,
    ),
    "undeclared secret of the context": ('context.resolve_secret({"ssm": "key"})', UNDECLARED),
    "undeclared secret in a protocol": (
        """
        secrets["other"] = "0123456789"
        script_module("main").give = lambda input, context: context.resolve_secret({"ssm": "key"})
        run_protocol(input="data/in.txt", config={"words": "a"})
        """,
        UNDECLARED,
    ),
    "secret that the protocol lacks": (
        """
        secrets["other"] = "0123456789"
        reference = secrets.reference("other")
        script_module("main").give = lambda input, context: context.resolve_secret(reference)
        run_protocol(input="data/in.txt", config={"words": "a"})
        """,
        "the secret 'other' was resolved and the protocol's config does not have it",
    ),
    "short secret": ('secrets["key"] = "123"', "under 6 it could not be masked"),
    "missing file": (
        'run_function("read", {"file": {"fileId": "none"}})',
        "read_file: there is no file with fileId 'none'",
    ),
    "missing file, swallowed": (
        'run_function("read-anyway", {"file": {"fileId": "none"}})',
        "there is no file with fileId 'none'",
    ),
    "missing file, swallowed whatever it is": (
        'assert run_function("read-whatever", {"file": {"fileId": "none"}})',
        "there is no file with fileId 'none'",
    ),
    "missing file, swallowed by the test": (
        """
        try:
            context.read_file({"fileId": "none"})
        except BaseException:
            pass
        """,
        "there is no file with fileId 'none'",
    ),
    "missing file behind another failure": (
        """
        try:
            context.read_file({"fileId": "none"})
        except BaseException:
            assert 1 == 2
        """,
        "there is no file with fileId 'none'",
    ),
    "file that the project lacks": ('files.add("data/run.txt")', "there is no file 'data/run.txt'"),
    "wrong label": (
        'files.add("a.txt", content="x", labels={"a": ""})',
        "label value '' is empty",
    ),
    "ambiguous name": (
        """
        files.add("a/x.txt", content="1")
        files.add("b/x.txt", content="2")
        files["x.txt"]
        """,
        "several files are called 'x.txt'",
    ),
    "time returned": (
        'run_function("give", {"kind": "time"})',
        "TaskError: give: the function returned what is not JSON: output is of type datetime",
    ),
    "NaN returned": ('run_function("give", {"kind": "nan"})', "not JSON: output is nan"),
    "input that is not JSON": ('run_function("give", {"a": b"1"})', "type bytes is not JSON"),
    "unknown function": ('run_function("reed")', "no task script here exposes 'reed'"),
    "unknown script": (
        'run_function("read", task_script="skript")',
        "task-scripts has no folder 'skript'. Hint: did you mean 'script'?",
    ),
    "unknown protocol": ('run_protocol("al")', "protocols has no folder 'al'"),
    "required value": ('run_protocol(input="data/in.txt")', "config 'words' (Words) is required"),
    "value of a wrong type": (
        'run_protocol(input="data/in.txt", config={"words": "a", "count": "1"})',
        "config 'count' (Count) must be of type number",
    ),
    "number for a text": (
        'run_protocol(input="data/in.txt", config={"words": 1})',
        "config 'words' (Words) must be of type string, not 1",
    ),
    "no input file": ('run_protocol(config={"words": "a"})', "the test gives no input file"),
    "unknown step": (
        'run_protocol(input="data/in.txt", config={"words": "a"}).steps["givv"]',
        "no step 'givv': did you mean 'give'?",
    ),
    "unknown executor": ('run_protocol(executor="docker")', "no executor 'docker' for tests"),
}


@pytest.mark.parametrize("name", FAILING)
def test_kit_what_the_test_does_not_provide_fails(ended, name):
    kind, text = ended[name]
    assert (kind, FAILING[name][1] in text) == ("failed", True), text


def test_kit_invalid_protocol_shows_every_problem(project):
    protocol = project / "protocols/all/protocol.yml"
    protocol.write_text(protocol.read_text().replace("config.words", "config.word") + "stray: 1\n")
    [(kind, text)] = run(project, 'run_protocol(input="data/in.txt", config={"words": "a"})')
    assert kind == "failed"
    assert "protocols/all/protocol.yml:10:30: `config` has no member `word`" in text
    assert ":21:1: unknown key `stray`" in text


def test_kit_two_scripts_with_modules_of_the_same_name_are_kept_apart(project):
    other = project / "task-scripts/other"
    add_script(other, "import helper\n\ndef only(input, context):\n    return helper.NAME\n")
    (other / "helper.py").write_text('NAME = "the other"\n')
    (project / "tests/helper.py").write_text('NAME = "of the tests"\n')
    body = """
        import helper
        assert run_function("only") == "the other"
        assert run_function("surroundings")["helper"] == "the script's own"
        assert (helper.NAME, sys.modules["helper"]) == ("of the tests", helper)
    """
    held = """
        own = script_module("helper", task_script="script")
        other = script_module("helper", task_script="other")
        own.NAME, other.NAME = "patched", "the other, patched"
        assert run_function("only") == "the other, patched"
        assert run_function("surroundings")["helper"] == "patched"
    """
    assert run(project, body, held) == [("passed", "")] * 2


def test_kit_function_of_two_scripts_asks_which(project):
    add_script(project / "task-scripts/other", "def read(input, context):\n    return 1\n")
    [(kind, text)] = run(project, 'run_function("read")')
    assert kind == "failed"
    assert "add task_script=, one of: 'other', 'script'" in text


def test_kit_function_itself_may_be_named(project):
    body = """
        main = script_module("main")
        assert run_function(main.read, {"file": files.add("data/in.txt")}) == {"text": "input"}
    """
    unknown = "run_function(script_module('helper').__class__, {})"
    passed, (kind, text) = run(project, body, unknown)
    assert (passed, kind) == (("passed", ""), "failed")
    assert "no task script here exposes the function builtins.module" in text


def test_kit_task_script_alone_is_the_one_around_its_tests(tmp_path):
    add_script(tmp_path / "alone", "def read(input, context):\n    return 1\n")
    (tmp_path / "alone/tests").mkdir()
    named = 'assert run_function("read", task_script=".") == 1'
    assert (
        run(tmp_path / "alone", 'assert run_function("read") == 1', named) == [("passed", "")] * 2
    )


WRITE_IDS = """
    def write_ids(input, context):
        return context.write_ids({"a": 1}, "x.json", ids=input["ids"])
"""


def test_kit_allowed_ids_and_the_projects_schemas_hold(project):
    add_script(project / "task-scripts/ids", WRITE_IDS)
    config = project / "task-scripts/ids/config.json"
    ids = '"allowedIds": {"namespace": "common", "slug": "reader", "version": "v1.0.0"}'
    config.write_text(config.read_text().replace('"function":', f'{ids}, "function":'))
    schema = project / "ids/common/reader/v1.0.0/schema.json"
    schema.parent.mkdir(parents=True)
    schema.write_text('{"type": "object"}')
    body = """
        files.add("data/in.txt")
        run_function("write-ids", {"ids": "common/reader:v1.0.0"})
        assert files.written["common-reader-x.json"].category == "IDS"
        with pytest.raises(Exception, match="common/other:v1.0.0"):
            run_function("write-ids", {"ids": "common/other:v1.0.0"})
    """
    assert run(project, body) == [("passed", "")]


def test_kit_outside_of_a_project_has_files_and_context(tmp_path):
    (tmp_path / "tests").mkdir()
    body = """
        pointer = files.add("a.txt", content="x")
        assert context.read_file(pointer)["body"] == b"x"
    """
    passed, (kind, text) = run(tmp_path, body, 'run_function("read")')
    assert (passed, kind) == (("passed", ""), "failed")
    assert "no folder from here upwards has task-scripts or protocols" in text


IN_WORKERS = 'run_protocol(input="data/in.txt", config={"words": "a"}, executor="process")'


def test_kit_process_executor_runs_functions_in_workers(project):
    body = f"""
        result = {IN_WORKERS}
        assert (result.status, result.output) == ("completed", {{}}), result
        assert files.written["out.txt"].text == "one"
        assert result.steps["fail"].traceback.startswith("Traceback")
    """
    assert run(project, body) == [("passed", "")]


def test_kit_process_executor_is_strict_too(project):
    main = project / "task-scripts/script/main.py"
    reads = 'def give(input, context):\n    read_whatever({"file": {"fileId": "x"}}, context)\n'
    main.write_text(main.read_text().replace("def give(input, context):\n", reads))
    [(kind, text)] = run(project, IN_WORKERS)
    assert (kind, "there is no file with fileId 'x'" in text) == ("failed", True), text


def test_plugin_lets_tests_of_published_task_scripts_import_their_names(project):
    body = """
        from ts_sdk.taskdev import Context, load_test_file
        fake = Context()
        pointer = load_test_file(fake, "data/in.txt", "in.txt", file_category="RAW")
        assert fake.read_file(pointer)["body"] == b"input"
        assert run_function("read", files={"file": "data/in.txt"}) == {"text": "input"}
    """
    assert run(project, body) == [("passed", "")]


def test_types_for_annotations_are_those_of_the_fixtures(files, secrets, run_function):
    kinds = (stepline.testing.Files, stepline.testing.Secrets, stepline.testing.RunFunction)
    assert (type(files), type(secrets), type(run_function)) == kinds
    assert all(getattr(stepline.testing, name) for name in dir(stepline.testing))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        stepline.testing.Nothing  # noqa: B018


def test_plugin_unused_imports_nothing_of_the_platform():
    code = "import sys; import stepline.testing.pytest_plugin; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if name.startswith("stepline")}
    assert loaded == {"stepline", "stepline.testing", "stepline.testing.pytest_plugin"}
