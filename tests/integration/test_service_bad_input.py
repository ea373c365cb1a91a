"""What a running service answers to requests that are wrong, and that it keeps nothing of them."""

import concurrent.futures
import hashlib
import io
import json
import os
import socket
import zipfile

import pytest

from tests.support.projects import Project
from tests.support.served import Served, wait_for

WORK = "def work(input, context):\n    return 1\n"
SCRIPT = {
    "main.py": WORK,
    "config.json": json.dumps(
        {"language": "python", "functions": [{"slug": "work", "function": "main.work"}]}
    ),
    "requirements.txt": "",
}
STEP = {"id": "work", "function": "s/work"}
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def served(tmp_path_factory, stepline_cache):
    """A service that all tests of this file talk to; it ends orderly and has had no fault."""
    service = Served(Project(tmp_path_factory.mktemp("served"), stepline_cache))
    service.put_script("s", WORK, ["work"])
    yield service
    assert service.stop() == 0
    assert "fault" not in service.said


def held(served):
    """All that a refused request could have left."""
    return (
        served.get("/files")["total"],
        served.get("/pipelines")["total"],
        served.get("/settings")["items"],
        served.get("/secrets")["items"],
        [each["version"] for each in served.get("/artifacts/task-scripts")],
        [each["version"] for each in served.get("/artifacts/protocols")],
        sorted(os.listdir(served.home / "files" / "uploads")) if uploads(served) else [],
    )


def uploads(served):
    return (served.home / "files" / "uploads").is_dir()


UPLOAD = {"path": "a.txt"}
PIPELINE = {
    "name": "p",
    "masterScriptNamespace": "private-demo",
    "masterScriptSlug": "p",
    "masterScriptVersion": "v1.0.0",
    "triggerType": "custom",
    "triggerCondition": {},
}


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("POST", "/uploads", {**UPLOAD, "colour": "red"}, "colour"),
        ("POST", "/uploads", {**UPLOAD, "labels": [{"name": "a", "value": "b", "id": 1}]}, "id"),
        ("PUT", "/settings/a", {"value": 1, "secret": True}, "secret"),
        ("PUT", "/secrets/a", {"value": "abcdefgh", "kind": "key"}, "kind"),
        ("POST", "/pipelines/p/reprocess", {"kinds": ["failed"], "force": True}, "force"),
        ("POST", "/pipeline/p/status", {"status": "paused", "why": "x"}, "why"),
        ("POST", "/files/f/link", {"ttl": 3}, "ttl"),
    ],
)
def test_unknown_field_is_refused_by_its_name(served, method, path, body, words):
    before = held(served)
    assert words in served.refused(method, path, 400, json=body)
    assert held(served) == before


def test_unknown_field_of_a_pipeline_is_refused_by_its_name(served):
    before = held(served)
    message = served.refused("POST", "/pipeline/create", 422, json={**PIPELINE, "colour": "red"})
    assert "colour" in message
    assert held(served) == before


def test_unknown_parameter_is_refused_by_its_name(served):
    assert "colour" in served.refused("GET", "/files?colour=red", 400)
    assert "colour" in served.refused("POST", "/files?path=a.txt&colour=red", 400, content=b"x")


@pytest.mark.parametrize(
    ("method", "path", "request_", "words"),
    [
        ("POST", "/uploads", {"json": {"path": 7}}, "path"),
        ("POST", "/uploads", {"json": {**UPLOAD, "size": "12"}}, "size"),
        ("POST", "/uploads", {"json": {**UPLOAD, "size": -1}}, "size"),
        ("POST", "/uploads", {"json": {**UPLOAD, "labels": {"a": "b"}}}, "labels"),
        ("POST", "/uploads", {"json": ["a.txt"]}, ""),
        ("PUT", "/secrets/a", {"json": {"value": 12345678}}, "value"),
        ("POST", "/pipeline/p/status", {"json": {"status": "asleep"}}, "status"),
        ("GET", "/files?limit=many", {}, "limit"),
        ("GET", "/files?limit=1001", {}, "limit"),
        ("GET", "/files?after=-1", {}, "after"),
        ("POST", "/uploads", {"content": b'{"path": '}, "JSON"),
    ],
)
def test_value_of_a_wrong_type_is_refused_by_its_name(served, method, path, request_, words):
    before = held(served)
    assert words in served.refused(method, path, 400, **request_)
    assert held(served) == before


def test_secret_that_is_refused_is_not_shown(served):
    message = served.refused("PUT", "/secrets/a", 400, json={"value": ["hush-hush-42"]})
    short = served.refused("PUT", "/secrets/a", 422, json={"value": "hush"})
    assert "hush" not in message + short + served.said


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"ts-auth-token": ""}, 401),
        ({"ts-auth-token": "wrong"}, 401),
        ({"x-org-slug": "another"}, 403),
    ],
    ids=["none", "wrong", "organisation"],
)
def test_wrong_token_gets_nothing_and_does_nothing(served, headers, status):
    before = held(served)
    for method, path in (("GET", "/files"), ("POST", "/files?path=a.txt"), ("GET", "/secrets")):
        message = served.refused(method, path, status, headers=headers)
        assert served.auth["auth_token"] not in message
    assert held(served) == before


def archive(files):
    """Return a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return buffer.getvalue()


def link():
    info = zipfile.ZipInfo("data")
    info.external_attr = 0o120777 << 16
    return info


def built(served, path, content):
    """Send an archive; return how its build ended and its log."""
    build_id = served.http.post(f"/artifact/{path}", content=content).json()["build"]["id"]
    wait_for(lambda: served.get(f"/artifact/builds/{build_id}")["build"]["buildComplete"])
    events = served.get(f"/artifact/build-logs/{build_id}")["events"]
    build = served.get(f"/artifact/builds/{build_id}")["build"]
    return build["buildStatus"], "\n".join(each["message"] for each in events)


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 422, "archive"),
        (b"no zip", 422, "archive"),
        (archive(SCRIPT)[:-30], 422, "cut off"),
        (archive({**SCRIPT, "../up.py": "x"}), 422, ".."),
        (archive({**SCRIPT, "/etc/up.py": "x"}), 422, "/etc/up.py"),
        (archive({**SCRIPT, link(): "/etc/passwd"}), 422, "link"),
    ],
    ids=["empty", "no zip", "cut off", "up", "absolute", "link"],
)
def test_archive_that_is_none_is_refused_with_a_reason(served, content, status, words):
    before = held(served)
    path = "/artifact/task-scripts/private-demo/bad/v1.0.0"
    assert words in served.refused("POST", path, status, content=content)
    assert held(served) == before


def test_archive_that_unpacks_to_too_much_is_refused(served):
    before = held(served)
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed,
        packed.open("zeros", "w", force_zip64=True) as zeros,
    ):
        for _ in range(520):
            zeros.write(bytes(MIB))
    path = "/artifact/task-scripts/private-demo/bad/v1.0.0"
    message = served.refused("POST", path, 413, content=buffer.getvalue())
    assert "at most 512 MiB" in message
    assert served.memory_kib() < 300 * 1024
    assert held(served) == before


def test_archive_without_requirements_is_not_published(served):
    before = held(served)
    content = archive({n: c for n, c in SCRIPT.items() if n != "requirements.txt"})
    status, log = built(served, "task-scripts/private-demo/bad/v1.0.0", content)
    assert status == "FAILED"
    assert "requirements.txt" in log
    assert held(served) == before


def test_version_that_exists_is_refused_and_stays(served):
    before = served.get("/artifacts/task-scripts/private-demo/s/v1.0.0")
    path = "/artifact/task-scripts/private-demo/s/v1.0.0"
    other = archive({**SCRIPT, "main.py": WORK + "# other\n"})
    message = served.refused("POST", path, 409, content=other)
    assert "private-demo/s:v1.0.0 is published already" in message
    assert "-f" in message
    assert served.get("/artifacts/task-scripts/private-demo/s/v1.0.0") == before


def test_protocol_with_an_unpublished_task_script_is_refused_with_its_place(served):
    before = held(served)
    text = (
        "protocolSchema: v3\nsteps:\n  - id: a\n    task:\n      namespace: private-demo\n"
        "      slug: nobodys\n      version: v1.0.0\n      function: work\n"
    )
    path = "master-scripts/private-demo/p/v1.0.0"
    status, log = built(served, path, archive({"protocol.yml": text}))
    assert status == "FAILED"
    assert "protocol.yml:6:" in log
    assert "nobodys" in log
    assert held(served) == before


def test_pipeline_without_a_required_value_is_refused(served):
    config = {"plate": {"label": "Plate number", "type": "number", "required": True}}
    served.put_protocol("plates", [STEP], config=config)
    before = held(served)
    given = {**PIPELINE, "masterScriptSlug": "plates"}
    message = served.refused("POST", "/pipeline/create", 422, json=given)
    assert "Plate number" in message
    assert "required" in message
    missing = served.refused("POST", "/pipeline/create", 404, json=PIPELINE)
    assert "private-demo/p:v1.0.0" in missing
    assert held(served) == before


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ({"name": "plate", "value": "7" * 257}, "256"),
        ({"name": "p" * 129, "value": "7"}, "128"),
        ({"name": "plate", "value": ""}, "label value '' is empty"),
        ({"name": "plate", "value": "a\nb"}, "line break"),
    ],
    ids=["value", "name", "empty", "line break"],
)
def test_label_over_its_limits_is_refused_everywhere(served, label, words):
    record = served.upload("labelled.txt", "x", label="kept=yes")
    before = held(served)
    about = {**UPLOAD, "labels": [label]}
    assert words in served.refused("POST", "/uploads", 422, json=about)
    given = {"path": "a.txt", "label": f"{label['name']}={label['value']}"}
    assert words in served.refused("POST", "/files", 422, content=b"x", params=given)
    path = f"/files/{record['fileId']}/labels"
    assert words in served.refused("POST", path, 422, json=[label])
    assert [each["name"] for each in served.get(path)] == ["kept"]
    assert held(served) == before


# Uploads.


def send_part_of(served, method, path, *, offset, content, announced):
    """Send less than what was announced, and break the connection."""
    host, port = served.http.base_url.host, served.http.base_url.port
    head = (
        f"{method} /v1{path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
        f"ts-auth-token: {served.auth['auth_token']}\r\nUpload-Offset: {offset}\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {announced}\r\n\r\n"
    )
    with socket.create_connection((host, port), timeout=30) as connection:
        connection.sendall(head.encode() + content)


def test_upload_cut_in_the_middle_is_resumed(served):
    content = os.urandom(3 * MIB + 17)
    begun = served.post("/uploads", {"path": "cut.bin", "size": len(content)})
    path = f"/uploads/{begun['id']}"
    part = content[: 2 * MIB + 5]
    send_part_of(served, "PATCH", path, offset=0, content=part, announced=len(content))
    wait_for(lambda: served.get(path)["offset"] == len(part))
    assert served.http.get(f"/fileinfo/{begun['fileId']}").status_code == 404
    wrong = served.http.patch(path, content=b"x", headers={"Upload-Offset": "0"})
    assert (wrong.status_code, wrong.headers["Upload-Offset"]) == (409, str(len(part)))
    rest = {"Upload-Offset": str(len(part))}
    assert served.http.patch(path, content=content[len(part) :], headers=rest).status_code == 204
    sha256 = hashlib.sha256(content).hexdigest()
    record = served.post(f"{path}/finish", {"sha256": sha256})
    assert (record["fileId"], record["sha256"]) == (begun["fileId"], sha256)
    assert served.http.get(f"/files/{record['fileId']}/content").content == content
    served.refused("POST", f"{path}/finish", 404)  # it was done; the file is there once
    assert len(served.get(f"/files/{record['fileId']}/versions")["items"]) == 1


def test_upload_finished_too_early_goes_on_and_is_never_half(served):
    begun = served.post("/uploads", {"path": "early.bin", "size": 10})
    path = f"/uploads/{begun['id']}"
    served.http.patch(path, content=b"12345", headers={"Upload-Offset": "0"})
    assert "10" in served.refused("POST", f"{path}/finish", 422)
    assert served.http.get(f"/fileinfo/{begun['fileId']}").status_code == 404
    served.http.patch(path, content=b"67890", headers={"Upload-Offset": "5"})
    record = served.post(f"{path}/finish")
    assert served.http.get(f"/files/{record['fileId']}/content").content == b"1234567890"


def test_upload_in_one_request_that_is_cut_leaves_nothing(served):
    before = held(served)
    part = os.urandom(MIB + 5)
    send_part_of(served, "POST", "/files?path=once.bin", offset=0, content=part, announced=4 * MIB)
    wait_for(lambda: held(served) == before)
    assert served.upload("once.bin", "whole")["size"] == 5


def test_upload_with_another_digest_is_refused(served):
    before = held(served)
    wanted = {"path": "digest.bin", "sha256": "0" * 64}
    message = served.refused("POST", "/files", 422, content=b"x", params=wanted)
    assert "0" * 64 in message
    assert held(served) == before


def test_uploads_of_one_path_at_once_are_versions_of_one_file(served):
    contents = [f"content {number}".encode() for number in range(8)]
    with concurrent.futures.ThreadPoolExecutor(len(contents)) as pool:
        records = list(pool.map(lambda each: served.upload("same.txt", each), contents))
    items = served.get(f"/files/{records[0]['fileId']}/versions")["items"]
    assert sorted(each["fileId"] for each in items) == sorted(each["fileId"] for each in records)
    kept = [served.http.get(f"/files/{each['fileId']}/content").content for each in records]
    assert kept == contents


def test_parts_of_one_upload_at_once_are_taken_once(served):
    begun = served.post("/uploads", {"path": "parts.bin"})
    path, part = f"/uploads/{begun['id']}", os.urandom(2 * MIB)

    def send(_):
        answer = served.http.patch(path, content=part, headers={"Upload-Offset": "0"})
        return answer.status_code

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(send, range(4)))
    assert statuses.count(204) == 1
    assert set(statuses) <= {204, 409, 423}
    record = served.post(f"{path}/finish", {"sha256": hashlib.sha256(part).hexdigest()})
    assert record["size"] == len(part)
