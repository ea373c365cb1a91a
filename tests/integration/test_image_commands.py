"""The commands of images on a real engine and registry: tested, tried out, pushed, pruned."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stepline.app.images.holding import find_build, hold
from stepline.app.images.services import remove_forsaken
from stepline.app.new_project import project_files, project_names, write_project
from stepline.ports.engine import LABEL, ContainerSpec
from tests.support.terminal import run_on_terminal

pytestmark = [pytest.mark.docker, pytest.mark.debian]

FUNCTION = {"slug": "count", "function": "main.count"}
CONFIG = {"language": "python", "runtime": "python3.11", "functions": [FUNCTION]}
MAIN = "def count(input, context):\n    return {'rows': 2}\n"
PASSES = """
import os, sys
import main

def test_count_gives_rows(run_function):
    assert main.count({}, None) == {"rows": 2}

def test_surroundings():
    assert os.getuid() == 10001
    assert main.__file__ == "/opt/stepline/script/main.py"
"""
FAILS = "def test_count_fails():\n    rows = 3\n    assert rows == 2\n"
OWN = """
import main
import pytest

@pytest.mark.parametrize("function", ["greet", main.greet])
@pytest.mark.parametrize("task_script", [".", None])
def test_greet(run_function, function, task_script):
    files = {"input_file_pointer": "data/visitor.json"}
    output = run_function(function, {"greeting": "Hi"}, files=files, task_script=task_script)
    assert output["text"] == "Hi, Ada!"

def test_protocol(run_protocol):
    assert run_protocol(input="data/visitor.json").status == "completed"
"""
POSTGRES = "/usr/lib/postgresql/15/bin"
SERVICES = f"""
database:
  image: stepline-test/postgres:15
  user: postgres
  command: |
    cd /var/lib/postgresql && {POSTGRES}/initdb -D fresh -A trust -N &&
    echo "host all all all trust" >> fresh/pg_hba.conf &&
    exec {POSTGRES}/postgres -D fresh -k /tmp -c listen_addresses='*'
  health: [{POSTGRES}/pg_isready, -h, localhost]
  volumes: [/var/lib/postgresql]
"""
# The first messages of PostgreSQL's protocol: who we are, and that we may.
ASKS = r"""
import socket, struct, time

def test_database_knows_us():
    words = struct.pack("!I", 196608) + b"user\0postgres\0database\0postgres\0\0"
    with socket.create_connection(("database", 5432), timeout=5) as link:
        link.sendall(struct.pack("!I", len(words) + 4) + words)
        assert link.recv(1) == b"R"
"""


EXAMPLES = Path(__file__).parents[2] / "examples"


def create_project(folder):
    """Make a project as ``stepline init`` does."""
    names = project_names(folder, name=None, namespace="private-demo", runtime="python3.11")
    write_project(folder, project_files(names), force=False)


class Commands:
    """Runs commands of images, and a task script for them."""

    def __init__(self, folder, environ):
        self.folder = folder
        self.environ = environ
        self.write("config.json", json.dumps(CONFIG))
        self.write("main.py", MAIN)
        self.write("requirements.txt", "")
        # Images are kept by content, and so is what came of their tests.
        self.write("seed.txt", os.urandom(8).hex())

    def write(self, path, text):
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def words(self, *words):
        return [sys.executable, "-m", "stepline", "image", *map(str, words)]

    def run(self, *words, code=0):
        done = subprocess.run(
            self.words(*words),
            env=self.environ,
            cwd=self.folder.parent,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def on_terminal(self, *words, answers):
        return run_on_terminal(
            self.words(*words), cwd=self.folder.parent, environ=self.environ, answers=answers
        )

    def image(self):
        return json.loads(self.run("build", "script", "--json").partition("\n}")[0] + "\n}")["id"]


@pytest.fixture
def commands(tmp_path, slim_base, engine, images_environ, stepline_cache):
    """Commands, and the folder ``script``."""
    environ = {**images_environ, "STEPLINE_CACHE_DIR": str(stepline_cache)}
    return Commands(tmp_path / "script", environ)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory, hook_base, engine, images_environ, stepline_cache):
    """An image of the engine with PostgreSQL, made of Debian packages."""
    environ = {**images_environ, "STEPLINE_CACHE_DIR": str(stepline_cache)}
    commands = Commands(tmp_path_factory.mktemp("postgres") / "script", environ)
    commands.write("config.json", json.dumps({**CONFIG, "image": {"system": ["postgresql"]}}))
    commands.run("build", "script")
    image = find_build(hook_base, commands.image()).image
    hold(image, images=hook_base, engine=engine)
    engine.tag(image.id, "stepline-test/postgres:15")
    yield
    engine.untag("stepline-test/postgres:15")


def owner_label(owner):
    return f"{LABEL}={owner}"


def volumes(engine):
    with engine._engine() as client:  # the port knows no volumes: nothing of ours outlives one
        return {each["Name"] for each in client.volumes()["Volumes"] or ()}


@pytest.mark.registry
def test_2_02_image_is_pushed_when_its_tests_have_passed_inside_it(commands, registry, engine):
    reference = f"{registry}/tested-{os.urandom(4).hex()}:v1.0.0"
    commands.write("test_main.py", PASSES + FAILS)
    failed = commands.image()
    assert f"inside the image {failed}" in commands.run("test", "script", code=1)
    assert "its tests failed at" in commands.run("push", "script", reference, code=2)
    assert engine.remote_digest(reference, None) is None
    commands.write("test_main.py", PASSES)
    assert "its tests did not run" in commands.run("push", "script", reference, code=2)
    passed = commands.image()
    assert f"tested inside the image {passed}" in commands.run("test", "script")
    pushed = commands.run("push", "script", reference)
    assert f"{reference}@{engine.remote_digest(reference, None)}" in pushed


@pytest.mark.parametrize("end", ["", "@sha256:" + "0" * 64], ids=["bare", "digest"])
def test_image_push_without_a_tag_is_refused(commands, end):
    said = commands.run("push", "script", f"127.0.0.1:1/a{end}", code=2)
    assert f"127.0.0.1:1/a{end} has no tag" in said
    assert "name one: 127.0.0.1:1/a:v1.0.0" in said


def test_image_build_that_fails_prints_its_log_once(commands, hook_base):
    commands.write("init/before_install", "echo from the hook; exit 3\n")
    said = commands.run("build", "script", code=2)
    assert said.count("from the hook") == 1
    assert "script/init/before_install: error: the hook failed with exit code 3; what it" in said


def test_image_build_of_a_base_over_the_size_says_so(commands):
    commands.write("config.json", json.dumps({**CONFIG, "image": {"maxSizeMB": 1}}))
    said = commands.run("build", "script", code=2)
    assert "the base alone has that much" in said


def test_image_test_of_some_tests_is_not_taken_for_all(commands):
    commands.write("tests/test_main.py", PASSES + FAILS)
    assert "2 passed, 1 deselected" in commands.run("test", "script", "-k", "not fails")
    why = commands.run("push", "script", "registry.example/a:v1.0.0", code=2)
    assert "its tests did not run" in why
    assert "--untested" in why


def test_2_19_image_test_on_this_machine_says_so(commands):
    commands.write(
        "test_main.py", "import os\n\ndef test_here():\n    assert os.getuid() != 10001\n"
    )
    said = commands.run("test", "script", "--local")
    assert "1 passed" in said
    assert "not inside an image" in said
    assert "inside the image" in commands.run("test", "script", code=1)


def test_image_test_runs_tests_of_the_project_inside_the_image(commands, tmp_path):
    create_project(tmp_path / "fresh")
    said = commands.run("test", "fresh/task-scripts/fresh")
    assert "3 passed" in said
    assert "tested inside the image" in said


def test_image_test_of_an_example_skips_what_needs_other_environments(commands, tmp_path):
    shutil.copytree(EXAMPLES / "push-to-kaggle", tmp_path / "push")
    assert "15 passed, 2 skipped" in commands.run("test", "push/task-scripts/sspdemo")


def test_image_test_of_a_script_in_a_project_runs_its_own_tests_with_all_fixtures(
    commands, tmp_path
):
    create_project(tmp_path / "fresh")
    own = tmp_path / "fresh/task-scripts/fresh/tests/test_own.py"
    own.parent.mkdir()
    own.write_text(OWN)
    said = commands.run("test", "fresh/task-scripts/fresh")
    assert "5 passed" in said
    assert "5 passed" in commands.run("test", "fresh/task-scripts/fresh", "--local")


def test_image_test_on_this_machine_runs_tests_of_the_project(commands, tmp_path):
    commands.environ["VIRTUAL_ENV"] = sys.prefix  # our plugin is installed there
    create_project(tmp_path / "fresh")
    said = commands.run("test", "fresh/task-scripts/fresh", "--local")
    assert "3 passed" in said


def test_image_test_without_tests_is_no_pass(commands):
    said = commands.run("test", "script", code=1)
    assert "nothing was tested: no such test in a file test_*.py of script" in said
    assert "tested inside" not in said
    assert "it has no tests" in commands.run("push", "script", "registry.example/a:v1", code=2)


@pytest.mark.slow
def test_2_17_image_test_has_a_service_with_a_fresh_volume_by_name(commands, postgres, engine):
    before = volumes(engine)
    commands.write("tests/services.yml", SERVICES)
    commands.write("tests/test_database.py", ASKS)
    for _ in range(2):  # initdb would refuse what the first one left
        assert "1 passed" in commands.run("test", "script")
    assert volumes(engine) <= before


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "killed"])
def test_image_test_that_is_ended_leaves_no_service(commands, postgres, engine, number):
    before = volumes(engine)
    commands.write("tests/services.yml", SERVICES)
    commands.write("tests/test_waits.py", "import time\n\ndef test_waits():\n    time.sleep(60)\n")
    with subprocess.Popen(
        commands.words("test", "script"),
        env=commands.environ,
        cwd=commands.folder.parent,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert next(line for line in process.stdout if "collected" in line)
        owners = {each.owner for each in engine.containers()}
        owner = next(each for each in owners if f":{process.pid}:" in each)
        process.send_signal(number)
        assert process.wait(60) in (130, -signal.SIGKILL)
    if number is signal.SIGKILL:
        remove_forsaken(engine)  # as the next test run does, and pruning
    assert list(engine.containers(owner)) == []
    assert volumes(engine) <= before
    assert engine._connection.client.networks(filters={"label": owner_label(owner)}) == []


def test_image_test_service_that_ends_shows_what_it_said(commands, engine):
    image = commands.image()
    commands.run("test", "script", code=1)
    engine.tag(image, "stepline-test/ends:1")
    service = {"image": "stepline-test/ends:1", "command": "echo no disk; exit 3", "health": "true"}
    commands.write("tests/services.yml", json.dumps({"ends": service}))
    said = commands.run("test", "script", code=2)
    engine.untag("stepline-test/ends:1")
    assert "the service ends ended with exit code 3:\nno disk" in said


def test_2_18_image_shell_has_files_user_and_variables_of_tasks(commands):
    commands.environ["STEPLINE_TASK_ENV"] = '{"COLOUR": "green"}'
    ask = 'echo "$(id -u) $COLOUR $(ls func)"; touch /etc/x; exit 7\n'
    shown = commands.on_terminal("shell", "script", answers=[("$ ", ask)])
    assert shown.code == 7
    assert "10001 green config.json main.py requirements.txt seed.txt" in " ".join(
        shown.text.split()
    )
    assert "Read-only file system" in shown.text


def test_2_18_image_test_stops_in_a_debugger(commands):
    commands.write("test_main.py", FAILS)
    answers = [("(Pdb)", "p rows + 39\n"), ("42", "q\n")]
    shown = commands.on_terminal("test", "script", "--pdb", answers=answers)
    assert "42" in shown.text
    assert shown.code == 1


def test_2_16_image_prune_keeps_what_is_tagged_or_runs(commands, images_dir, engine, tmp_path):
    own = tmp_path / "images"
    for name in ("layers", "notes"):
        shutil.copytree(images_dir / name, own / name, copy_function=os.link)
    shutil.rmtree(own / "notes" / "images", ignore_errors=True)
    commands.environ["STEPLINE_IMAGES_DIR"] = str(own)
    ids = {}
    for name in ("old", "tagged", "running"):
        commands.write("data.txt", name * 10_000)
        ids[name] = commands.image()
        commands.run("test", "script", code=1)  # the engine holds it now
    engine.tag(ids["tagged"], "stepline-test/kept:1")
    container = engine.start(
        ContainerSpec(image=ids["running"], command=["sleep", "60"], owner="test")
    )
    would = json.loads(commands.run("prune", "--no-service", "--dry-run", "--json"))
    done = json.loads(commands.run("prune", "--no-service", "--json"))
    container.remove()
    engine.untag("stepline-test/kept:1")
    kept = {each["id"]: each["kept"] for each in done["images"]}
    assert would["images"] == done["images"]
    assert kept == {
        ids["old"]: "",
        ids["tagged"]: "tagged stepline-test/kept:1",
        ids["running"]: "running",
    }
    assert engine.image(ids["old"]) is None
    assert done["freedBytes"] > 30_000
    listed = json.loads(commands.run("list", "--json"))["images"]
    assert {each["id"] for each in listed} == {ids["tagged"], ids["running"]}


def test_image_remove_removes_one_unless_it_is_tagged(commands, engine):
    image = commands.image()
    commands.write("data.txt", "other")
    other = commands.image()
    commands.run("test", "script", code=1)  # the engine holds it now
    engine.tag(other, "stepline-test/remove:1")
    said = commands.run("remove", "script", "--no-service", code=2)
    assert "is not removed: it is tagged stepline-test/remove:1" in said
    engine.untag("stepline-test/remove:1")
    assert f"removed {other[7:19]}" in commands.run("remove", "script", "--no-service")
    assert engine.image(other) is None
    listed = {each["id"] for each in json.loads(commands.run("list", "--json"))["images"]}
    assert image in listed
    assert other not in listed
    assert "no image was made of script as it is now" in commands.run(
        "remove", "script", "--no-service", code=2
    )


@pytest.mark.parametrize("host", ["", "unix:///nowhere/docker.sock"], ids=["engine", "none"])
def test_image_build_of_a_function_that_cannot_be_imported_fails(commands, host):
    commands.environ["DOCKER_HOST"] = host or commands.environ["DOCKER_HOST"]
    commands.write("main.py", "import missing_here\n" + MAIN)
    for _ in range(2):
        said = commands.run("build", "script", code=2)
        if "were not imported" in said:
            pytest.skip("this machine has no sandbox")
        assert "script/main.py:1: error: the function 'count' (main.count) cannot be" in said
        assert "No module named 'missing_here'" in said


def test_image_build_without_engine_and_sandbox_says_that_it_imported_nothing(commands):
    commands.environ |= {"DOCKER_HOST": "unix:///nowhere/docker.sock", "PATH": "/nowhere"}
    commands.write("main.py", "import missing_here\n" + MAIN)
    said = commands.run("build", "script")
    assert "its functions were not imported, since nothing here runs images" in said


@pytest.mark.parametrize(
    ("path", "text", "place"),
    [
        pytest.param(
            "requirements.txt", "no-such-thing==1", "script/requirements.txt:1:1: ", id="lock"
        ),
        pytest.param(
            "tests/services.yml", "a:\n  image: 1\n", "script/tests/services.yml:2:", id="service"
        ),
    ],
)
def test_image_test_names_the_authors_file_at_fault(commands, path, text, place):
    commands.write("tests/test_main.py", PASSES)
    commands.write(path, text)
    assert any(
        line.startswith(place) for line in commands.run("test", "script", code=2).splitlines()
    )


def test_2_14_image_inspect_shows_layers_with_sizes_and_software(commands):
    shown = commands.run("inspect", "script")
    assert "org.stepline.script" in shown
    assert "code" in shown.partition("layers")[2]
    told = json.loads(commands.run("inspect", commands.image()[:16], "--json"))
    assert [layer["kind"] for layer in told["layers"]] == ["base", "code"]
    sbom = json.loads(commands.run("inspect", "script", "--sbom"))
    assert sbom["bomFormat"] == "CycloneDX"


def test_image_commands_of_an_unknown_image_say_what_to_do(commands):
    said = commands.run("inspect", "0123456789", code=2)
    assert "this machine has no image 0123456789" in said
    assert "stepline image list" in said
