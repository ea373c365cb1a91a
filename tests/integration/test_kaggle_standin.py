"""The stand-in for Kaggle's service, driven by the real clients of both lines."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from types import SimpleNamespace

import pytest

from stepline.testing.kaggle_standin import KaggleStandIn, StatusError
from tests.support.kaggle_client import KEY, Client, installed

DATA = b'{"data": {"wells": [0.051, 0.049], "unit": "\xc2\xb5g"}}\n'
METADATA = {
    "title": "exampledataset",
    "id": "me/exampledataset",
    "licenses": [{"name": "CC0-1.0"}],
}

both_lines = pytest.mark.parametrize("line", ["2.2", "1.6"])
pytestmark = pytest.mark.kaggle


@pytest.fixture
def client(line, pytestconfig, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    return Client(line, installed(line, pytestconfig.cache), home)


@pytest.fixture
def kaggle():
    with KaggleStandIn(accounts={"me": KEY}) as service:
        yield service


@pytest.fixture
def folder(tmp_path):
    """A folder as a push function leaves it: one data file, metadata, and ``func``."""
    folder = tmp_path / "work"
    (folder / "func").mkdir(parents=True)
    (folder / "func/main.py").write_text("raise SystemExit\n")
    (folder / "data.json").write_bytes(DATA)
    (folder / "dataset-metadata.json").write_text(json.dumps(METADATA))
    return folder


def operations(kaggle):
    return [call.operation for call in kaggle.calls]


def fetch(url, **options):
    """Open a URL without any proxy; return status and body."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, **options), timeout=10) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


CREATING = {
    "2.2": ["GetDatasetStatus", "StartBlobUpload", "PutBlob", "CreateDataset"],
    "1.6": ["StartBlobUpload", "PutBlob", "CreateDataset"],
}


@both_lines
def test_create_new_name_receives_one_blob_and_one_dataset(client, kaggle, folder):
    done = client(kaggle, "datasets", "create", "-p", ".", cwd=folder)

    assert done.returncode == 0, done.stderr
    assert "is being created" in done.stdout
    assert operations(kaggle) == CREATING[client.line]
    assert {call.line for call in kaggle.calls} == {client.line, ""}
    assert [blob.name for blob in kaggle.blobs] == ["data.json"]
    dataset = kaggle.datasets["me/exampledataset"]
    assert (dataset.title, dataset.licence, dataset.private) == ("exampledataset", "CC0-1.0", True)
    (file,) = dataset.current.files
    assert (file.name, file.size) == ("data.json", len(DATA))
    assert kaggle.blob(file.sha256) == DATA
    assert file.sha256 == hashlib.sha256(DATA).hexdigest()


@both_lines
def test_version_of_existing_dataset_is_numbered_and_keeps_the_old_bytes(client, kaggle, folder):
    client(kaggle, "datasets", "create", "-p", ".", cwd=folder)
    (folder / "data.json").write_bytes(b"{}")

    done = client(kaggle, "datasets", "version", "-p", ".", "-m", "second reading", cwd=folder)

    assert done.returncode == 0, done.stderr
    first, second = kaggle.datasets["me/exampledataset"].versions
    assert (first.number, second.number, second.notes) == (1, 2, "second reading")
    assert kaggle.blob(first.files[0].sha256) == DATA
    assert kaggle.blob(second.files[0].sha256) == b"{}"


@both_lines
def test_version_of_missing_dataset_is_denied(client, kaggle, folder):
    done = client(kaggle, "datasets", "version", "-p", ".", "-m", "first", cwd=folder)

    assert done.returncode == 1
    assert "Permission 'datasets.update' was denied" in done.stdout + done.stderr
    assert not kaggle.datasets


@both_lines
def test_status_of_existing_and_missing_dataset_tells_them_apart(client, kaggle, folder):
    client(kaggle, "datasets", "create", "-p", ".", cwd=folder)

    there = client(kaggle, "datasets", "status", "me/exampledataset")
    missing = client(kaggle, "datasets", "status", "me/nothing-here")

    assert (there.returncode, there.stdout) == (0, "ready")
    assert missing.returncode == 1
    assert "me/nothing-here was not found" in missing.stdout + missing.stderr


@both_lines
def test_version_is_ready_after_as_many_asks_as_it_was_told(client, kaggle, folder):
    kaggle.processing = 1

    client(kaggle, "datasets", "create", "-p", ".", cwd=folder)
    said = [client(kaggle, "datasets", "status", "me/exampledataset").stdout for _ in range(2)]

    assert said == ["blobs_received", "ready"]
    assert kaggle.datasets["me/exampledataset"].current.status == "READY"


@pytest.mark.parametrize("line", ["2.2"])
def test_version_that_cannot_be_processed_ends_failed_and_keeps_its_description(
    client, kaggle, folder
):
    (folder / "dataset-metadata.json").write_text(json.dumps(METADATA | {"description": "Wells"}))
    kaggle.failure = "no table in it"

    client(kaggle, "datasets", "create", "-p", ".", cwd=folder)

    assert client(kaggle, "datasets", "status", "me/exampledataset").stdout == "failed"
    assert kaggle.datasets["me/exampledataset"].description == "Wells"


@both_lines
def test_files_lists_name_and_size(client, kaggle, folder):
    client(kaggle, "datasets", "create", "-p", ".", cwd=folder)

    done = client(kaggle, "datasets", "files", "me/exampledataset", "--csv")

    assert done.returncode == 0, done.stderr
    name, size, *_ = done.stdout.splitlines()[1].split(",")
    assert (name, size.removesuffix("B")) == ("data.json", str(len(DATA)))


@both_lines
def test_download_of_all_files_gives_the_same_bytes_back(client, kaggle, folder, tmp_path):
    client(kaggle, "datasets", "create", "-p", ".", cwd=folder)

    done = client(kaggle, "datasets", "download", "me/exampledataset", "-p", tmp_path / "got")

    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / "got/exampledataset.zip") as archive:
        assert archive.namelist() == ["data.json"]
        assert archive.read("data.json") == DATA


@both_lines
def test_download_of_one_file_gives_the_same_bytes_back(client, kaggle, folder, tmp_path):
    client(kaggle, "datasets", "create", "-p", ".", cwd=folder)

    place = ["-f", "data.json", "-p", tmp_path / "got"]
    done = client(kaggle, "datasets", "download", "me/exampledataset", *place)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "got/data.json").read_bytes() == DATA


@both_lines
def test_create_empty_file_arrives_empty(client, kaggle, folder):
    (folder / "data.json").write_bytes(b"")

    done = client(kaggle, "datasets", "create", "-p", ".", cwd=folder)

    assert done.returncode == 0, done.stderr
    (file,) = kaggle.datasets["me/exampledataset"].current.files
    assert (file.size, kaggle.blob(file.sha256)) == (0, b"")


@both_lines
def test_create_large_file_arrives_byte_for_byte(client, kaggle, folder):
    data = os.urandom(9 * 2**20 + 1)
    (folder / "data.json").write_bytes(data)

    done = client(kaggle, "datasets", "create", "-p", ".", cwd=folder)

    assert done.returncode == 0, done.stderr
    assert kaggle.blob(hashlib.sha256(data).hexdigest()) == data


@both_lines
def test_create_taken_name_prints_an_error_and_exits_0(client, folder):
    with KaggleStandIn(taken=["me/exampledataset"]) as kaggle:
        done = client(kaggle, "datasets", "create", "-p", ".", cwd=folder)

    assert done.returncode == 0
    assert "is already in use" in done.stdout
    assert [version.number for version in kaggle.datasets["me/exampledataset"].versions] == [1]


@both_lines
def test_create_status_error_prints_the_services_words_and_exits_0(client, folder):
    with KaggleStandIn(faults=[StatusError("CreateDataset", "no room on the shelf")]) as kaggle:
        done = client(kaggle, "datasets", "create", "-p", ".", cwd=folder)

    assert done.returncode == 0
    assert "Dataset creation error: no room on the shelf" in done.stdout
    assert not kaggle.datasets
    assert operations(kaggle) == CREATING[client.line]


@both_lines
def test_create_wrong_key_is_refused_before_any_byte(client, folder):
    with KaggleStandIn(accounts={"me": "another key"}) as kaggle:
        done = client(kaggle, "datasets", "create", "-p", ".", cwd=folder)

    assert done.returncode == 1
    assert not kaggle.blobs
    assert {call.status for call in kaggle.calls} == {401}


@both_lines
def test_record_holds_user_names_and_no_key(client, kaggle, folder):
    client(kaggle, "datasets", "create", "-p", ".", cwd=folder)

    users = {call.user for call in kaggle.calls if call.line}
    assert users == {"me"}
    assert KEY not in repr((kaggle.calls, kaggle.to_plain()))


@pytest.mark.parametrize("line", ["2.2"])
def test_client_not_moved_off_production_is_refused_here(client, kaggle):
    del (escaping := kaggle.env)["KAGGLE_API_ENVIRONMENT"]

    done = client(SimpleNamespace(env=escaping), "datasets", "status", "me/exampledataset")

    assert done.returncode == 1
    assert [(call.operation, call.path, call.status) for call in kaggle.calls] == [
        ("Elsewhere", "api.kaggle.com", 403)
    ]


@pytest.mark.parametrize(
    ("path", "options", "status"),
    [
        pytest.param("/api/v1/datasets/status/me/x", {}, 401, id="no-credentials"),
        pytest.param("/api/v1/kernels/output", {"data": b"{}"}, 404, id="unknown-path"),
        pytest.param("/api/v1/blobs/upload", {"data": b"{"}, 400, id="broken-json"),
        pytest.param("/api/v1/blobs/upload", {"data": b"[]"}, 400, id="not-an-object"),
        pytest.param(
            "/storage/uploads/upload-9", {"data": b"x", "method": "PUT"}, 404, id="unannounced"
        ),
    ],
)
def test_request_that_no_client_sends_is_refused(kaggle, path, options, status):
    got, body = fetch(kaggle.url + path, **options)

    assert got == status
    assert json.loads(body)["code"] == status


@pytest.fixture
def process(tmp_path):
    """The stand-in as a process of its own, and the URL that it printed."""
    module = [sys.executable, "-m", "stepline.testing.kaggle_standin", "--lifetime", "60"]
    places = ["--record", tmp_path / "record", "--pid-file", tmp_path / "pid"]
    with subprocess.Popen([*module, *places], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_process_writes_its_record_before_it_answers_and_ends_on_sigterm(process, tmp_path):
    process, url = process

    assert fetch(f"{url}/api/v1/datasets/status/me/x")[0] == 401

    record = json.loads((tmp_path / "record/record.json").read_text())
    assert record["url"] == url
    assert [call["status"] for call in record["calls"]] == [401]
    assert int((tmp_path / "pid").read_text()) == process.pid
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0
    assert not (tmp_path / "pid").exists()


@both_lines
def test_process_keeps_blobs_under_their_digest(client, process, folder, tmp_path):
    _, url = process
    env = {"KAGGLE_API_ENVIRONMENT": "LOCALHOST", "http_proxy": url}
    service = SimpleNamespace(env=env, env_legacy={"KAGGLE_API_ENDPOINT": url})

    client(service, "datasets", "create", "-p", ".", cwd=folder)

    record = json.loads((tmp_path / "record/record.json").read_text())
    (file,) = record["datasets"][0]["versions"][0]["files"]
    assert (tmp_path / "record/blobs" / file["sha256"]).read_bytes() == DATA


def test_process_ends_by_itself_after_its_lifetime():
    module = [sys.executable, "-m", "stepline.testing.kaggle_standin", "--lifetime", "0.3"]
    started = time.monotonic()

    done = subprocess.run(module, capture_output=True, text=True, timeout=30, check=True)

    assert done.stdout.startswith("http://127.0.0.1:")
    assert time.monotonic() - started >= 0.3
