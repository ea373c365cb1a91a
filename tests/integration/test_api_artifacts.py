"""Deploys over the wire that published clients speak, and what can be read of artifacts."""

import zipfile
from io import BytesIO

import pytest

from tests.support.serving import EXAMPLE, archive_of, archive_with, error_of, serving

SCRIPT = "/v1/artifact/task-scripts/private-demo/hello/v1.0.0"
PUBLISHED = "/v1/artifacts/task-scripts/private-demo/hello/v1.0.0"


@pytest.fixture(scope="module")
def api(tmp_path_factory, stepline_cache):
    with serving(tmp_path_factory.mktemp("service"), cache=stepline_cache) as made:
        made.deploy_example()
        yield made


@pytest.fixture(scope="module")
def archive():
    return archive_of(EXAMPLE / "task-scripts" / "hello")


def test_deploy_chunked_without_length_as_one_client_sends(api, archive):
    chunks = (archive[at : at + 8192] for at in range(0, len(archive), 8192))
    headers = {"x-org-slug": "demo", "content-type": ""}
    answer = api.post(SCRIPT, content=chunks, headers=headers)
    assert answer.status_code == 200
    assert isinstance(answer.json()["build"]["id"], str)


def test_deploy_log_is_whole_after_completion_and_token_goes_on(api, archive):
    build = api.deploy("task-scripts", archive, slug="logged")["build"]
    assert (build["buildComplete"], build["buildStatus"]) == (True, "SUCCEEDED")
    path = f"/v1/artifact/build-logs/{build['id']}"
    first = api.get(path, params={"nextToken": ""}).json()
    assert first == api.get(path).json()
    assert "is published" in first["events"][-1]["message"]
    rest = api.get(path, params={"nextToken": first["nextToken"]}).json()
    assert rest == {"nextToken": first["nextToken"], "events": []}


def test_deploy_failed_build_says_why(api):
    build = api.deploy("task-scripts", archive_with({"main.py": ""}), slug="bad")["build"]
    assert build["buildStatus"] == "FAILED"
    events = api.get(f"/v1/artifact/build-logs/{build['id']}").json()["events"]
    assert any("config.json" in event["message"] for event in events)


def test_deploy_existing_version_is_moved_only_by_force(api, archive):
    assert api.post(SCRIPT, content=archive).status_code == 200
    other = archive_with({"config.json": "{}"})
    answer = api.post(SCRIPT, content=other)
    assert answer.status_code == 409
    assert "published already" in error_of(answer)
    assert api.post(SCRIPT, content=other, params={"force": "true"}).status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("task-scripts/private-other/hello/v1.0.0", 403, "private-demo"),
        ("task-scripts/private-demo/hello/1.0", 422, "version"),
        ("task-scripts/private-demo/Hel%20lo/v1.0.0", 422, "slug"),
        ("ids/private-demo/hello/v1.0.0", 422, "cannot be published here"),
        ("cakes/private-demo/hello/v1.0.0", 404, "no kind of artifact 'cakes'"),
    ],
)
def test_deploy_wrong_name_is_refused(api, archive, path, status, said):
    answer = api.post(f"/v1/artifact/{path}", content=archive)
    assert answer.status_code == status
    assert said in error_of(answer)


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"no zip", 422, "no zip archive"),
        (b"", 422, "no zip archive"),
        (archive_with({"../main.py": ""}), 422, "../main.py"),
        (archive_with({"/main.py": ""}), 422, "main.py"),
    ],
    ids=["no zip", "empty", "parent", "absolute"],
)
def test_deploy_bad_archive_is_refused(api, content, status, said):
    answer = api.post(SCRIPT, content=content)
    assert answer.status_code == status
    assert said in error_of(answer)


@pytest.mark.parametrize("way", ["length", "chunked"])
def test_deploy_archive_over_limit_is_refused(api, way):
    size = 50 * 1024 * 1024 + 1
    chunks = (bytes(1024 * 1024) for _ in range(51))
    answer = api.post(SCRIPT, content=bytes(size) if way == "length" else chunks)
    assert answer.status_code == 413
    assert "at most 52,428,800 bytes" in error_of(answer)
    assert list((api.running.home / "scratch" / "http").iterdir()) == []


def test_artifacts_are_listed_by_namespace_and_slug(api):
    (record,) = api.get("/v1/artifacts/protocols/private-demo/hello").json()
    assert (record["type"], record["version"]) == ("protocol", "v1.0.0")
    assert record["otherVersions"] == ["v1.0.0"]
    assert api.get("/v1/artifacts/protocols/private-other").json() == []


def test_artifacts_latest_only_and_prereleases(api, archive):
    for version in ("v1.0.0", "v1.1.0", "v2.0.0-rc.1"):
        path = f"/v1/artifact/task-scripts/private-demo/several/{version}"
        build = api.post(path, content=archive).json()["build"]["id"]
        api.until(f"/v1/artifact/builds/{build}", lambda each: each["build"]["buildComplete"])
    path = "/v1/artifacts/task-scripts/private-demo/several"
    (newest,) = api.get(path, params={"latest_only": "true"}).json()
    assert newest["version"] == "v2.0.0-rc.1"
    given = {"latest_only": "true", "include_prereleases": "false"}
    (released,) = api.get(path, params=given).json()
    assert (released["version"], len(released["otherVersions"])) == ("v1.1.0", 2)


def test_artifacts_ids_are_none_and_no_error(api):
    path = "/v1//artifacts/ids/private-demo/lcuv"
    assert api.get(path, params={"latest_only": "true"}).json() == []
    answer = api.get(f"{path}/v1.0.0/files/schema")
    assert (answer.status_code, "no ids" in error_of(answer)) == (404, True)


def test_artifacts_relationships_have_both_names(api):
    found = api.get(f"{PUBLISHED}/relationships").json()
    assert found["protocols"] == [
        {"namespace": "private-demo", "slug": "hello", "version": "v1.0.0"}
    ]
    assert found["taskScripts"] == found["task-scripts"] == []


def test_artifacts_source_is_what_was_deployed(api):
    digest = api.get("/v1/artifacts/protocols/private-demo/hello/v1.0.0").json()["hash"]
    answer = api.get("/v1/artifacts/protocols/private-demo/hello/v1.0.0/source")
    deployed = (EXAMPLE / "protocols" / "hello" / "protocol.yml").read_bytes()
    assert zipfile.ZipFile(BytesIO(answer.content)).read("protocol.yml") == deployed
    assert answer.headers["etag"] == f'"{digest}"'
    assert api.get(f"/v1/sources/{digest}").content == answer.content
    again = api.get(f"/v1/sources/{digest}", headers={"if-none-match": f'"{digest}"'})
    assert again.status_code == 304
    assert list((api.running.home / "scratch" / "http").iterdir()) == []


@pytest.mark.parametrize("path", ["../protocol.yml", "%2e%2e/config.json", "none.py", ""])
def test_artifacts_file_outside_is_not_shown(api, path):
    files = "/v1/artifacts/protocols/private-demo/hello/v1.0.0/files/"
    assert api.get(files + path).status_code == 404


def test_artifacts_files_are_shown(api):
    files = "/v1/artifacts/protocols/private-demo/hello/v1.0.0/files"
    listed = [each["slug"] for each in api.get(files).json()]
    assert "protocol.yml" in listed
    assert "greet" in api.get(f"{files}/protocol.yml").json()["content"]


def test_artifacts_deleted_version_is_gone(api, archive):
    api.deploy("task-scripts", archive, slug="gone")
    path = "/v1/artifact/task-scripts/private-demo/gone/v1.0.0"
    assert api.delete(path).json()["slug"] == "gone"
    assert api.delete(path).status_code == 404
