"""Requirements as layers: locked with hashes, and the same files on every machine.

Packages come from wheels that the tests make, in folders or behind an index on loopback.
"""

import csv
import hashlib
import io
import json
import os
import sys
import tarfile
import threading
from base64 import b64encode, urlsafe_b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stepline.errors import ConfigError, PlatformError
from stepline.plugins.images_local.locking import lock_requirements
from stepline.plugins.images_local.packages import PackageLayers
from stepline.plugins.images_local.store import LayerStore
from stepline.plugins.images_local.wheels import Place, install_wheels
from tests.support.images import local_images, put_base, script_version
from tests.support.wheels import make_wheel

RUNTIME = "3.11"
SITE = f"/usr/local/lib/python{RUNTIME}/dist-packages"
PLACE = Place(runtime=RUNTIME, python="/usr/bin/python3", site=SITE)
PASSWORD = "s3cret-of-the-index"
LOCAL = "--no-index\n--find-links dependencies\n"


@pytest.fixture(scope="module")
def environ(tmp_path_factory):
    """Environment of a platform with a cache of its own, and no settings of this machine."""
    known = ("PATH", "LANG", "TMPDIR")
    kept = {name: os.environ[name] for name in known if name in os.environ}
    return {**kept, "HOME": str(tmp_path_factory.mktemp("home"))}


@pytest.fixture
def script(tmp_path):
    """A task script's folder."""
    folder = tmp_path / "script"
    folder.mkdir()
    return folder


@pytest.fixture
def index(tmp_path):
    """Address of a package index that wants a password, with two packages."""
    for name in ("plates", "wells"):
        make_wheel(tmp_path / "index" / name, name)
    handler = type("Index", (_Index,), {"folder": tmp_path / "index"})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}/simple/"
    server.shutdown()
    server.server_close()
    thread.join(10)


class _Index(BaseHTTPRequestHandler):
    """Serves pages and wheels to who knows the password."""

    folder: Path

    def do_GET(self):
        wanted = b64encode(f"user:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {wanted}":
            return self._answer(401, b"")
        parts = self.path.strip("/").split("/")
        found = self.folder.joinpath(*parts[1:])
        if found.is_file():
            return self._answer(200, found.read_bytes())
        if not found.is_dir():
            return self._answer(404, b"")
        links = (f'<a href="{path.name}">{path.name}</a>' for path in found.iterdir())
        return self._answer(200, "".join(links).encode(), kind="text/html")

    def _answer(self, code, body, *, kind="application/octet-stream"):
        self.send_response(code)
        if code == 401:
            self.send_header("WWW-Authenticate", "Basic")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *args):
        """Say nothing."""


def locked(script, environ, text):
    (script / "requirements.txt").write_text(text)
    return lock_requirements(script, runtime=RUNTIME, environ=environ)


def installed(script, environ, text, root):
    root.mkdir()
    lock = locked(script, environ, text)
    install_wheels(lock, root, place=PLACE, folder=script, environ=environ)
    return root


def no_wheels(requirements, target, folder):
    """Build no wheel of anything."""
    raise ConfigError(f"not built: {', '.join(requirements)}")


def packages(store, environ, tell=lambda line: None, build_wheels=no_wheels):
    return PackageLayers(store, PLACE, environ=environ, build_wheels=build_wheels, tell=tell)


def made(store, script, environ, text, **kwargs):
    (script / "requirements.txt").write_text(text)
    layers = packages(store, environ, **kwargs)
    return layers.layer(layers.lock(script), script)


@pytest.mark.parametrize(
    "line",
    [
        "--no-index\nfile:dependencies/plates-1.0-py3-none-any.whl",
        "--no-index\nplates @ file:dependencies/plates-1.0-py3-none-any.whl",
        "--no-index\n./dependencies/plates-1.0-py3-none-any.whl",
        f"{LOCAL}plates",
    ],
    ids=["file", "name and file", "path", "find links"],
)
def test_lock_of_local_wheels_can_be_installed_from_any_folder(script, environ, tmp_path, line):
    make_wheel(script / "dependencies", "plates")
    lock = locked(script, environ, line)
    assert "--hash=sha256:" in lock
    assert str(tmp_path) not in lock
    root = installed(script, environ, line, tmp_path / "root")
    assert (root / SITE[1:] / "plates.py").read_text() == "VERSION = '1.0'\n"


def test_lock_has_what_a_requirement_requires(script, environ):
    make_wheel(script / "dependencies", "wells")
    make_wheel(script / "dependencies", "plates", requires=["wells"])
    lock = locked(script, environ, f"{LOCAL}plates\n")
    assert [line.split()[0] for line in lock.splitlines() if "==" in line] == [
        "plates==1.0",
        "wells==1.0",
    ]


def test_hashes_of_the_author_hold(script, environ):
    wheel = make_wheel(script / "dependencies", "plates")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lock = locked(script, environ, f"{LOCAL}plates==1.0 --hash=sha256:{digest}\n")
    assert lock == f"plates==1.0 \\\n    --hash=sha256:{digest}\n"


def test_hash_that_no_file_has_is_refused(script, environ):
    make_wheel(script / "dependencies", "plates")
    with pytest.raises(ConfigError, match="no file of plates has a hash") as caught:
        locked(script, environ, f"{LOCAL}plates==1.0 --hash=sha256:{'0' * 64}\n")
    assert caught.value.where.line == 3
    assert "give the hashes" in caught.value.hint


@pytest.mark.parametrize("line", ["-r ../host.txt", "plates @ {wheel}", "-f ../wheels\nplates"])
def test_requirement_outside_of_the_folder_is_refused_and_not_shown(
    script, environ, tmp_path, line
):
    wheel = make_wheel(tmp_path / "wheels", "plates").as_uri()
    tmp_path.joinpath("host.txt").write_text("root:x:0:0\n")
    with pytest.raises(ConfigError, match="not in the task script's folder") as caught:
        locked(script, environ, f"--no-index\n{line.format(wheel=wheel)}\n")
    assert "root:x" not in str(caught.value)
    assert caught.value.where.line == 2


def test_package_that_requires_a_file_outside_of_the_folder_is_refused(script, environ, tmp_path):
    elsewhere = make_wheel(tmp_path / "wheels", "wells").as_uri()
    make_wheel(script / "dependencies", "plates", requires=[f"wells @ {elsewhere}"])
    line = "--no-index\n./dependencies/plates-1.0-py3-none-any.whl"
    with pytest.raises(ConfigError, match=r"wells-1.0-py3-none-any.whl is required"):
        made(LayerStore(tmp_path / "images"), script, environ, line)


def test_requirement_that_cannot_be_met_names_its_line(script, environ):
    make_wheel(script / "dependencies", "plates")
    with pytest.raises(ConfigError, match="cannot be met") as caught:
        locked(script, environ, f"{LOCAL}plates==2.0\n")
    assert (caught.value.where.path, caught.value.where.line) == ("requirements.txt", 3)


def test_index_that_cannot_be_reached_is_no_fault_of_the_script(script, environ):
    settings = {**environ, "UV_HTTP_RETRIES": "0"}
    with pytest.raises(PlatformError, match="package index cannot be used") as caught:
        locked(script, settings, "--index-url http://127.0.0.1:9/simple\nplates\n")
    assert caught.value.retryable


def test_files_tell_nothing_of_this_machine(script, environ, tmp_path):
    make_wheel(script / "dependencies", "plates")
    text = "--no-index\nfile:dependencies/plates-1.0-py3-none-any.whl"
    root = installed(script, environ, text, tmp_path / "root")
    for path in (path for path in root.rglob("*") if path.is_file()):
        content = path.read_text()
        assert str(tmp_path) not in content
        assert sys.prefix not in content
    names = {path.name for path in root.rglob("*")}
    assert not names & {"direct_url.json", "uv_cache.json", "uv_build.json", "__pycache__", ".lock"}


def test_command_starts_with_the_interpreter_of_the_image(script, environ, tmp_path):
    add_command(make_wheel(script / "dependencies", "plates"))
    root = installed(script, environ, f"{LOCAL}plates\n", tmp_path / "root")
    command = root / "usr" / "local" / "bin" / "count-plates"
    assert command.read_text().startswith("#!/usr/bin/python3\n")
    assert command.stat().st_mode & 0o111


def test_record_of_a_package_is_true(script, environ, tmp_path):
    add_command(make_wheel(script / "dependencies", "plates"))
    root = installed(script, environ, f"{LOCAL}plates\n", tmp_path / "root")
    site = root / SITE[1:]
    (record,) = site.glob("*.dist-info/RECORD")
    rows = list(csv.reader(record.read_text().splitlines()))
    there = {os.path.relpath(path, site) for path in root.rglob("*") if path.is_file()}
    assert {name for name, _, _ in rows} == there
    for name, digest, size in rows:
        content = (site / name).read_bytes()
        own = urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        assert name.endswith("RECORD") or (digest, size) == (f"sha256={own}", str(len(content)))


def add_command(wheel):
    """Give a package of one module a command."""
    import zipfile

    with zipfile.ZipFile(wheel, "a") as archive:
        name = "plates-1.0.dist-info/entry_points.txt"
        archive.writestr(name, "[console_scripts]\ncount-plates = plates:VERSION\n")


def test_layer_is_the_same_wherever_it_is_made(script, environ, tmp_path):
    make_wheel(script / "dependencies", "plates")
    text = "--no-index\nfile:dependencies/plates-1.0-py3-none-any.whl"
    first = made(LayerStore(tmp_path / "one"), script, environ, text)
    elsewhere = script.rename(tmp_path / "another place")
    home = {**environ, "HOME": str(tmp_path / "home")}
    assert made(LayerStore(tmp_path / "two"), elsewhere, home, text) == first


def test_lock_is_kept_for_the_same_requirements(script, environ, tmp_path):
    store, said = LayerStore(tmp_path / "images"), []
    make_wheel(script / "dependencies", "plates")
    (script / "requirements.txt").write_text(f"{LOCAL}plates\n")
    first = packages(store, environ).lock(script)
    (script / "main.py").write_text("changed = True\n")
    assert packages(store, environ, tell=said.append).lock(script) == first
    assert said == []
    make_wheel(script / "dependencies", "plates", version="1.1")
    assert "plates==1.1" in packages(store, environ, tell=said.append).lock(script).text


@pytest.fixture
def source_only(script):
    """A task script that requires a package which has no wheel."""
    put_source(script / "dependencies", "2.1")
    (script / "requirements.txt").write_text(f"{LOCAL}plates>=1\n")
    return script


def put_source(folder, form):
    """Put a source archive into a folder; from form 2.2 on its metadata holds for wheels too."""
    folder.mkdir(exist_ok=True)
    text = f"Metadata-Version: {form}\nName: plates\nVersion: 1.0\n".encode()
    member = tarfile.TarInfo("plates-1.0/PKG-INFO")
    member.size = len(text)
    with tarfile.open(folder / "plates-1.0.tar.gz", "w:gz") as archive:
        archive.addfile(member, io.BytesIO(text))


def test_requirement_without_a_wheel_is_built(source_only, environ, tmp_path):
    def build(requirements, target, folder):
        assert (list(requirements), folder) == (["plates==1.0"], source_only)
        make_wheel(target, "plates")

    store, said = LayerStore(tmp_path / "images"), []
    layers = packages(store, environ, tell=said.append, build_wheels=build)
    lock = layers.lock(source_only)
    assert lock.text.startswith("plates==1.0 ")
    assert store.has(layers.layer(lock, source_only))
    assert "no wheel of plates==1.0: building from source" in said
    again = packages(store, environ).lock(source_only)
    assert again == lock


@pytest.mark.parametrize("spoil", ["torn", "empty", "gone"])
@pytest.mark.parametrize("noted", [True, False], ids=["noted", "not noted"])
def test_built_wheel_that_is_not_whole_is_built_again(source_only, environ, tmp_path, spoil, noted):
    store = LayerStore(tmp_path / "images")
    layers = packages(
        store, environ, build_wheels=lambda names, target, _: make_wheel(target, "plates")
    )
    lock = layers.lock(source_only)
    (wheel,) = (store.folder / "wheels").glob("*/*.whl")
    content = wheel.read_bytes()
    wheel.unlink()
    if spoil != "gone":
        wheel.write_bytes(content[:-9] if spoil == "torn" else b"")
    if not noted:
        store.remove_note("locks", wheel.parent.name)
    assert layers.lock(source_only) == lock
    assert len(wheel.read_bytes()) == len(content)


@pytest.mark.parametrize(
    "line",
    ["file:dependencies/plates-1.0.tar.gz", "./dependencies/plates-1.0.tar.gz"],
    ids=["file", "path"],
)
@pytest.mark.parametrize("form", ["2.1", "2.2"], ids=["must be asked", "says all"])
def test_source_that_the_script_brings_is_built(source_only, environ, tmp_path, line, form):
    def build(requirements, target, folder):
        assert "plates-1.0.tar.gz" in requirements[0]
        make_wheel(target, "plates")

    put_source(source_only / "dependencies", form)
    (source_only / "requirements.txt").write_text(f"--no-index\n{line}\n")
    layers = packages(LayerStore(tmp_path / "images"), environ, build_wheels=build)
    lock = layers.lock(source_only)
    assert lock.text.startswith("plates==1.0 \\\n    --hash=sha256:")
    assert layers.layer(lock, source_only) is not None


@pytest.mark.parametrize("line", ["./project", "-e ./project"], ids=["path", "editable"])
def test_folder_of_sources_is_refused_with_the_way_to_have_it(script, environ, tmp_path, line):
    (script / "project").mkdir()
    (script / "project" / "pyproject.toml").write_text('[project]\nname = "p"\nversion = "1"\n')
    (script / "requirements.txt").write_text(f"--no-index\n{line}\n")
    with pytest.raises(ConfigError, match="is a folder of sources") as caught:
        packages(LayerStore(tmp_path / "images"), environ).lock(script)
    assert caught.value.where.line == 2
    assert "image.components" in caught.value.hint


def test_built_wheel_is_not_for_other_scripts(source_only, environ, tmp_path):
    store = LayerStore(tmp_path / "images")
    layers = packages(
        store, environ, build_wheels=lambda names, target, _: make_wheel(target, "plates")
    )
    layers.lock(source_only)
    (source_only / "requirements.txt").write_text(f"{LOCAL}plates\n")
    with pytest.raises(ConfigError, match=r"not built: plates==1\.0"):
        packages(store, environ).lock(source_only)


def test_requirement_without_a_wheel_names_its_line(source_only, environ):
    with pytest.raises(ConfigError, match="there is no wheel of plates==1") as caught:
        lock_requirements(source_only, runtime=RUNTIME, environ=environ)
    assert (caught.value.where.path, caught.value.where.line) == ("requirements.txt", 3)
    assert "dependencies/" in caught.value.hint


def test_password_of_the_index_gets_nowhere(script, environ, index, tmp_path):
    store, said = LayerStore(tmp_path / "images"), []
    settings = {**environ, "UV_DEFAULT_INDEX": f"http://user:{PASSWORD}@{index}"}
    layer = made(store, script, settings, "plates\n", tell=said.append)
    assert store.path(layer).stat().st_size == layer.size
    kept = [path for path in store.folder.rglob("*") if path.is_file()]
    assert len(kept) > 3
    assert not [path for path in kept if PASSWORD.encode() in path.read_bytes()]
    assert PASSWORD not in json.dumps(said)


def test_password_in_an_address_is_in_no_record(script, environ, index, tmp_path):
    address = f"http://user:{PASSWORD}@{index}plates/plates-1.0-py3-none-any.whl"
    (script / "requirements.txt").write_text(f"plates @ {address}\n")
    put_base(tmp_path / "images")
    images, said = local_images(tmp_path / "images", environ), []
    image = images.build(script_version(script), tell=said.append)
    record = images.get(image.id)
    assert "plates @ http://***@127.0.0.1" in record.lock
    assert PASSWORD not in json.dumps([record.to_plain(), said])
    packed = images.layer(image.layers[1]).read_bytes()
    assert PASSWORD.encode() not in packed


def test_wrong_password_of_the_index_is_told_without_it(script, environ, index, tmp_path):
    settings = {**environ, "PIP_INDEX_URL": f"http://user:{PASSWORD}x@{index}"}
    with pytest.raises(PlatformError, match="package index cannot be used") as caught:
        made(LayerStore(tmp_path / "images"), script, settings, "plates\n")
    assert PASSWORD not in str(caught.value)
    assert "PIP_INDEX_URL" in caught.value.hint


def test_requirements_that_ask_for_nothing_need_no_layer(script, environ, tmp_path):
    assert made(LayerStore(tmp_path / "images"), script, environ, "# nothing\n") is None
