"""The executor that runs functions in the test's own process."""

import json
import os
import sys
import textwrap

import pytest

from stepline.errors import PlatformError
from stepline.model.task import OutcomeKind, TaskRequest
from stepline.model.task_script import Function, IdsReference, TaskScript
from stepline.ports.executor import ScriptVersion
from stepline.testing.in_process import InProcessExecutor
from tests.support.executors import attempt

MAIN = """
    import os, subprocess, sys, tempfile


    def give(input, context):
        return input.get("value") if input else {"none": True}


    def odd(input, context):
        return {"a": [b"bytes"]}


    def deep(input, context):
        value = []
        for _ in range(100_000):
            value = [value]
        return value


    def fail(input, context):
        def inner():
            raise KeyError("missing")
        inner()


    def end(input, context):
        sys.exit(input.get("code"))


    def fatal(input, context):
        context.raise_fatal_error("for good")


    def interrupt(input, context):
        raise KeyboardInterrupt


    def speak(input, context):
        print("one\\ntwo", end="")
        print("three", file=sys.stderr)
        sys.stdout.buffer.write(b"\\xff\\n")
        subprocess.run([sys.executable, "-c", "print('from a child')"], stdout=sys.stdout)


    def ask(input, context):
        name = context.get_file_name(context.input_file)
        return {"name": name, "pointer": context.get_file_pointer("id"),
                "ids": context.allowed_ids.get_ids_to_be_written(None)}


    def look(input, context):
        return {"work": os.getcwd(), "tmp": tempfile.gettempdir(), "home": os.environ["HOME"],
                "func": os.path.realpath("func"), "given": os.environ.get("GIVEN")}
"""
IDS = IdsReference("common", "reader", "v1.0.0")


class Services:
    """Remembers what a task says and asks."""

    def __init__(self):
        self.lines, self.calls, self.began = [], [], []

    def call(self, method, params):
        self.calls.append((method, params))
        if params["fileId"] == "id":
            return {"value": {"fileId": "id"}}
        return {"error": {"type": "FileNotFoundError", "message": "gone"}}

    def log(self, lines):
        self.lines += [(line.stream, line.text) for line in lines]

    def started(self, at):
        self.began.append(at)


@pytest.fixture
def services():
    return Services()


@pytest.fixture
def executor(tmp_path):
    return InProcessExecutor(tmp_path / "root", task_env={"GIVEN": "1"})


@pytest.fixture
def version(tmp_path):
    """A task script with the functions above, and one without a module."""
    folder = tmp_path / "script"
    folder.mkdir()
    source = textwrap.dedent(MAIN)
    (folder / "main.py").write_text(source)
    (folder / "broken.py").write_text("import no_such_module\n")
    names = [line.split("(")[0][4:] for line in source.splitlines() if line.startswith("def ")]
    functions = [Function(name, f"main.{name}", allowed_ids=(IDS,)) for name in names]
    others = [Function("lost", "main.lost"), Function("broken", "broken.function")]
    script = TaskScript((*functions, *others))
    return ScriptVersion("a/b:v1", "sha256:1", str(folder), script, "3.11")


@pytest.fixture
def run(executor, version, services):
    """Run one function of the task script."""

    def run(function, value=None):
        context = {"pipelineConfig": {}, "inputFile": {"fileKey": "a/b/RAW/c.txt"}}
        request = TaskRequest("task-1", 1, function, value, context)
        return attempt(executor, version, request, services)

    return run


@pytest.mark.parametrize(
    ("function", "value", "output"),
    [
        pytest.param("give", {"value": {"a": [1, None]}}, {"a": [1, None]}, id="object"),
        pytest.param("give", {"value": None}, {}, id="none"),
        pytest.param("give", None, {"none": True}, id="no input"),
        pytest.param("give", {"value": 0}, 0, id="falsy"),
    ],
)
def test_run_returned_value_is_the_output(run, services, function, value, output):
    outcome = run(function, value)
    assert (outcome.kind, outcome.value) == (OutcomeKind.RETURNED, output)
    assert outcome.duration_s > 0
    assert len(services.began) == 1


@pytest.mark.parametrize(
    ("function", "value", "kind", "message"),
    [
        ("odd", None, OutcomeKind.RAISED, "not JSON: output['a'][0] is of type bytes"),
        ("deep", None, OutcomeKind.RAISED, "not JSON: output"),
        ("fail", None, OutcomeKind.RAISED, "'missing'"),
        ("lost", None, OutcomeKind.IMPORT_FAILED, "has no function 'lost'"),
        ("broken", None, OutcomeKind.IMPORT_FAILED, "No module named 'no_such_module'"),
        ("fatal", None, OutcomeKind.FATAL, "Invalid exit code 126"),
        ("end", {"code": 3}, OutcomeKind.EXITED, "Invalid exit code 3"),
        ("end", {"code": "words"}, OutcomeKind.EXITED, "Invalid exit code 1"),
        ("end", {"code": 0}, OutcomeKind.EXITED, "No content returned by worker"),
        ("end", None, OutcomeKind.EXITED, "No content returned by worker"),
    ],
)
def test_run_other_endings_are_told_apart(run, function, value, kind, message):
    outcome = run(function, value)
    assert (outcome.kind, message in outcome.message) == (kind, True), outcome


def test_run_traceback_starts_in_the_users_code(run, executor):
    lines = run("fail").traceback.splitlines()
    assert lines[1].endswith("in fail")
    assert lines[-1] == "KeyError: 'missing'"
    assert isinstance(executor.raised, KeyError)
    assert executor.raised.__traceback__.tb_frame.f_code.co_name == "fail"


def test_run_ctrl_c_goes_through_and_leaves_nothing(run, tmp_path):
    folder = os.getcwd()
    with pytest.raises(KeyboardInterrupt):
        run("interrupt")
    assert os.getcwd() == folder
    assert os.listdir(tmp_path / "root") == []


def test_run_prints_are_taken_line_by_line(run, services, capfd):
    run("speak")
    assert services.lines == [("out", "one"), ("err", "three"), ("out", "two\ufffd")]
    assert capfd.readouterr().out == "from a child\n"


def test_run_context_reaches_the_services(run, services):
    assert run("ask").value == {"name": "c.txt", "pointer": {"fileId": "id"}, "ids": str(IDS)}
    assert services.calls == [("get_file_pointer", {"fileId": "id"})]


def test_run_surroundings_are_the_tasks_own_and_put_back(run, version, tmp_path):
    before = (os.getcwd(), dict(os.environ), list(sys.path), set(sys.modules))
    found = [run("look").value for _ in range(2)]
    assert (os.getcwd(), dict(os.environ), sys.path) == before[:3]
    assert "main" not in set(sys.modules) - before[3]
    assert found[0]["func"] == os.path.realpath(version.folder)
    assert (found[0]["home"], found[0]["given"]) == (found[0]["tmp"], "1")
    folders = {each[name] for each in found for name in ("work", "tmp")}
    assert len(folders) == 4
    assert os.listdir(tmp_path / "root") == []


def test_run_leaves_no_bytecode_in_the_scripts_folder(run, version):
    run("give")
    assert sorted(os.listdir(version.folder)) == ["broken.py", "main.py"]


def test_run_unknown_function_is_the_platforms_error(run):
    with pytest.raises(PlatformError, match="v1 does not expose 'none'"):
        run("none")


def test_prepare_names_this_python(executor, version):
    executor.warm_up(version)
    assert executor.prepare(version) == f"in-process python3.{sys.version_info.minor}"
    executor.cancel("task-1")
    executor.close()


def test_outcomes_are_plain(run):
    assert json.loads(json.dumps(run("give", {"value": {"1": 2}}).value)) == {"1": 2}


@pytest.mark.parametrize(
    ("function", "kind"),
    [("fail", OutcomeKind.RETURNED), ("broken", OutcomeKind.IMPORT_FAILED)],
)
def test_run_import_only_does_not_call(executor, version, services, function, kind):
    request = TaskRequest("task-1", 1, function, None, import_only=True)
    outcome = attempt(executor, version, request, services)
    assert outcome.kind is kind
    assert services.began == []
