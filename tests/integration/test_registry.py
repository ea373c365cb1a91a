"""The registry on a real state, a real store and real environments."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from stepline.app.archives import pack
from stepline.app.artifact_names import ForeignNamespace
from stepline.app.registry import Registry
from stepline.errors import ArtifactNotFound, UploadError, VersionExists
from stepline.model.artifact import ArtifactKind, ArtifactName, BuildStatus
from stepline.model.protocol import TaskReference
from stepline.model.task_script import TaskScript
from stepline.plugins.executor_process.pythons import own_version
from stepline.plugins.files_local.store import FolderStore
from stepline.plugins.state_sql import stepline_state
from tests.support.executors import make_process_executor, wait_until

ROOT = Path(__file__).parents[2]
HELLO = ROOT / "examples" / "hello"
SCRIPT = ArtifactName(ArtifactKind.TASK_SCRIPT, "private-demo", "hello", "v1.0.0")
PROTOCOL = ArtifactName(ArtifactKind.PROTOCOL, "private-demo", "hello", "v1.0.0")


class Service:
    """A registry over a folder; another over the same folder is the service after a crash."""

    def __init__(self, home, cache, executor):
        home.mkdir(exist_ok=True)
        self.home = home
        self.told, self.reported = [], []
        numbers = itertools.count(1)
        self.state = stepline_state(f"sqlite:///{home}/state.db")
        self.registry = Registry(
            self.state,
            FolderStore(str(home / "files")),
            executor=executor,
            cache_dir=cache,
            default_runtime=own_version(),
            org="demo",
            now=lambda: f"2026-11-20T12:00:00.{next(numbers):06}Z",
            new_id=lambda: f"build-{os.getpid()}-{next(numbers)}",
            published=lambda: self.told.append(len(self.told)),
            report=self.reported.append,
        )

    def upload(self, name, folder, **options):
        archive = self.home / "upload.zip"
        pack(folder, archive)
        return self.registry.upload(name, archive, **options)

    def put(self, name, folder, **options):
        """Upload and build; return the build at its end, and its log."""
        build = self.upload(name, folder, **options)
        while self.registry.build_next():
            pass
        return self.registry.build(build.id), self.log(build)

    def log(self, build):
        return [text for _, _, text in self.registry.build_log(build.id)]

    def digest(self, name):
        return self.registry.get(name).digest


@pytest.fixture(scope="module")
def executor(tmp_path_factory, stepline_cache):
    """An executor that all tests share."""
    made = make_process_executor(stepline_cache, tmp_path_factory.mktemp("tmp"))
    yield made
    made.close()


@pytest.fixture
def services(tmp_path, executor):
    """Starts services over one folder, each after the end of the one before."""
    made = []

    def make(cache="cache", executor=executor):
        for earlier in made:
            earlier.state.close()
        made.append(Service(tmp_path / "home", tmp_path / cache, executor))
        return made[-1]

    yield make
    for service in made:
        service.state.close()


@pytest.fixture
def service(services):
    """A service with nothing published."""
    return services()


@pytest.fixture
def hello(tmp_path):
    """The task script of the hello example, to change."""
    shutil.copytree(HELLO / "task-scripts" / "hello", tmp_path / "script")
    return tmp_path / "script"


@pytest.fixture
def protocol(tmp_path):
    """The protocol of the hello example, to change."""
    shutil.copytree(HELLO / "protocols" / "hello", tmp_path / "protocol")
    return tmp_path / "protocol"


def named(name, version):
    return ArtifactName(name.kind, name.namespace, name.slug, version)


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_upload_of_the_hello_example_publishes_it(service, hello, protocol):
    build, log = service.put(SCRIPT, hello)
    assert (build.status, log[-1]) == (
        BuildStatus.SUCCEEDED,
        f"{SCRIPT} is published: {build.digest}",
    )
    assert "imported every function: greet" in log
    assert not any("child process exited with code 1," in line for line in log)
    build, log = service.put(PROTOCOL, protocol)
    assert build.status is BuildStatus.SUCCEEDED
    assert [each.name for each in service.registry.list(ArtifactKind.TASK_SCRIPT)] == [SCRIPT]
    assert service.registry.relationships(SCRIPT) == (PROTOCOL,)
    assert service.registry.get(PROTOCOL).build_id == build.id


def test_upload_returns_before_the_build_which_needs_no_client(service, hello):
    build = service.upload(SCRIPT, hello)
    assert build.status is BuildStatus.IN_PROGRESS
    with pytest.raises(ArtifactNotFound):
        service.registry.get(SCRIPT)
    assert service.registry.build_next().status is BuildStatus.SUCCEEDED
    assert service.registry.build_next() is None


@pytest.mark.parametrize(
    ("file", "old", "new", "line"),
    [
        ("config.json", "main.greet", "main.gret", "config.json:"),
        ("config.json", '"functions"', '"function"', "config.json:"),
        ("config.json", "python3.11", "python3.99", "config.json:"),
        ("main.py", "def greet", "import no_such_module\ndef greet", "main.py:"),
        ("main.py", "def greet", "raise RuntimeError('no licence')\ndef greet", "main.py:"),
        ("manifest.json", '"task-script"', '"protocol"', "manifest.json:"),
        ("requirements.txt", "", "--no-index\nno-such-package==1.0\n", "requirements.txt:2"),
    ],
    ids=["function", "key", "runtime", "missing module", "raises", "kind", "requirement"],
)
def test_build_of_a_faulty_task_script_fails_with_the_place(service, hello, file, old, new, line):
    change(hello / file, old, new)
    build, log = service.put(SCRIPT, hello)
    assert build.status is BuildStatus.FAILED
    assert [text for text in log if line in text and "error: " in text]
    assert log[-1] == f"{SCRIPT} is not published"
    assert not any("/code/" in text for text in log)
    with pytest.raises(ArtifactNotFound):
        service.registry.get(SCRIPT)


@pytest.mark.parametrize("name", ["config.json", "requirements.txt"])
def test_build_without_a_file_fails_and_names_it(service, hello, name):
    (hello / name).unlink()
    build, log = service.put(SCRIPT, hello)
    assert build.status is BuildStatus.FAILED
    assert any(f"no {name}" in text for text in log)


def test_build_of_a_wrapped_folder_says_so(service, hello):
    (hello / "hello").mkdir()
    for path in list(hello.iterdir()):
        if path.is_file():
            path.rename(hello / "hello" / path.name)
    build, log = service.put(SCRIPT, hello)
    assert build.status is BuildStatus.FAILED
    assert any("upload the content of the folder 'hello'" in text for text in log)


def test_build_keeps_what_imports_print_but_not_words_that_stop_clients(service, hello):
    words = "child process exited with code 1, or so"
    change(hello / "main.py", "def greet", f"print({words!r})\ndef greet")
    build, log = service.put(SCRIPT, hello)
    assert build.status is BuildStatus.SUCCEEDED
    assert "child process exited with code 1; or so" in log


def test_build_whose_import_floods_its_log_keeps_a_part(service, hello):
    flood = (
        "for number in range(9000):\n    print(number)\nraise RuntimeError('at last')\ndef greet"
    )
    change(hello / "main.py", "def greet", flood)
    build, log = service.put(SCRIPT, hello)
    assert build.status is BuildStatus.FAILED
    assert "4999" in log
    assert "5000" not in log
    assert "further output is not kept: over 5,000 lines" in log
    assert [text for text in log if text.startswith("main.py:") and "at last" in text]
    assert "RuntimeError: at last" in log
    assert log[-1] == f"{SCRIPT} is not published"


def test_build_with_a_hook_is_refused_where_hooks_are(service, hello):
    (hello / "init").mkdir()
    (hello / "init" / "before_install").write_text("touch /made-by-the-hook\n")
    build, log = service.put(SCRIPT, hello)
    assert build.status is BuildStatus.FAILED
    assert any(text.startswith("error: init/before_install: ") for text in log)


def test_build_warns_of_a_manifest_with_another_identity(service, hello):
    change(hello / "manifest.json", "v1.0.0", "v9.9.9")
    build, log = service.put(SCRIPT, hello)
    assert build.status is BuildStatus.SUCCEEDED
    assert any("warning: the version is 'v9.9.9' here and 'v1.0.0'" in text for text in log)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "namespace: private-demo\n      slug",
            "namespace: common\n      slug",
            "did you mean private-demo/hello?",
        ),
        ("version: v1.0.0\n      function", "version: v2.0.0\n      function", "versions: v1.0.0"),
        ("version: v1.0.0\n      function", "version: 2.x\n      function", "versions: v1.0.0"),
        ("function: greet", "function: gret", "did you mean 'greet'?"),
        ("config.greeting", "config.greting", "config"),
    ],
    ids=["namespace", "version", "range", "function", "expression"],
)
def test_build_of_a_faulty_protocol_names_what_exists(service, hello, protocol, old, new, words):
    service.put(SCRIPT, hello)
    change(protocol / "protocol.yml", old, new)
    build, log = service.put(PROTOCOL, protocol)
    assert build.status is BuildStatus.FAILED
    assert [text for text in log if text.startswith("protocol.yml:") and ": error: " in text]
    assert any(words in text for text in log)


def test_build_of_a_protocol_before_its_task_script_fails(service, protocol):
    build, log = service.put(PROTOCOL, protocol)
    assert build.status is BuildStatus.FAILED
    assert any("private-demo/hello:v1.0.0 is not published" in text for text in log)
    assert any("publish it: stepline put task-script private-demo hello" in text for text in log)


def test_upload_of_an_existing_version_is_refused_unless_it_is_the_same(service, hello):
    first, _ = service.put(SCRIPT, hello)
    again = service.upload(SCRIPT, hello)
    assert (again.status, again.digest) == (BuildStatus.SUCCEEDED, first.digest)
    assert service.registry.build_next() is None
    assert service.log(again) == [f"{SCRIPT} has this content already: {first.digest}"]
    (hello / "more.py").write_text("")
    with pytest.raises(VersionExists, match="published already, with other content"):
        service.upload(SCRIPT, hello)
    assert service.digest(SCRIPT) == first.digest


def test_forced_upload_moves_the_version_and_keeps_the_old_digest(services, hello):
    service = services()
    old, _ = service.put(SCRIPT, hello)
    (hello / "more.py").write_text("MORE = 1\n")
    new, _ = service.put(SCRIPT, hello, force=True)
    assert new.digest != old.digest
    assert service.registry.get(SCRIPT).forced == 1
    other = services("another cache")
    version = other.registry.script_version(old.digest, SCRIPT)
    assert (version.digest, Path(version.folder, "more.py").exists()) == (old.digest, False)
    assert other.registry.resolve(TaskReference("private-demo", "hello", "v1.0.0", "greet")) == (
        SCRIPT,
        new.digest,
    )
    other.registry.source(old.digest, other.home / "source.zip")
    assert "more.py" not in zipfile.ZipFile(other.home / "source.zip").namelist()


def test_two_uploads_of_one_version_at_once_publish_one(service, hello):
    first = service.upload(SCRIPT, hello)
    (hello / "more.py").write_text("")
    second = service.upload(SCRIPT, hello)
    ended = [service.registry.build_next() for _ in range(2)]
    assert [build.id for build in ended] == [first.id, second.id]
    assert [build.status for build in ended] == [BuildStatus.SUCCEEDED, BuildStatus.FAILED]
    assert "was published meanwhile with other content" in service.log(second)[-1]
    assert service.digest(SCRIPT) == ended[0].digest


def test_several_builds_run_at_once_and_stop_in_time(service, hello):
    builds = []
    for number in range(4):
        (hello / "number.py").write_text(f"NUMBER = {number}\n")
        builds.append(service.upload(named(SCRIPT, f"v1.{number}.0"), hello))
    stop = threading.Event()
    thread = threading.Thread(target=service.registry.run_builds, args=(stop,))
    thread.start()
    builds.append(service.upload(named(SCRIPT, "v2.0.0"), hello))
    done = wait_until(
        lambda: all(service.registry.build(build.id).finished_at for build in builds), seconds=60
    )
    stop.set()
    thread.join(20)
    assert done
    assert not thread.is_alive()
    versions = [each.name.version for each in service.registry.list(ArtifactKind.TASK_SCRIPT)]
    assert versions == ["v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0", "v2.0.0"]


CRASH = """
import sys, threading, time
from pathlib import Path
from tests.integration.test_registry import SCRIPT, Service
from tests.support.executors import make_process_executor

home, cache, script, tmp = (Path(word) for word in sys.argv[1:])
service = Service(home, cache, make_process_executor(cache, tmp))
build = service.upload(SCRIPT, script)
threading.Thread(target=service.registry.build_next).start()
while not any("is ready" in text for text in service.log(build)):
    time.sleep(0.01)
print(build.id, flush=True)
"""


def test_build_that_a_crash_cut_off_is_finished_by_the_next_start(services, hello, tmp_path):
    slow = "import time\nprint('importing', flush=True)\ntime.sleep(1.0)\ndef greet"
    change(hello / "main.py", "def greet", slow)
    (tmp_path / "tmp").mkdir()
    words = [tmp_path / "home", tmp_path / "cache", hello, tmp_path / "tmp"]
    process = subprocess.Popen(
        [sys.executable, "-c", CRASH, *map(str, words)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with process:
        build_id = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    service = services()
    assert service.registry.build(build_id).status is BuildStatus.IN_PROGRESS
    ended = service.registry.build_next()
    assert (ended.id, ended.status) == (build_id, BuildStatus.SUCCEEDED)
    assert service.digest(SCRIPT) == ended.digest


def test_build_stays_in_progress_when_the_service_ends_in_its_middle(services, hello, tmp_path):
    (tmp_path / "tmp").mkdir()
    own = make_process_executor(tmp_path / "cache", tmp_path / "tmp")
    service = services(executor=own)
    change(hello / "main.py", "def greet", "import time\ntime.sleep(20)\ndef greet")
    build = service.upload(SCRIPT, hello)
    stop = threading.Event()
    thread = threading.Thread(target=service.registry.run_builds, args=(stop,))
    thread.start()
    assert wait_until(lambda: any("is ready" in x for x in service.log(build)), seconds=60)
    time.sleep(0.2)
    stop.set()
    own.close()
    thread.join(20)
    assert not thread.is_alive()
    assert service.registry.build(build.id).status is BuildStatus.IN_PROGRESS


def test_resolve_takes_the_newest_version_of_a_range(service, hello):
    for version in ("v1.0.0", "v1.2.0", "v1.10.0", "v2.0.0-rc.1"):
        service.put(named(SCRIPT, version), hello)
    for wanted, found in (("1.x", "v1.10.0"), ("~1.2", "v1.2.0"), ("v2.0.0-rc.1", "v2.0.0-rc.1")):
        task = TaskReference("private-demo", "hello", wanted, "greet")
        assert service.registry.resolve(task)[0].version == found
    with pytest.raises(ArtifactNotFound) as caught:
        service.registry.resolve(TaskReference("private-demo", "hello", "2.x", "greet"))
    assert caught.value.hint == "published versions: v2.0.0-rc.1, v1.10.0, v1.2.0, v1.0.0"
    latest = service.registry.list(SCRIPT.kind, latest_only=True, prereleases=False)
    assert [each.name.version for each in latest] == ["v1.10.0"]


def test_relationships_follow_ranges_and_end_with_the_version(service, hello, protocol):
    service.put(SCRIPT, hello)
    service.put(named(SCRIPT, "v2.0.0"), hello)
    change(
        protocol / "protocol.yml", "version: v1.0.0\n      function", "version: 1.x\n      function"
    )
    service.put(PROTOCOL, protocol)
    assert service.registry.relationships(SCRIPT) == (PROTOCOL,)
    assert service.registry.relationships(named(SCRIPT, "v2.0.0")) == ()
    service.registry.delete(SCRIPT)
    with pytest.raises(ArtifactNotFound) as caught:
        service.registry.get(SCRIPT)
    assert caught.value.hint == "published versions: v2.0.0"


def no_reading(*_, **__):
    raise AssertionError("a file is read")


def test_models_of_a_digest_survive_an_emptied_or_changed_cache(services, hello, protocol):
    service = services()
    script, _ = service.put(SCRIPT, hello)
    made, _ = service.put(PROTOCOL, protocol)
    kept = service.registry.folder(script.digest)
    (kept / "main.py").chmod(0o644)
    (kept / "main.py").write_text("raise SystemExit\n")
    other = services()
    version = other.registry.script_version(script.digest, SCRIPT)
    assert Path(version.folder, "main.py").read_text() == (hello / "main.py").read_text()
    assert isinstance(version.script, TaskScript)
    fresh = services("another cache")
    assert [step.id for step in fresh.registry.protocol(made.digest).steps] == ["greet"]


def test_models_of_a_digest_are_read_once(service, hello, protocol, monkeypatch):
    script, _ = service.put(SCRIPT, hello)
    made, _ = service.put(PROTOCOL, protocol)
    for use in (
        lambda: service.registry.script_version(script.digest, SCRIPT),
        lambda: service.registry.protocol(made.digest),
    ):
        first = use()
        with monkeypatch.context() as patch:
            patch.setattr("builtins.open", no_reading)
            again = use()
        assert again is first


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        (("private-other", "hello", "v1.0.0"), ForeignNamespace, "not that of the organisation"),
        (("common", "hello", "v1.0.0"), ForeignNamespace, "only an administrator"),
        (("client-demo", "hello", "v1.0.0"), UploadError, "namespace cannot be"),
        (("private-demo--x", "hello", "v1.0.0"), UploadError, "namespace cannot be"),
        (("private-demo", "../up", "v1.0.0"), UploadError, "slug cannot be"),
        (("private-demo", "hello", "1.0.0"), UploadError, "version cannot be"),
        (("private-demo", "hello", "latest"), UploadError, "version cannot be"),
    ],
)
def test_upload_under_a_name_that_is_refused_stores_nothing(service, hello, name, error, words):
    with pytest.raises(UploadError, match=words) as caught:
        service.upload(ArtifactName(ArtifactKind.TASK_SCRIPT, *name), hello)
    assert type(caught.value) is error
    assert caught.value.hint
    assert not (service.home / "files" / "blobs").exists()


def test_upload_by_an_administrator_may_use_the_common_namespace(service, hello):
    name = ArtifactName(ArtifactKind.TASK_SCRIPT, "common", "hello", "v1.0.0")
    build, _ = service.put(name, hello, common=True)
    assert build.status is BuildStatus.SUCCEEDED


def test_upload_of_no_archive_leaves_nothing(service):
    (service.home / "x.zip").write_text("not an archive")
    with pytest.raises(UploadError, match="no zip archive"):
        service.registry.upload(SCRIPT, service.home / "x.zip")
    assert not (service.home / "files" / "blobs").exists()
    assert not list((service.home.parent / "cache").glob("unpacking/*"))


def test_registry_tells_when_what_is_published_has_changed(service, hello, protocol):
    service.put(PROTOCOL, protocol)
    assert service.told == []
    service.put(SCRIPT, hello)
    assert len(service.told) == 1
    service.upload(SCRIPT, hello)
    assert len(service.told) == 1
    service.registry.delete(SCRIPT)
    assert len(service.told) == 2


def test_source_is_what_was_uploaded(service, hello):
    build, _ = service.put(SCRIPT, hello)
    assert service.registry.source(SCRIPT, service.home / "source.zip") == build.digest
    with zipfile.ZipFile(service.home / "source.zip") as source:
        assert json.loads(source.read("config.json")) == json.loads(
            (hello / "config.json").read_text()
        )
        assert sorted(source.namelist()) == sorted(path.name for path in hello.iterdir())


def test_build_that_the_state_cannot_take_is_reported_and_tried_again(service, hello):
    build = service.upload(SCRIPT, hello)
    stop = threading.Event()
    write, service.state.write = service.state.write, None
    thread = threading.Thread(target=service.registry.run_builds, args=(stop,))
    thread.start()
    reported = wait_until(lambda: service.reported)
    service.state.write = write
    done = wait_until(lambda: service.registry.build(build.id).finished_at, seconds=20)
    stop.set()
    thread.join(20)
    assert reported
    assert done
    assert service.reported[0].startswith("a build is tried again: ")
