"""The platform's end of a Context, against a task that does not keep to the sdk."""

import os
import re
from dataclasses import replace

import pytest

from stepline.app import task_context
from stepline.errors import PlatformError
from stepline.ports.files import Changes
from tests.support.contexts import IDS, World, references

GOOD = {
    "scratch": "content",
    "isData": False,
    "fileName": "o",
    "category": "PROCESSED",
    "ids": None,
    "sourceType": None,
    "customMetadata": {},
    "customTags": [],
    "labels": [],
}
PUBLISHED = {"namespace": "common", "slug": "plate-reader", "version": "v1.0.0"}
IDS_PARTS = {"namespace": "a", "slug": "b", "version": "c"}


@pytest.fixture
def hostile(attempt):
    """Call the platform as no sdk would; content lies in the scratch folder."""
    (attempt.scratch / "content").write_bytes(b"x")

    def call(method, **params):
        return attempt.service.answer(method, params)

    return call


def error_of(answer):
    assert set(answer) == {"error"}, answer
    return answer["error"]["type"]


def test_write_with_good_parameters_is_taken(hostile):
    assert hostile("write_file", **GOOD)["value"]["fileKey"].endswith("/PROCESSED/run42.json/o")


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        ({"category": "RAW"}, "InvalidFileCategoryError"),
        ({"category": ["IDS"]}, "InvalidFileCategoryError"),
        ({"fileName": "/etc/passwd"}, "InvalidPathException"),
        ({"fileName": "../../../x"}, "InvalidPathException"),
        ({"fileName": "a/\x00"}, "InvalidPathException"),
        ({"fileName": "\ud800"}, "InvalidPathException"),
        ({"fileName": "a/" * 400 + "b" * 250}, "InvalidPathException"),
        ({"fileName": None}, "TypeError"),
        ({"sourceType": 5}, "TypeError"),
        ({"sourceType": "A"}, "ValueError"),
        ({"customMetadata": None}, "TypeError"),
        ({"customMetadata": {"a": 5}}, "TypeError"),
        ({"customMetadata": {"a": "b" * 2000}}, "ValueError"),
        ({"customTags": "abc"}, "TypeError"),
        ({"customTags": [["a"]]}, "TypeError"),
        ({"customTags": ["a" * 100 + str(n) for n in range(20)]}, "ValueError"),
        ({"labels": None}, "ValueError"),
        ({"labels": [None]}, "ValueError"),
        ({"ids": 5}, "ValueError"),
        ({"ifMatch": "x"}, "ValueError"),
        ({"ifMatch": {}, "ifNoneMatch": "*"}, "ValueError"),
        ({"ifNoneMatch": "x"}, "ValueError"),
        ({"isData": True}, "ValueError"),
        ({"scratch": "missing"}, "ValueError"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_write_parameter_that_no_sdk_sends_is_refused(hostile, attempt, params, kind):
    assert error_of(hostile("write_file", **{**GOOD, **params})) == kind
    assert attempt.files.changes().files == ()


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "..", ".", "", None, 5, "a/b"])
def test_write_scratch_name_that_leads_elsewhere_is_refused(hostile, world, name):
    (world.root / "secret").write_text("host's own")
    assert error_of(hostile("write_file", **{**GOOD, "scratch": name})) == "ValueError"
    assert (world.root / "secret").read_text() == "host's own"


def place_symlink(scratch, secret):
    os.symlink(secret, scratch / "evil")


def place_hard_link(scratch, secret):
    os.link(secret, scratch / "evil")


def place_folder(scratch, secret):
    (scratch / "evil").mkdir()


def place_pipe(scratch, secret):
    os.mkfifo(scratch / "evil")


@pytest.mark.parametrize("place", [place_symlink, place_hard_link, place_folder, place_pipe])
def test_write_scratch_entry_that_is_no_plain_file_is_refused(hostile, attempt, world, place):
    secret = world.root / "secret"
    secret.write_text("host's own")
    place(attempt.scratch, secret)
    answer = hostile("write_file", **{**GOOD, "scratch": "evil"})
    assert error_of(answer) in ("ValueError", "PlatformError")
    assert attempt.files.changes().files == ()
    assert secret.read_text() == "host's own"


def test_write_set_user_id_bit_is_dropped(attempt, hostile):
    (attempt.scratch / "content").chmod(0o6755)
    pointer = hostile("write_file", **GOOD)["value"]
    path = attempt.files.bytes.local_path(attempt.record(pointer).blob)
    assert os.stat(path).st_mode & 0o7111 == 0


@pytest.mark.parametrize("name", ["\0", "\ud800", "a\0b"], ids=["zero", "half", "inside"])
@pytest.mark.parametrize("is_data", [True, False])
def test_scratch_name_that_no_file_can_have_is_refused(hostile, name, is_data):
    params = {**GOOD, "scratch": name, "isData": is_data, "category": "IDS", "ids": IDS}
    assert error_of(hostile("write_file", **params)) == "ValueError"
    assert error_of(hostile("validate_ids", scratch=name, **PUBLISHED)) == "ValueError"


def test_validate_ids_of_data_that_are_too_large_says_so(hostile, attempt):
    os.truncate(attempt.scratch / "content", 6 * 1024**3)
    error = hostile("validate_ids", scratch="content", **PUBLISHED)["error"]
    assert error["type"] == "ValueError"
    assert "6442450944 bytes; at most 67108864" in error["message"]


@pytest.mark.parametrize("kind", ["link", "pipe", "missing"])
def test_validate_ids_of_what_is_no_plain_file_is_refused(hostile, attempt, kind):
    if kind == "link":
        (attempt.scratch / "odd").symlink_to("content")
    elif kind == "pipe":
        os.mkfifo(attempt.scratch / "odd")
    assert error_of(hostile("validate_ids", scratch="odd", **PUBLISHED)) == "ValueError"


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e999"])
def test_get_ids_of_a_schema_that_is_no_strict_json_names_the_file(world, text):
    folder = world.root / "ids" / "ids" / "common" / "odd" / "v1"
    folder.mkdir(parents=True)
    (folder / "schema.json").write_text(f'{{"maximum": {text}}}')
    params = {"namespace": "common", "slug": "odd", "version": "v1"}
    error = world.attempt().service.answer("get_ids", params)["error"]
    assert error["type"] == "ValueError"
    assert re.search(rf"schema\.json.*{text}", error["message"])


def test_write_ids_that_are_not_allowed_are_refused(tmp_path):
    attempt = World(tmp_path).attempt(allowed_ids=references("common/x:v1"))
    (attempt.scratch / "content").write_bytes(b"{}")
    params = {**GOOD, "category": "IDS", "ids": IDS}
    assert error_of(attempt.service.answer("write_file", params)) == "IDSNotAllowed"


def test_write_outside_the_organisation_is_refused(world):
    attempt = world.attempt({"orgSlug": "other"})
    (attempt.scratch / "content").write_bytes(b"x")
    assert error_of(attempt.service.answer("write_file", GOOD)) == "InvalidPathException"


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000], ids=["cut", "bytes", "deep"])
def test_write_data_that_is_no_json_is_refused(hostile, attempt, content):
    (attempt.scratch / "content").write_bytes(content)
    params = {**GOOD, "isData": True, "category": "IDS", "ids": IDS}
    assert error_of(hostile("write_file", **params)) == "ValueError"


@pytest.mark.parametrize(
    ("method", "params", "kind"),
    [
        ("read_file", {}, "TypeError"),
        ("read_file", {"file": []}, "TypeError"),
        ("read_file", {"file": {"fileId": ["x"]}}, "FileNotFoundError"),
        ("get_file_info", {"fileId": None}, "FileNotFoundError"),
        ("get_presigned_url", {"file": {}}, "KeyError"),
        ("validate_ids", {"namespace": "a"}, "IDSValidateWrongParams"),
        ("validate_ids", {"namespace": "a", "slug": "..", "version": "v"}, "ValueError"),
        ("validate_ids", {**IDS_PARTS, "scratch": "../x"}, "ValueError"),
        ("resolve_secret", {}, "TypeError"),
        ("search_eql", {"payload": []}, "ValueError"),
        ("run_cmd", {}, "NotAvailableError"),
        ("__init__", {}, "NotAvailableError"),
        ("", {}, "NotAvailableError"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_call_that_no_sdk_makes_is_refused(hostile, method, params, kind):
    assert error_of(hostile(method, **params)) == kind


@pytest.mark.parametrize("ttl", [None, "300", -1, 901])
def test_presigned_url_time_is_checked_again(hostile, attempt, ttl):
    file = attempt.context.input_file
    assert error_of(hostile("get_presigned_url", file=file, ttlSec=ttl)) == "ValueError"


@pytest.mark.parametrize("params", [None, [], "text"], ids=repr)
def test_parameters_that_are_no_object_are_refused(attempt, params):
    assert error_of(attempt.service.answer("read_file", params)) == "TypeError"


def test_search_nested_without_end_is_refused(hostile):
    query = {"match_all": {}}
    for _ in range(100_000):
        query = {"bool": {"must": query}}
    assert error_of(hostile("search_eql", payload={"query": query})) == "ValueError"


def test_failure_of_the_platform_is_told_as_such(world):
    class Broken:
        def read(self, name):
            raise PlatformError("the vault does not answer")

    attempt = world.attempt(secrets=Broken())
    answer = attempt.service.answer("resolve_secret", {"ssm": "x"})
    assert answer["error"] == {"type": "PlatformError", "message": "the vault does not answer"}


def test_secrets_without_a_backend_are_none(world):
    attempt = world.attempt(secrets=None)
    assert attempt.service.answer("resolve_secret", {"ssm": "x"})["value"]["value"] is None


def test_input_key_with_too_few_parts_is_refused(world):
    record = world.input
    short = type(record.pointer)("local", "local/RAW/x", "short", "v1")
    world.catalog.commit(task_files(record, short))
    attempt = world.attempt({"inputFile": short.to_plain()})
    (attempt.scratch / "content").write_bytes(b"x")
    answer = attempt.service.answer("write_file", GOOD)
    assert "is not <org>/<source>/<category>/<path>" in answer["error"]["message"]


def test_input_key_with_double_slashes_is_collapsed(world):
    record = world.input
    slashed = type(record.pointer)("local", "local//src/RAW//a//b.csv", "slashed", "v1")
    world.catalog.commit(task_files(record, slashed))
    attempt = world.attempt({"inputFile": slashed.to_plain()})
    (attempt.scratch / "content").write_bytes(b"x")
    key = attempt.service.answer("write_file", GOOD)["value"]["fileKey"]
    assert key == "local/src/PROCESSED/a/b.csv/o"


def task_files(record, pointer):
    return Changes(files=(replace(record, pointer=pointer),))


def test_every_call_is_in_the_table():
    table = task_context.__doc__.partition("====")[2]
    listed = re.findall(r"^([a-z_]+) ", table, re.MULTILINE)
    assert sorted(listed) == sorted(["method", *task_context.HANDLERS])


def test_presigned_url_link_in_place_of_its_folder_is_not_followed(
    hostile, attempt, tmp_path, monkeypatch
):
    elsewhere, make = tmp_path / "elsewhere", os.mkdir
    elsewhere.mkdir(mode=0o700)

    def exchange(path):
        make(path)
        os.rename(path, f"{path}-own")
        os.symlink(elsewhere, path)

    monkeypatch.setattr(os, "mkdir", exchange)
    answer = hostile("get_presigned_url", file=attempt.context.input_file, ttlSec=300)
    assert error_of(answer) == "PlatformError"
    assert list(elsewhere.iterdir()) == []
    assert elsewhere.stat().st_mode & 0o777 == 0o700
