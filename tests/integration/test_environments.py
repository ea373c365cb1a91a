"""Environments of task scripts: made once, never half, for the Python that is asked for.

Packages come from wheels that the tests make; only the seeds of a new environment (pip and
the like) come from the package index, once in a session.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from stepline.errors import ConfigError, PlatformError
from stepline.model.task_script import Function, ImageChoices, TaskScript
from stepline.plugins.executor_process.environment import Environments
from stepline.plugins.executor_process.pythons import find_python, own_version
from stepline.ports.executor import ScriptVersion
from tests.support.executors import wait_until
from tests.support.wheels import make_wheel

ROOT = Path(__file__).parents[2]
NO_CHOICES = ImageChoices()
FOUND = "def f(input, context):\n    import sys\n    return 1\n"


class Script:
    """A task script's folder."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.write("main.py", FOUND)

    def write(self, path, text):
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return self

    def requirements(self, *lines):
        return self.write("requirements.txt", "".join(f"{line}\n" for line in lines))

    def wheel(self, name, **content):
        return make_wheel(self.folder / "dependencies", name, **content)

    def version(self, *, runtime=None, digest="", image=NO_CHOICES):
        script = TaskScript((Function("f", "main.f"),), image=image)
        return ScriptVersion(
            "private-test/s:v1.0.0",
            f"sha256:{digest or self.folder}",
            str(self.folder),
            script,
            runtime or own_version(),
        )


@pytest.fixture
def script(tmp_path):
    """A task script."""
    return Script(tmp_path / "script")


@pytest.fixture
def cache(tmp_path):
    """Folder of environments, none in it."""
    return tmp_path / "environments"


@pytest.fixture
def environments(cache):
    """The cache of environments; hooks are not allowed."""
    return Environments(cache, environ=dict(os.environ), allow_hooks=False)


@pytest.fixture
def with_hooks(cache):
    """The cache of environments; hooks are allowed."""
    return Environments(cache, environ={**os.environ, "A_SECRET": "s3cret"}, allow_hooks=True)


def made(cache):
    return [path for path in cache.iterdir() if path.is_dir()]


def ask(environment, code):
    """Run code in an environment; return what it prints."""
    done = subprocess.run(
        [environment.python, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    "line",
    [
        "file:dependencies/plates-1.0-py3-none-any.whl",
        "plates @ file:dependencies/plates-1.0-py3-none-any.whl",
        "./dependencies/plates-1.0-py3-none-any.whl",
        "--find-links dependencies\n--no-index\nplates==1.0",
    ],
    ids=["file", "name and file", "path", "find links"],
)
def test_environment_has_what_the_script_brings_itself(environments, script, line):
    script.wheel("plates")
    environment = environments.get(script.requirements(line).version())
    assert ask(environment, "import plates; print(plates.VERSION)") == "1.0"
    assert environment.code == str(script.folder)


def test_environment_of_what_lies_outside_of_the_script_is_refused(environments, cache, script):
    script.requirements("--no-index", "-r ../host.txt")
    script.folder.parent.joinpath("host.txt").write_text("root:x:0:0\n")
    with pytest.raises(ConfigError, match="not in the task script's folder") as caught:
        environments.get(script.version())
    assert str(caught.value.where) == "requirements.txt:2:4"
    assert made(cache) == []


def test_environment_brings_what_a_requirement_requires(environments, script):
    script.wheel("wells")
    script.wheel("plates", source="from wells import VERSION\n", requires=["wells"])
    script.requirements("--no-index", "--find-links dependencies", "plates")
    assert ask(environments.get(script.version()), "import plates") == ""


def test_environment_has_bytecode_which_workers_do_not_write(environments, script):
    script.wheel("plates")
    script.requirements("./dependencies/plates-1.0-py3-none-any.whl")
    found = ask(environments.get(script.version()), "import plates; print(plates.__cached__)")
    assert Path(found).is_file()


def test_environment_is_found_again_in_milliseconds(environments, cache, script):
    first = environments.get(script.version())
    times = []
    for _ in range(5):
        fresh = Environments(cache, environ=dict(os.environ), allow_hooks=False)
        begin = time.perf_counter()
        assert fresh.get(script.version()) == first
        times.append(time.perf_counter() - begin)
    assert min(times) < 0.02  # the others may have waited for their turn on a busy machine


def test_environment_is_shared_by_scripts_that_require_the_same(environments, tmp_path):
    one, other = Script(tmp_path / "one"), Script(tmp_path / "other")
    other.write("main.py", "# something else\n")
    assert environments.get(one.version()).python == environments.get(other.version()).python


def test_environment_with_files_of_the_folder_is_not_shared(environments, tmp_path):
    pythons = set()
    for number in ("1.0", "2.0"):
        script = Script(tmp_path / number)
        script.wheel("plates", version=number)
        script.requirements("--no-index", "--find-links dependencies", "plates")
        environment = environments.get(script.version())
        assert ask(environment, "import plates; print(plates.VERSION)") == number
        pythons.add(environment.python)
    assert len(pythons) == 2


@pytest.mark.parametrize(
    ("lines", "line", "words"),
    [
        (["--no-index", "plates==1.0"], 2, "plates"),
        (["--no-index", "# first", "file:dependencies/none-1.0-py3-none-any.whl"], 3, "none-1.0"),
        (["--no-index", "plates>=", ""], 2, "plates>="),
    ],
    ids=["not found", "no such file", "not valid"],
)
def test_environment_that_cannot_be_made_names_the_line_and_leaves_nothing(
    environments, cache, script, lines, line, words
):
    with pytest.raises(ConfigError) as caught:
        environments.get(script.requirements(*lines).version())
    assert words in str(caught.value)
    assert caught.value.where.path == "requirements.txt"
    assert caught.value.where.line == line
    assert "the requirements of private-test/s:v1.0.0 cannot be installed" in caught.value.what
    assert caught.value.hint
    assert made(cache) == []


def test_environment_is_made_after_a_failure_was_mended(environments, cache, script):
    script.requirements("--no-index", "--find-links dependencies", "plates")
    (script.folder / "dependencies").mkdir()
    with pytest.raises(ConfigError):
        environments.get(script.version())
    script.wheel("plates")
    assert ask(environments.get(script.version()), "import plates") == ""
    assert len(made(cache)) == 1


MAKE = """
import os, sys
from pathlib import Path
from tests.integration.test_environments import Environments, Script
script = Script.__new__(Script)
script.folder = Path(sys.argv[2])
environments = Environments(Path(sys.argv[1]), environ=dict(os.environ), allow_hooks=True)
print(environments.get(script.version()).python)
"""


def make_elsewhere(cache, script):
    """Have another process make an environment."""
    command = [sys.executable, "-c", MAKE, cache, script.folder]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_environment_that_two_processes_want_is_made_by_one(cache, script):
    script.write("init/before_install", "echo made >> $HOME/hook-ran\nsleep 0.5\n")
    home = script.folder.parent / "home"
    home.mkdir()
    os.environ["HOME"], before = str(home), os.environ["HOME"]
    try:
        processes = [make_elsewhere(cache, script) for _ in range(3)]
        pythons = {process.communicate(timeout=120)[0].strip() for process in processes}
    finally:
        os.environ["HOME"] = before
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(pythons) == 1
    assert (home / "hook-ran").read_text() == "made\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill", "interrupt"])
def test_environment_whose_making_was_cut_off_is_made_anew(cache, script, tmp_path, number):
    """The hook that outlives its platform still writes; the next one waits, and starts clean."""
    begun, late = tmp_path / "begun", tmp_path / "late"
    script.write(
        "init/before_install",
        f"test -e {begun} && exit 0\ntouch {begun}\nsleep 3\necho late > rest; touch {late}\n",
    )
    process = make_elsewhere(cache, script)
    assert wait_until(begun.exists, seconds=60)
    time.sleep(0.5)  # until the platform, which may have been slower than the hook, waits for it
    process.send_signal(number)
    process.communicate(timeout=60)
    assert number == signal.SIGKILL or made(cache) == []
    allowed = Environments(cache, environ=dict(os.environ), allow_hooks=True)
    environment = allowed.get(script.version())
    assert ask(environment, "print(1)") == "1"
    assert not Path(environment.code, "rest").exists()
    assert late.exists() == (number == signal.SIGKILL)
    assert len(made(cache)) == 1


def test_environment_half_made_is_not_taken_for_one(environments, cache, script):
    environment = environments.get(script.version())
    home = Path(environment.python).parents[2]
    (home / "environment.json").unlink()
    (home / "rest").write_text("of a crash")
    fresh = Environments(cache, environ=dict(os.environ), allow_hooks=False)
    assert fresh.get(script.version()) == environment
    assert not (home / "rest").exists()
    assert json.loads((home / "environment.json").read_text())["name"] == "private-test/s:v1.0.0"


def test_environment_cache_that_cannot_be_written_is_the_platforms_fault(script, tmp_path):
    (tmp_path / "file").write_text("")
    broken = Environments(tmp_path / "file" / "x", environ=dict(os.environ), allow_hooks=False)
    with pytest.raises(PlatformError, match="cannot be made in") as caught:
        broken.get(script.version())
    assert "STEPLINE_CACHE_DIR" in caught.value.hint


def test_hook_is_refused_unless_it_is_allowed(environments, cache, script):
    script.write("init/before_install", "touch ran\n")
    with pytest.raises(ConfigError) as caught:
        environments.get(script.version())
    assert "has a hook, which would run as you on this machine" in str(caught.value)
    assert "--allow-before-install" in caught.value.hint
    assert str(caught.value.where) == "init/before_install"
    assert not cache.exists()
    assert not (script.folder / "ran").exists()


HOOK = """
python -c 'import sys; print(sys.prefix)' > prefix
echo "$A_SECRET" > secret
pip --version > pip
chmod a+x tool
mkdir made
"""


def test_hook_works_on_a_copy_with_the_environment_first_on_path(with_hooks, script):
    script.write("init/before_install", HOOK).write("tool", "#!/bin/sh\n")
    for path in (script.folder, script.folder / "tool", script.folder / "init"):
        path.chmod(path.stat().st_mode & ~0o222)  # as code is kept
    environment = with_hooks.get(script.version())
    code = Path(environment.code)
    assert code != script.folder
    assert (code / "prefix").read_text().strip() == str(Path(environment.python).parents[1])
    assert str(Path(environment.python).parents[1]) in (code / "pip").read_text()
    assert (code / "secret").read_text() == "\n"
    assert os.access(code / "tool", os.X_OK)
    assert (code / "made").is_dir()
    assert not (script.folder / "made").exists()


def test_hook_copy_is_not_for_tasks_to_write(with_hooks, script):
    script.write("init/before_install", "mkdir made\n")
    code = Path(with_hooks.get(script.version()).code)
    assert {path.stat().st_mode & 0o222 for path in (code, code / "made", code / "main.py")} == {0}


def test_hook_runs_before_the_requirements_are_installed(with_hooks, script):
    script.write("init/before_install", "cp -r dependencies wheels\n")
    script.wheel("plates")
    script.requirements("--no-index", "--find-links wheels", "plates")
    assert ask(with_hooks.get(script.version()), "import plates") == ""


def test_hook_that_fails_shows_its_words_and_leaves_nothing(with_hooks, cache, script):
    script.write("init/before_install", "echo no compiler >&2\nexit 7\n")
    with pytest.raises(ConfigError, match="failed with exit code 7") as caught:
        with_hooks.get(script.version())
    assert "no compiler" in str(caught.value)
    assert str(caught.value.where) == "init/before_install"
    assert made(cache) == []


def test_hook_that_leaves_a_process_does_not_hold_anybody_up(with_hooks, script, tmp_path):
    path = tmp_path / "pid"
    script.write("init/before_install", f"sleep 600 &\necho $! > {path}\n")
    begin = time.monotonic()
    with_hooks.get(script.version())
    assert time.monotonic() - begin < 60
    assert wait_until(lambda: not Path(f"/proc/{path.read_text().strip()}").exists())


def test_hook_that_changes_makes_another_environment(with_hooks, script):
    script.write("init/before_install", "echo 1 > number\n")
    one = with_hooks.get(script.version(digest="1"))
    script.write("init/before_install", "echo 2 > number\n")
    two = with_hooks.get(script.version(digest="2"))
    assert [Path(each.code, "number").read_text() for each in (one, two)] == ["1\n", "2\n"]


@pytest.mark.parametrize("key", ["groups", "components"])
def test_environment_of_a_script_whose_packages_only_images_get_is_refused(
    environments, cache, script, key
):
    with pytest.raises(ConfigError) as caught:
        environments.get(script.version(image=ImageChoices(**{key: ("main", "models")})))
    assert f"the {key} main, models, which only images get" in caught.value.what
    assert str(caught.value.where) == "config.json"
    assert "docker or sandbox" in caught.value.hint
    assert not cache.exists()


def test_environment_without_the_named_image_warns(environments, script):
    said = []
    image = ImageChoices(reference="registry.example/python:1", system=("libgomp1",))
    environments.get(script.version(image=image), said.append)
    assert [line.partition(",")[0] for line in said] == [
        "warning: config.json names the image registry.example/python:1",
        "warning: config.json names the Debian packages libgomp1",
        "making the environment of private-test/s:v1.0.0",
    ]


@pytest.fixture
def bare_machine(tmp_path):
    """The environment of a machine that has only the platform's own Python."""
    (tmp_path / "home").mkdir()
    (tmp_path / "bin").mkdir()
    return {**os.environ, "HOME": str(tmp_path / "home"), "PATH": str(tmp_path / "bin")}


def test_runtime_that_the_machine_lacks_names_those_it_has(bare_machine, monkeypatch):
    monkeypatch.setattr(
        "stepline.plugins.executor_process.pythons._OTHER_PLACES",
        ("{home}/.pyenv/versions/{version}.*/bin/python{version}",),
    )
    with pytest.raises(PlatformError) as caught:
        find_python("3.8", bare_machine)
    assert str(caught.value).startswith(
        f"this machine has no python3.8; it has python{own_version()}."
    )
    assert "apt install python3.8" in caught.value.hint
    assert "uv python install 3.8" in caught.value.hint


def install_python(folder, version, *, reports=None):
    """Put a script in place of an interpreter."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"python{version}"
    path.write_text(f"#!/bin/sh\necho {reports or version}\n")
    path.chmod(0o755)
    return path


def test_runtime_is_found_on_path(bare_machine):
    path = install_python(Path(bare_machine["PATH"]), "3.8")
    assert find_python("3.8", bare_machine) == str(path)


def test_runtime_is_found_where_version_managers_keep_it(bare_machine):
    install_python(Path(bare_machine["HOME"], ".pyenv/versions/3.8.2/bin"), "3.8")
    path = install_python(Path(bare_machine["HOME"], ".pyenv/versions/3.8.9/bin"), "3.8")
    assert find_python("3.8", bare_machine) == str(path)


def test_runtime_that_is_not_what_its_name_says_is_not_taken(bare_machine, monkeypatch):
    monkeypatch.setattr("stepline.plugins.executor_process.pythons._OTHER_PLACES", ())
    install_python(Path(bare_machine["PATH"]), "3.8", reports="3.9")
    with pytest.raises(PlatformError, match=r"no python3\.8"):
        find_python("3.8", bare_machine)


def test_runtime_of_the_platform_is_its_own_interpreter():
    path = find_python(own_version(), {"PATH": ""})
    answer = subprocess.run([path, "-V"], capture_output=True, text=True, check=True)
    assert answer.stdout.startswith(f"Python {own_version()}.")


def test_environment_is_made_once_by_threads(environments, script):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(environments.get(script.version())))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(map(repr, found))) == 1
