"""``init/before_install`` in a real engine, on bases of Debian packages."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stepline.errors import ConfigError
from stepline.model.image import LayerKind
from stepline.plugins.images_local.build_steps import stacked
from stepline.plugins.images_local.hooks import Hooks
from stepline.plugins.images_local.trees import read_layers
from stepline.ports.engine import Mount
from stepline.workers.owners import BUILDS, own_name
from tests.support.engines import engine_environ
from tests.support.hooks import HookBench, make_command_wheel, make_sdist
from tests.support.images import script_version
from tests.support.private_index import private_index
from tests.support.wheels import make_wheel

pytestmark = [pytest.mark.docker, pytest.mark.debian]

ROOT = Path(__file__).parents[2]
PASSWORD = "hush-0815-hush"
FOUND = "init/before_install: found, as none of what it depends on has changed"


@pytest.fixture
def bench(hook_base, images_dir, engine, tmp_path):
    """A task script to give hooks to."""
    return HookBench(images_dir, engine, tmp_path / "script")


def layer_of(image, kind):
    return next(layer for layer in image.layers if layer.kind is kind)


def raised(bench, **further):
    with pytest.raises(ConfigError) as caught:
        bench.build(**further)
    return caught.value


def test_3_07_hook_runs_as_root_before_requirements_and_what_it_installs_works(bench):
    make_wheel(bench.folder / "dependencies", "plates")
    make_wheel(bench.folder / "dependencies", "wells")
    bench.write("requirements.txt", "--no-index\n--find-links dependencies\nplates\n")
    bench.hook(
        "echo user $(id -u) in $(pwd)",
        "python3 -c 'import plates' 2> /dev/null || echo no plates yet",
        "pip install --no-index dependencies/wells-1.0-py3-none-any.whl",
    )
    image = bench.build()
    said = bench.images().get(image.id).hook_output
    assert "user 0 in /opt/stepline/script\nno plates yet\n" in said
    assert set(said.splitlines()) <= set(bench.said)
    code = "import plates, wells; print(plates.VERSION, wells.VERSION)"
    assert bench.run(image, "python3", "-c", code) == "1.0 1.0"


def test_3_07_hook_that_fails_fails_the_build_with_its_output(bench):
    bench.hook("echo all is lost", "exit 7")
    error = raised(bench)
    assert "exit code 7; the end of what it said:\nall is lost" in error.what
    assert str(error.where) == "init/before_install"
    assert "runs as root" in error.hint


def test_3_08_file_may_be_run_only_where_the_hook_says_so(bench):
    for name in ("yes.sh", "no.sh"):
        bench.write(name, "#!/bin/sh\necho ran\n").chmod(0o755)
    bench.hook("chmod a+x ./yes.sh")
    image = bench.build()
    assert LayerKind.HOOK not in {layer.kind for layer in image.layers}
    script = "./yes.sh; test ! -x no.sh && echo not"
    assert bench.run(image, "sh", "-c", script).split() == ["ran", "not"]


def test_hook_is_not_run_again_for_a_change_of_other_code(bench):
    bench.write("list.txt", "a\n")
    bench.hook("cat list.txt > /opt/list", "chmod +x main.py")
    first = bench.build()
    bench.write("main.py", "def f(input, context):\n    return 2\n")
    second = bench.build()
    assert FOUND in bench.said
    assert layer_of(first, LayerKind.HOOK) == layer_of(second, LayerKind.HOOK)
    assert bench.run(second, "sh", "-c", "test -x main.py && cat /opt/list") == "a"


@pytest.mark.parametrize("name", ["list.txt", "init/more", "new.txt"])
def test_hook_is_run_again_for_a_change_of_what_it_depends_on(bench, name):
    bench.write("list.txt", "a\n")
    bench.write("init/more", "b\n")
    bench.hook("cat list.txt init/more > /opt/list; ls")
    bench.build()
    bench.write(name, "c\n")
    bench.build()
    assert FOUND not in bench.said


def test_hook_changes_of_the_folder_hold_for_later_code(bench):
    bench.write("old.txt", "old")
    bench.hook("rm old.txt", "mkdir made", "echo made > made/file", "ln -s made/file link")
    bench.build()
    bench.write("main.py", "def f(input, context):\n    return 2\n")
    image = bench.build()
    assert FOUND in bench.said
    assert bench.run(image, "sh", "-c", "cat link; test ! -e old.txt && echo gone") == "made\ngone"


@pytest.fixture
def own_bench(hook_base, images_dir, engine, tmp_path):
    """A task script to give hooks to, with images of the test's own."""
    others = shutil.ignore_patterns("roots", "temporary", "locks", "images", "scripts", "hook")
    shutil.copytree(images_dir, tmp_path / "images", copy_function=os.link, ignore=others)
    return HookBench(tmp_path / "images", engine, tmp_path / "script")


def test_hook_is_not_run_again_because_another_image_was_removed(own_bench):
    own_bench.hook("echo made > made")  # and nothing outside the folder
    first = own_bench.build()
    own_bench.write("main.py", "second = True\n")
    second = own_bench.build()
    own_bench.images().remove(first.id)
    own_bench.write("main.py", "third = True\n")
    third = own_bench.build()
    assert FOUND in own_bench.said
    for image in (second, third):
        own_bench.images().remove(image.id)
    own_bench.build()
    assert FOUND not in own_bench.said


def test_hook_that_never_ends_is_killed_and_leaves_nothing(bench):
    ids, bounds = [], []

    def tell(line):
        if line == "waiting":
            ids.extend(containers(bench))
            told = [bench.engine._connection.client.inspect_container(each) for each in ids]
            bounds.extend((o["HostConfig"]["PidsLimit"], o["HostConfig"]["Memory"]) for o in told)

    bench.hook("echo waiting", "sleep 1000")
    hooks = Hooks(bench.steps(), limit_s=5)
    with pytest.raises(ConfigError, match="did not end in 5 s and was killed") as caught:
        hooks.get(script_version(bench.folder), bench.bases(), tell=tell)
    assert "waiting" in caught.value.what
    assert "no questions" in caught.value.hint
    assert bounds == [(8192, 16 * 1024**3)]
    assert len(ids) == 1
    assert not containers(bench)


def test_step_that_is_killed_leaves_nothing_of_roots(bench, tmp_path, monkeypatch):
    left = tmp_path / "left"
    left.mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    bases, steps = bench.bases(), bench.steps()
    ended = steps.run(
        "mkdir /run/left/a; touch /run/left/a/b; chmod 0 /run/left/a; sleep 1000",
        bases.hook.image,
        settings=steps.settings(tmp_path / "settings", base=bases.hook, must_have_apt=False),
        mounts=(Mount(source=str(left), target="/run/left", read_only=False),),
        scratch=tmp_path / "scratch",
        limit_s=3,
        tell=bench.said.append,
    )
    assert ended.code is None
    assert {path.stat().st_uid for path in (left, left / "a", left / "a" / "b")} == {12345}
    assert (left / "a").stat().st_mode & 0o700 == 0o700


def test_hook_command_that_cannot_import_fails_the_build_by_name(bench):
    wheels = bench.folder / "dependencies"
    make_command_wheel(wheels, "broken", source="import nowhere\n\ndef main():\n    pass\n")
    make_command_wheel(wheels, "sound", source="import sys\n\ndef main():\n    pass\nsys.exit(3)\n")
    bench.hook("pip install --no-index dependencies/*.whl")
    error = raised(bench)
    assert "broken: ModuleNotFoundError: No module named 'nowhere'" in error.what
    assert "sound" not in error.what
    assert "install what is missing" in error.hint


def test_hook_commands_that_can_import_are_told(bench):
    make_command_wheel(bench.folder / "dependencies", "sound", source="def main():\n    pass\n")
    bench.hook("pip install --no-index dependencies/*.whl")
    image = bench.build()
    assert "commands that the hook installed were checked, each can start: sound" in bench.said
    assert bench.run(image, "sh", "-c", "sound; command -v pip apt dpkg || echo no tools") == (
        "no tools"
    )
    tried = stacked(bench.bases().slim.image, [layer_of(image, LayerKind.HOOK)])
    assert bench.engine.image(tried.id) is None


def test_hook_settings_reach_it_and_leave_no_trace(bench, tmp_path):
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(Path("/etc/ssl/certs/ca-certificates.crt").read_text() + "# bundle-4711\n")
    seen = []

    def tell(line):
        if line == "look now":
            seen.append(output("docker", "inspect", *containers(bench)))
        seen.append(line)

    wheel = make_wheel(tmp_path / "wheels", "plates")
    with private_index(wheel, password=PASSWORD) as url:
        environ = {**os.environ, "PIP_INDEX_URL": url, "SSL_CERT_FILE": str(bundle)}
        environ["https_proxy"] = f"http://someone:{PASSWORD}@127.0.0.1:9"
        bench.hook(
            'test -n "$https_proxy" && tail -1 $SSL_CERT_FILE',
            "pip install plates",
            "echo look now; sleep 2; grep ^index-url $PIP_CONFIG_FILE",
        )
        image = bench.build(environ=environ, tell=tell)
    assert "# bundle-4711" in seen
    assert [line for line in seen if line.startswith("index-url = http://***@127.0.0.1:")]
    assert bench.run(image, "python3", "-c", "import plates; print(plates.VERSION)") == "1.0"
    layers = b"".join(path.read_bytes() for path in bench.files(image.layers))
    assert PASSWORD.encode() not in layers
    assert b"bundle-4711" not in layers
    history = output("docker", "history", "--no-trunc", image.id)
    told = [*seen, bench.images().get(image.id).hook_output, image.config, history]
    assert PASSWORD not in "\n".join(told)
    assert "/run/stepline" in "".join(seen)


def output(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=engine_environ())
    return done.stdout


def containers(bench):
    """Return the ids of the containers of this process's builds."""
    owner = own_name(BUILDS)
    return [each.id for each in bench.engine.containers() if each.owner == owner]


BUILD = """
import os, sys
from pathlib import Path
from stepline.bootstrap import Plugins
from tests.support.hooks import HookBench
images_dir, folder = map(Path, sys.argv[1:])
bench = HookBench(images_dir, Plugins(folder, os.environ).engine(), folder)
bench.hook("echo waiting", "sleep 60")
bench.build(tell=lambda line: print(line, flush=True))
"""


def test_hook_container_of_a_build_that_was_killed_is_removed_by_the_next(
    bench, images_dir, engine, tmp_path
):
    command = [sys.executable, "-c", BUILD, str(images_dir), str(tmp_path / "other")]
    environ = {**engine_environ(), "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as building:
        assert any(line == "waiting\n" for line in building.stdout)
        (left,) = [each for each in engine.containers() if f":{building.pid}:" in each.owner]
        building.kill()
    bench.hook("echo next")
    bench.build()
    assert left.id not in [each.id for each in engine.containers()]


@pytest.mark.parametrize("target", ["/opt/left", "left"], ids=["system", "folder"])
def test_hook_that_leaves_a_password_is_refused(bench, target):
    environ = {**os.environ, "PIP_INDEX_URL": f"https://me:{PASSWORD}@127.0.0.1:9/simple"}
    bench.hook(f"cp $PIP_CONFIG_FILE {target}")
    error = raised(bench, environ=environ)
    assert f"left a password of this machine's settings in {target.lstrip('/')}" in error.what
    assert PASSWORD not in str(error)


@pytest.mark.sandbox
@pytest.mark.skipif(os.geteuid() != 0, reason="hooks without an engine take root")
def test_hook_in_a_sandbox_makes_the_same_layers_as_in_a_container(bench):
    make_wheel(bench.folder / "dependencies", "plates")
    bench.hook(
        "pip install --no-index dependencies/*.whl",
        "rm -r /usr/share/ca-certificates",
        "echo x > new; chmod 4755 new; cp -p new /opt/new",
        # That of a namespace of its own, so that a test that fails does no harm.
        "if echo x > /proc/sys/kernel/domainname; then exit 9; fi",
    )
    version, bases = script_version(bench.folder), bench.bases()
    results = {}
    for way in ("container", "sandbox"):
        shutil.rmtree(bench.store.folder / "notes" / "hook", ignore_errors=True)
        results[way] = Hooks(bench.steps(way)).get(version, bases, tell=bench.said.append)
    assert results["sandbox"].layer == results["container"].layer
    assert results["sandbox"].changes == results["container"].changes
    tree = read_layers(bench.files((results["sandbox"].layer,)))
    assert tree["opt/new"].mode == 0o4755


def test_2_21_system_package_is_in_the_image_and_its_version_in_the_label(bench):
    image = bench.build(system=("tree",))
    assert bench.run(image, "tree", "--version").startswith("tree v")
    version = bench.images().get(image.id).parts["tree"]
    assert f'\\"tree\\":\\"{version}\\"' in image.config
    bench.hook("tree --version > /opt/tree", "rm /usr/bin/tree")
    with_hook = bench.build(system=("tree",))
    assert layer_of(with_hook, LayerKind.SYSTEM) == layer_of(image, LayerKind.SYSTEM)
    script = "cat /opt/tree; test ! -e /usr/bin/tree && echo gone"
    assert bench.run(with_hook, "sh", "-c", script).endswith("gone")
    (raw,) = bench.images().get(with_hook.id).aside
    assert bench.images().get(image.id).aside == (raw,)
    assert bench.engine.image(stacked(bench.bases().hook.image, [raw]).id) is None


@pytest.mark.parametrize(
    ("name", "what", "hint"),
    [
        ("treee", "there is no Debian package treee", "apt-cache search"),
        ("tree=99", "the Debian package tree has no version 99", r"there is tree=\d"),
        ("Not A Name", "'Not A Name' is no name", "NAME=VERSION"),
    ],
)
def test_system_package_that_is_not_there_is_named(bench, name, what, hint):
    error = raised(bench, system=(name,))
    assert error.what.startswith(what)
    assert str(error.where) == "config.json"
    assert re.search(hint, error.hint)


def test_sdist_of_python_alone_is_built_and_works(bench):
    make_sdist(
        bench.folder / "dependencies", "wellsfromsource", setup="py_modules=['wellsfromsource']"
    )
    bench.write("requirements.txt", "--find-links dependencies\nwellsfromsource\n")
    image = bench.build()
    code = "import wellsfromsource; print(wellsfromsource.VERSION)"
    assert bench.run(image, "python3", "-c", code) == "1.0"


def test_sdist_that_would_need_a_compiler_is_named(bench):
    extension = "Extension('platescompiled_fast', ['platescompiled_fast.c'])"
    make_sdist(bench.folder / "dependencies", "platescompiled", setup=f"ext_modules=[{extension}]")
    bench.write("requirements.txt", "--find-links dependencies\n\nplatescompiled\n")
    error = raised(bench)
    assert "platescompiled==1.0 has no wheel for the base and would need a compiler" in error.what
    assert str(error.where) == "requirements.txt:3:1"
    assert "a version that has a wheel" in error.hint


@pytest.mark.slow
def test_3_30_java_of_a_hook_works_in_the_image(bench):
    bench.hook("apt-get update", "apt-get install -y default-jre-headless")
    image = bench.build()
    assert "Runtime Environment" in bench.run(image, "sh", "-c", "java -version 2>&1")
    tree = read_layers(bench.files((layer_of(image, LayerKind.HOOK),)))
    assert not {"usr/bin/apt", "usr/bin/dpkg", "var/lib/apt"} & tree.keys()
