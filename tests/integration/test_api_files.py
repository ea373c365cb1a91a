"""Files over HTTP: in, in parts, out, in ranges, by link, with labels."""

import hashlib
import socket
import threading
from urllib.parse import urlsplit

import pytest

from tests.support.serving import ANSWER_S, error_of, serving

BYTES = bytes(range(256)) * 20_000
DIGEST = hashlib.sha256(BYTES).hexdigest()


@pytest.fixture(scope="module")
def api(tmp_path_factory, stepline_cache):
    with serving(tmp_path_factory.mktemp("service"), cache=stepline_cache) as made:
        yield made


@pytest.fixture(scope="module")
def stored(api):
    return api.upload("plates/42.bin", BYTES)


def begin(api, path, **fields):
    """Begin an upload in parts; return its path and what was answered."""
    answer = api.post("/v1/uploads", json={"path": path, **fields})
    assert answer.status_code == 201, answer.text
    return f"/v1/uploads/{answer.json()['id']}", answer.json()


def part(api, upload, offset, content):
    return api.patch(upload, content=content, headers={"Upload-Offset": str(offset)})


def test_upload_keeps_all_that_is_said_of_a_file(api):
    query = {
        "sourceId": "s-1",
        "sourceType": "ssp-demo",
        "sourceName": "Reader 7",
        "label": ["plate=7", "note=a=b"],
        "tag": ["urgent", "b"],
        "meta.Run Id": "42",
        "sha256": hashlib.sha256(b"one").hexdigest().upper(),
    }
    found = api.upload("a//b/one.txt", b"one", **query)
    assert found["file"]["path"] == "demo/s-1/RAW/a/b/one.txt"
    assert found["source"] == {"id": "s-1", "type": "ssp-demo", "name": "Reader 7"}
    assert [(each["name"], each["value"]) for each in found["labels"]] == [
        ("plate", "7"),
        ("note", "a=b"),
    ]
    assert (found["metadata"], found["tags"]) == ({"Run Id": "42"}, ["b", "urgent"])
    assert api.get(f"/v1/fileinfo/{found['fileId']}").json() == found


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("", 400, "the parameter 'path' is missing"),
        ("?path=a&colour=red", 400, "the parameter 'colour' is not known"),
        ("?path=a&label=x", 400, "NAME=VALUE"),
        ("?path=a&sha256=xyz", 400, "the parameter 'sha256'"),
        ("?path=a&fileId=a/b", 400, "the parameter 'fileId'"),
        ("?path=../a", 422, ".."),
        (f"?path=a&label=x={'v' * 257}", 422, "256"),
        ("?path=a&sourceType=Not%20So", 422, "Not So"),
        (f"?path=a&sha256={'0' * 64}", 422, "SHA-256"),
    ],
)
def test_upload_against_the_rules_is_refused_and_leaves_nothing(api, query, status, said):
    before = api.get("/v1/files", params={"limit": 1}).json()["total"]
    answer = api.post(f"/v1/files{query}", content=b"content")
    assert answer.status_code == status
    assert said in error_of(answer)
    assert api.get("/v1/files", params={"limit": 1}).json()["total"] == before
    assert leftovers(api) == []


def leftovers(api):
    """Return what is left of requests."""
    return list((api.running.home / "scratch" / "http").iterdir())


def test_upload_same_file_id_again_is_the_same_file(api):
    first = api.upload("same.txt", b"same", fileId="mine-1")
    assert api.upload("same.txt", b"same", fileId="mine-1") == first
    answer = api.post("/v1/files?path=same.txt&fileId=mine-1", content=b"other")
    assert (answer.status_code, "belongs to another" in error_of(answer)) == (422, True)
    assert len(api.get("/v1/files/mine-1/versions").json()["items"]) == 1


def test_upload_cut_in_the_middle_leaves_nothing(api):
    address = urlsplit(api.url)
    head = f"POST /v1/files?path=cut.bin HTTP/1.1\r\nHost: x\r\nts-auth-token: {api.token}\r\n"
    with socket.create_connection((address.hostname, address.port), ANSWER_S) as connection:
        connection.sendall(head.encode() + b"Content-Length: 5000000\r\n\r\n" + bytes(3_000_000))
    found = api.until("/v1/files?prefix=upload/RAW/cut.bin", lambda _: leftovers(api) == [])
    assert found["total"] == 0
    assert api.reports == []


def test_upload_of_same_path_at_once_makes_two_versions(api):
    def send(content):
        api.upload("both.bin", content)

    threads = [threading.Thread(target=send, args=(bytes([n]) * 3_000_000,)) for n in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(ANSWER_S)
    (newest,) = api.get("/v1/files?prefix=upload/RAW/both.bin").json()["items"]
    versions = api.get(f"/v1/files/{newest['fileId']}/versions").json()["items"]
    assert [each["size"] for each in versions] == [3_000_000] * 2
    assert len({each["sha256"] for each in versions}) == 2


def test_parts_in_order_make_the_file(api):
    upload, begun = begin(api, "parts.bin", size=len(BYTES), labels=[{"name": "a", "value": "b"}])
    assert (begun["offset"], begun["size"]) == (0, len(BYTES))
    half = len(BYTES) // 2
    assert part(api, upload, 0, BYTES[:half]).headers["upload-offset"] == str(half)
    assert api.head(upload).headers["upload-offset"] == str(half)
    assert part(api, upload, half, BYTES[half:]).status_code == 204
    answer = api.post(f"{upload}/finish", json={"sha256": DIGEST})
    assert answer.status_code == 201
    assert (answer.json()["fileId"], answer.json()["sha256"]) == (begun["fileId"], DIGEST)
    assert api.get(upload).status_code == api.post(f"{upload}/finish").status_code == 404


def test_parts_cut_in_the_middle_go_on_from_the_offset(api):
    upload, _ = begin(api, "broken.bin")
    address = urlsplit(api.url)
    head = (
        f"PATCH {upload} HTTP/1.1\r\nHost: x\r\nts-auth-token: {api.token}\r\n"
        f"Upload-Offset: 0\r\nContent-Length: {len(BYTES)}\r\n\r\n"
    )
    sent = 3_333_333
    with socket.create_connection((address.hostname, address.port), ANSWER_S) as connection:
        connection.sendall(head.encode() + BYTES[:sent])
        api.until(upload, lambda each: each["offset"] > 0)
    offset = api.until(upload, lambda each: each["offset"] == sent)["offset"]
    assert part(api, upload, offset, BYTES[offset:]).status_code == 204
    assert api.post(f"{upload}/finish").json()["sha256"] == DIGEST


def test_parts_at_wrong_offset_are_refused_with_the_right_one(api):
    upload, _ = begin(api, "offset.bin")
    part(api, upload, 0, b"12345")
    answer = part(api, upload, 0, b"12345")
    assert (answer.status_code, answer.headers["upload-offset"]) == (409, "5")
    assert "5 bytes are here" in error_of(answer)
    missing = api.patch(upload, content=b"x")
    assert (missing.status_code, "Upload-Offset" in error_of(missing)) == (400, True)
    assert api.delete(upload).status_code == 204
    assert api.get(upload).status_code == 404


@pytest.mark.parametrize("way", ["length", "chunked"])
def test_parts_beyond_the_announced_size_are_refused(api, way):
    upload, _ = begin(api, "beyond.bin", size=4)
    answer = part(api, upload, 0, b"12345" if way == "length" else iter([b"123", b"45"]))
    assert (answer.status_code, "4 bytes" in error_of(answer)) == (422, True)
    assert api.get(upload).json()["offset"] == 0
    assert api.post(f"{upload}/finish").status_code == 422


def test_parts_with_another_digest_can_be_sent_again(api):
    upload, _ = begin(api, "digest.bin")
    part(api, upload, 0, b"other bytes")
    answer = api.post(f"{upload}/finish", json={"sha256": DIGEST})
    assert (answer.status_code, DIGEST in error_of(answer)) == (422, True)
    assert api.get(upload).json()["offset"] == 11


def test_parts_unknown_field_is_refused_by_name(api):
    answer = api.post("/v1/uploads", json={"path": "a", "label": []})
    assert (answer.status_code, "'label'" in error_of(answer)) == (400, True)


@pytest.mark.parametrize(
    ("given", "status", "first", "last"),
    [
        (None, 200, 0, len(BYTES) - 1),
        ("bytes=0-0", 206, 0, 0),
        ("bytes=10-19", 206, 10, 19),
        ("bytes=5000000-", 206, 5_000_000, len(BYTES) - 1),
        ("bytes=-5", 206, len(BYTES) - 5, len(BYTES) - 1),
        ("bytes=9-99999999999", 206, 9, len(BYTES) - 1),
        ("bytes=0-1,4-5", 200, 0, len(BYTES) - 1),
        ("bytes=5-2", 200, 0, len(BYTES) - 1),
        ("lines=1-2", 200, 0, len(BYTES) - 1),
    ],
)
def test_content_comes_in_ranges(api, stored, given, status, first, last):
    path = f"/v1/files/{stored['fileId']}/content"
    answer = api.get(path, headers={"range": given} if given else {})
    assert answer.status_code == status
    assert answer.content == BYTES[first : last + 1]
    wanted = f"bytes {first}-{last}/{len(BYTES)}" if status == 206 else None
    assert answer.headers.get("content-range") == wanted


def test_content_range_behind_the_end_is_refused(api, stored):
    path = f"/v1/files/{stored['fileId']}/content"
    answer = api.get(path, headers={"range": f"bytes={len(BYTES)}-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(BYTES)}"
    assert str(len(BYTES)) in error_of(answer)


def test_content_is_known_by_its_digest(api, stored):
    path = f"/v1/files/{stored['fileId']}/content"
    head = api.head(path)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(BYTES)))
    assert head.headers["etag"] == f'"{DIGEST}"'
    assert head.headers["content-disposition"].endswith("42.bin")
    assert api.get(path, headers={"if-none-match": f'"{DIGEST}"'}).status_code == 304
    given = {"range": "bytes=0-1", "if-range": '"another"'}
    assert len(api.get(path, headers=given).content) == len(BYTES)


def test_content_of_empty_file_is_empty(api):
    empty = api.upload("empty.txt", b"")
    answer = api.get(f"/v1/files/{empty['fileId']}/content", headers={"range": "bytes=-5"})
    assert answer.status_code == 416
    assert api.get(f"/v1/files/{empty['fileId']}/content").content == b""


def test_link_works_without_token_for_this_file_only(api, stored):
    answer = api.post(f"/v1/files/{stored['fileId']}/link", json={"ttlSec": 60}).json()
    link = urlsplit(answer["url"])
    other = api.upload("other.txt", b"other")
    with api.anybody() as client:
        assert client.get(f"{link.path}?{link.query}").content == BYTES
        refused = client.get(f"/v1/files/{other['fileId']}/content?{link.query}")
        assert (refused.status_code, "link" in error_of(refused)) == (403, True)
        assert client.get(f"{link.path}?{link.query}0").status_code == 403


@pytest.mark.parametrize("ttl", [0, 901, "60"])
def test_link_of_another_time_is_refused(api, stored, ttl):
    answer = api.post(f"/v1/files/{stored['fileId']}/link", json={"ttlSec": ttl})
    assert (answer.status_code, "'ttlSec'" in error_of(answer)) == (400, True)


def test_labels_are_added_and_removed(api):
    path = f"/v1/files/{api.upload('labels.txt')['fileId']}/labels"
    given = [{"name": "plate", "value": "7"}, {"name": "plate", "value": "8"}]
    first, second = api.post(path, json=given).json()
    assert api.get(path).json() == [first, second]
    assert api.delete(path, params={"id": first["id"]}).json() == [second]
    answer = api.post(path, json=[{"name": "", "value": "7"}])
    assert answer.status_code == 422
    assert api.post(path, json=[{"name": "a"}]).status_code == 400


def test_files_are_listed_in_pages(api):
    for number in range(5):
        api.upload(f"pages/{number}.txt", b"%d" % number)
    found, after = [], 0
    for _ in range(3):
        query = {"prefix": "upload/RAW/pages/", "limit": 2, "after": after}
        page = api.get("/v1/files", params=query).json()
        found += [each["filePath"] for each in page["items"]]
        after = page["after"]
    assert (after, page["total"]) == (0, 5)
    assert found == [f"pages/{number}.txt" for number in range(5)]


def test_files_are_searched(api, stored):
    payload = {"query": {"term": {"fileId": stored["fileId"]}}}
    hits = api.post("/v1/files/searchEql", json=payload).json()["hits"]["hits"]
    assert [hit["_source"]["fileId"] for hit in hits] == [stored["fileId"]]
    answer = api.post("/v1/files/searchEql", json={"query": {"fuzzy": {}}})
    assert (answer.status_code, "fuzzy" in error_of(answer)) == (422, True)


def test_files_deleted_are_listed_no_more(api):
    file_id = api.upload("gone/one.txt")["fileId"]
    assert api.delete(f"/v1/files/{file_id}").status_code == 204
    assert api.get("/v1/files?prefix=upload/RAW/gone/").json()["items"] == []


def test_upload_of_much_needs_little_memory(api):
    before = resident_mb()
    api.post("/v1/files?path=much.bin", content=(bytes(1_000_000) for _ in range(300)))
    found = api.get("/v1/files?prefix=upload/RAW/much.bin").json()["items"][0]
    assert found["size"] == 300_000_000
    with api.stream("GET", f"/v1/files/{found['fileId']}/content") as answer:
        assert sum(len(chunk) for chunk in answer.iter_bytes(1_000_000)) == 300_000_000
    assert resident_mb() - before < 100


def resident_mb():
    """Return the memory that this process, which serves too, holds now, MB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6
