"""The servers that pushes are tested with do what such tests lean on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.support.client_environments import client_environment
from tests.support.own_servers import end_group, running
from tests.support.served import wait_for

ROOT = Path(__file__).parents[2]

RUNS = """
import sys, time, mlflow
client = mlflow.MlflowClient(sys.argv[1])
experiment = client.create_experiment("servers")
run = client.create_run(experiment, tags={"of": "a test"})
client.log_artifact(run.info.run_id, sys.argv[2])
client.create_registered_model("servers")
uri = f"{run.info.artifact_uri}/note.txt"
made = client.create_model_version("servers", uri, run_id=run.info.run_id)
client.set_registered_model_alias("servers", "stable", made.version)
client.set_terminated(run.info.run_id)
"""


@pytest.mark.mlflow
@pytest.mark.slow
def test_mlflow_server_shows_what_its_real_client_made(mlflow_server, pytestconfig, tmp_path):
    (tmp_path / "note.txt").write_text("hello")
    python = pytestconfig.cache.mkdir("mlflow") / "venv/bin/python"
    environ = {"MLFLOW_DISABLE_TELEMETRY": "true", "PATH": os.environ["PATH"], "HOME": tmp_path}
    words = [python, "-c", RUNS, mlflow_server.url, tmp_path / "note.txt"]
    subprocess.run(words, env=environ, cwd=tmp_path, check=True, timeout=120)
    (run,) = mlflow_server.runs("servers")
    assert run["info"]["status"] == "FINISHED"
    assert {"key": "of", "value": "a test"} in run["data"]["tags"]
    assert mlflow_server.artifact(run, "note.txt") == b"hello"
    (version,) = mlflow_server.versions("servers")
    assert version["run_id"] == run["info"]["run_id"]
    assert mlflow_server.aliases("servers") == {"stable": version["version"]} == {"stable": "1"}
    assert mlflow_server.runs("no such experiment") == []


@pytest.mark.mlflow
@pytest.mark.slow
def test_mlflow_server_has_all_its_processes_in_the_group_that_is_ended(mlflow_server):
    below = list(descendants(mlflow_server.pid))
    assert below, "it has workers"
    assert {os.getpgid(pid) for pid in below} == {mlflow_server.pid}


def descendants(pid):
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, listed.read_text().split()):
            yield child
            yield from descendants(child)


@pytest.mark.s3
def test_moto_server_keeps_objects_until_it_is_reset(moto_server):
    moto_server.bucket("plates")
    moto_server.client("s3").put_object(Bucket="plates", Key="a/b.txt", Body=b"hello")
    assert moto_server.objects("plates") == {"a/b.txt": b"hello"}
    moto_server.reset()
    assert moto_server.client("s3").list_buckets()["Buckets"] == []


@pytest.mark.s3
@pytest.mark.parametrize(
    ("key", "code"),
    [
        pytest.param("unknown", "InvalidAccessKeyId", id="unknown key"),
        pytest.param("wrong", "SignatureDoesNotMatch", id="wrong secret"),
        pytest.param("reader", "AccessDenied", id="no right"),
        pytest.param("writer", None, id="the right"),
    ],
)
def test_moto_server_locked_lets_each_user_do_what_it_may(moto_server, key, code):
    moto_server.bucket("plates")
    writer = moto_server.user("writer", "s3:PutObject")
    keys = {
        "unknown": ("AKIAIOSFODNN7EXAMPLE", "no-secret-of-anybody"),
        "wrong": (writer[0], "no-secret-of-anybody"),
        "reader": moto_server.user("reader", "s3:GetObject"),
        "writer": writer,
    }
    moto_server.lock()
    try:
        moto_server.client("s3", keys[key]).put_object(Bucket="plates", Key="a", Body=b"1")
        found = None
    except ClientError as error:
        found = error.response["Error"]["Code"]
    moto_server.unlock()
    assert found == code
    assert moto_server.objects("plates") == ({} if code else {"a": b"1"})


@pytest.mark.s3
def test_moto_server_keeps_versions(moto_server):
    s3 = moto_server.client("s3")
    bucket = moto_server.bucket("plates", versioned=True)
    made = [s3.put_object(Bucket=bucket, Key="a", Body=body)["VersionId"] for body in (b"1", b"2")]
    old = s3.get_object(Bucket=bucket, Key="a", VersionId=made[0])["Body"].read()
    assert (old, moto_server.objects(bucket)) == (b"1", {"a": b"2"})


def test_running_a_server_that_ends_tells_what_it_printed(tmp_path):
    words = ["sh", "-c", "echo no such option >&2; exit 2"]
    with (
        pytest.raises(AssertionError, match="it ended: no such option"),
        running(words, probe="http://127.0.0.1:9/", folder=tmp_path, up_s=10),
    ):
        pass


KILLED = """
import pathlib, sys, time
from tests.support.own_servers import free_port, running
folder, port = pathlib.Path(sys.argv[1]), free_port()
command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", port]
probe = f"http://127.0.0.1:{port}/"
with running(command, probe=probe, folder=folder, up_s=20) as process:
    print(process.pid, flush=True)
    time.sleep(60)
"""


def test_running_server_ends_with_who_started_it_also_by_a_kill(tmp_path):
    words = [sys.executable, "-c", KILLED, tmp_path]
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=environ) as starter:
        group = int(starter.stdout.readline())
        os.killpg(group, 0)
        starter.kill()
    wait_for(lambda: not has_group(group), within_s=10)


def has_group(number):
    try:
        os.killpg(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_end_group_ends_what_does_not_want_to(tmp_path):
    script = "trap '' TERM; sh -c \"trap '' TERM; sleep 60 & wait\" & echo up; wait"
    process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout.readline() == b"up\n"
    end_group(process, patience_s=0.2)
    process.stdout.close()
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


@pytest.mark.s3
def test_push_client_makes_an_environment_once_that_executors_find(push_client, stepline_cache):
    assert push_client("push-s3") == stepline_cache
    made = list(stepline_cache.glob("**/site-packages/boto3/__init__.py"))
    assert push_client("push-s3") == stepline_cache
    assert list(stepline_cache.glob("**/site-packages/boto3/__init__.py")) == made != []


def test_client_environment_without_a_registry_skips_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    words = {"cache": tmp_path / "cache", "scratch": tmp_path}
    with pytest.raises(pytest.skip.Exception, match="the client of push-s3 cannot be installed"):
        client_environment("push-s3", **words)
