"""Secret values in files that are about to leave, however they are written there."""

import base64
import bz2
import gzip
import io
import json
import lzma
import zipfile
from urllib.parse import quote

import pytest

from stepline.app import secret_search
from stepline.app.secret_search import Found, find_secrets
from stepline.errors import UploadError

KEY = 'p"ass/w+ord: 42'
KEY_FILE = (
    "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEA\n-----END KEY-----\n"
)
ACCOUNT = json.dumps({"id": "me", "private_key": KEY_FILE}, indent=1)


def found_in(content, **values):
    return find_secrets(io.BytesIO(content), values or {"key": KEY})


def spoilt(content, at):
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


def zipped(**members):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.mark.parametrize(
    "written",
    [
        KEY.encode(),
        json.dumps({"a": KEY}).encode(),
        quote(KEY).encode(),
        base64.b64encode(b"?" + KEY.encode()),
        KEY.encode("utf-16-le"),
        KEY.encode("utf-16-be"),
        repr(KEY).encode(),
    ],
    ids=["plain", "json", "url", "base64", "utf-16-le", "utf-16-be", "repr"],
)
def test_find_secrets_finds_a_value_however_it_is_written(written):
    assert found_in(b"x" * 100 + written + b"y" * 100) == [Found("key")]


@pytest.mark.parametrize("content", [b"", b"plain", b"p\x00a", KEY[:-1].encode()])
def test_find_secrets_finds_nothing_where_there_is_nothing(content):
    assert found_in(content) == []


@pytest.mark.parametrize("border", [0, 1, 7, len(KEY) - 1])
def test_find_secrets_finds_a_value_across_pieces(monkeypatch, border):
    monkeypatch.setattr(secret_search, "_CHUNK", 64)
    assert found_in(b"-" * (64 - border) + KEY.encode() + b"-" * 200) == [Found("key")]


@pytest.mark.parametrize(
    "pack", [gzip.compress, bz2.compress, lzma.compress], ids=["gzip", "bzip2", "xz"]
)
def test_find_secrets_looks_into_compressed_files(pack):
    assert found_in(pack(b"a" * 5000 + KEY.encode())) == [Found("key")]
    assert found_in(pack(b"a" * 5000)) == []


def test_find_secrets_names_the_member_of_an_archive():
    content = zipped(**{"a.txt": "nothing", "b/c.txt": f"the {KEY}"})
    assert found_in(content) == [Found("key", "b/c.txt")]


def test_find_secrets_looks_into_each_of_two_members_of_one_name():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", KEY)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a", "harmless")
    assert found_in(packed.getvalue()) == [Found("key", "a")]


def test_find_secrets_looks_into_an_archive_behind_something_else():
    assert found_in(b"#!/usr/bin/python\n" + zipped(a=f"{KEY} {KEY}")) == [Found("key", "a")]


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(b"a" * 5000)[:-20],
        spoilt(zipped(a=bytes(range(256))), 60),
        zipped(a="x" * 90)[:-20],
        b"PK\x03\x04 no archive",
    ],
    ids=["gzip", "zip", "zip-without-directory", "zip-by-its-beginning"],
)
def test_find_secrets_damaged_compression_is_refused(content):
    with pytest.raises(UploadError, match="cannot be searched for secrets"):
        found_in(content)


def test_find_secrets_that_unpacks_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(secret_search, "_UNPACKED_BYTES", 10_000)
    with pytest.raises(UploadError, match="too large to be searched"):
        found_in(gzip.compress(b"a" * 20_000))


def test_find_secrets_names_each_secret_once():
    content = zipped(a=f"{KEY} and another", b=f"{KEY} another")
    found = found_in(content, key=KEY, other="another", third="absent")
    assert found == [Found("key", "a"), Found("other", "a")]


@pytest.mark.parametrize("value", [KEY_FILE, ACCOUNT], ids=["key-file", "account"])
@pytest.mark.parametrize(
    "written",
    [
        lambda value: value,
        lambda value: value.replace("\n", "\r\n"),
        lambda value: "x = MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
        lambda value: json.dumps(json.dumps({"all": value})),
    ],
    ids=["whole", "other-lines", "longest-part", "json-in-json"],
)
def test_find_secrets_finds_parts_of_key_files(value, written):
    assert found_in(written(value).encode(), key=value) == [Found("key")]


def test_find_secrets_takes_the_frame_of_a_key_file_for_no_secret():
    other = KEY_FILE.replace("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "another").replace("BKcw", "x")
    assert found_in(other.encode(), key=KEY_FILE) == []
