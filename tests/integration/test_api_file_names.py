"""What files are called: by id, by path in the service, by path on disk."""

import pytest

from stepline.app.service.files import NewFile
from tests.support.serving import error_of, serving


@pytest.fixture(scope="module")
def api(tmp_path_factory, stepline_cache):
    with serving(tmp_path_factory.mktemp("service"), cache=stepline_cache) as made:
        yield made


@pytest.fixture(scope="module")
def files(api):
    """Ids of files by what they are."""
    return {
        "old": api.upload("day/a.txt", b"1")["fileId"],
        "new": api.upload("day/a.txt", b"2")["fileId"],
        "longer": api.upload("day/a.txt.bak", b"3")["fileId"],
        "deep": api.upload("far/day/b.txt", b"4")["fileId"],
        "one": api.upload("same.txt", b"5", sourceId="s-1", sourceType="one")["fileId"],
        "two": api.upload("same.txt", b"6", sourceId="s-2", sourceType="two")["fileId"],
        "odd": api.upload("day/*?.txt", b"7")["fileId"],
        "wordless": api.upload("far/---", b"8")["fileId"],
        "top": watched(api, "/data/drop", "sub/c.txt"),
        "inner": watched(api, "/data/drop/sub", "d.txt"),
    }


def watched(api, folder, path):
    """Store a file as one of a watched folder comes in; return its id."""
    source = api.running.home.parent / "watched.txt"
    source.write_bytes(path.encode())
    staging = api.running.service.store.staging()
    blob = staging.add(str(source))
    staging.publish()
    new = NewFile(path=path, source_id=folder.replace("/", "-")[1:], source_name=folder)
    return api.running.service.files.add(new, blob).pointer.file_id


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("upload/RAW/day/a.txt", ["new"]),
        ("demo/upload/RAW/day/a.txt", ["new"]),
        ("upload/RAW/day//a.txt", ["new"]),
        ("day/a.txt", ["new"]),
        ("a.txt", ["new"]),
        ("day/b.txt", ["deep"]),
        ("same.txt", ["one", "two"]),
        ("s-2/RAW/same.txt", ["two"]),
        ("day/*?.txt", ["odd"]),
        ("*?.txt", ["odd"]),
        ("---", ["wordless"]),
        ("day/*", []),
        ("y/a.txt", []),
        ("upload/RAW/day", []),
        ("/data/drop/sub/c.txt", []),
    ],
)
def test_file_is_found_by_its_path_in_the_service(api, files, name, found):
    answer = api.get("/v1/fileinfo", params={"name": name}).json()
    ids = [files[each] for each in found]
    assert sorted(each["fileId"] for each in answer["items"]) == sorted(ids)
    assert answer["total"] == len(ids)


def test_file_is_found_by_its_id_also_an_old_version(api, files):
    answer = api.get("/v1/fileinfo", params={"name": files["old"]}).json()
    assert answer["items"] == [api.get(f"/v1/fileinfo/{files['old']}").json()]


@pytest.mark.parametrize(
    ("path", "found"),
    [("/data/drop/sub/c.txt", ["top"]), ("/data/drop/sub/d.txt", ["inner"]), ("/data/c.txt", [])],
)
def test_file_is_found_by_its_path_on_disk_in_a_watched_folder(api, files, path, found):
    given = {"name": "no such name", "disk": ["/other/place.txt", path]}
    items = api.get("/v1/fileinfo", params=given).json()["items"]
    assert [each["fileId"] for each in items] == [files[each] for each in found]


def test_many_files_of_a_name_are_counted_and_the_first_of_them_shown(api):
    for number in range(12):
        api.upload("many.txt", b"x", sourceId=f"m-{number}")
    answer = api.get("/v1/fileinfo", params={"name": "many.txt"}).json()
    assert (len(answer["items"]), answer["total"]) == (10, 12)


def test_file_without_a_name_is_refused(api):
    answer = api.get("/v1/fileinfo")
    assert answer.status_code == 400
    assert "the parameter 'name' is missing" in error_of(answer)
