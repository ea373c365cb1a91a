"""The stand-in for the Hugging Face Hub, driven by the real client."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import urllib.request

import pytest

from stepline.testing.huggingface_standin import HuggingFaceStandIn, main
from stepline.testing.loopback import Refuse
from tests.support.hub_client import TOKEN, hub_environment

__all__ = ["hub_environment"]

pytestmark = pytest.mark.huggingface

BEGINNING = f"""
import json, sys
from huggingface_hub import CommitOperationAdd, HfApi, hf_api, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError
api = HfApi(token={TOKEN!r})
REPO = {{"repo_id": "me/plates", "repo_type": "dataset"}}
def told(error):
    return [type(error).__name__, error.response.status_code, error.server_message]
"""


@pytest.fixture
def hub():
    with HuggingFaceStandIn(accounts={"me": TOKEN, "other": "hf_other"}) as service:
        yield service


@pytest.fixture
def client(hub, hub_environment, tmp_path):
    """Runs code with the real client, and returns the JSON that it prints last."""

    def client(code):
        own = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "PATH": os.defpath}
        done = subprocess.run(
            [hub_environment / "bin/python", "-c", BEGINNING + textwrap.dedent(code)],
            env=own | hub.env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return client


def test_whoami_tells_whose_token_it_is(client):
    assert client("print(json.dumps(api.whoami()['name']))") == "me"


@pytest.mark.parametrize("kind", ["dataset", "model"])
def test_create_repo_makes_one_with_the_first_commit_of_the_hub(client, hub, kind):
    code = f"print(json.dumps(api.create_repo('me/plates', repo_type='{kind}', private=True)))"

    url = client(code)

    assert url == f"{hub.url}/{'datasets/' if kind == 'dataset' else ''}me/plates"
    (repo,) = getattr(hub, f"{kind}s").values()
    assert (repo.id, repo.private) == ("me/plates", True)
    assert [list(commit.files) for commit in repo.commits] == [[".gitattributes"]]


UPLOAD = """
from pathlib import Path
Path("d/deep").mkdir(parents=True)
Path("d/plate.json").write_text('{"wells": 2}')
Path("d/deep/weights.bin").write_bytes(bytes(range(256)) * 20)
api.create_repo(**REPO)
info = api.upload_folder(
    **REPO, folder_path="d", commit_message="first", commit_description="of two"
)
"""


def test_upload_folder_is_one_commit_with_the_bytes_that_were_sent(client, hub):
    oid = client(UPLOAD + "print(json.dumps(info.oid))")

    commit = hub.datasets["me/plates"].head
    assert (commit.id, commit.title, commit.description) == (oid, "first", "of two")
    assert commit.parent == hub.datasets["me/plates"].commits[0].id
    plate, weights = commit.files["plate.json"], commit.files["deep/weights.bin"]
    assert (plate.large, weights.large, weights.size) == (False, True, 5120)
    assert hub.blob(plate.sha256) == b'{"wells": 2}'
    assert hub.uploads == (weights.sha256,)
    assert weights.sha256 == hashlib.sha256(bytes(range(256)) * 20).hexdigest()


READ = """
info = api.repo_info(**REPO, files_metadata=True)
tree = [e for e in api.list_repo_tree(**REPO, recursive=True) if isinstance(e, hf_api.RepoFile)]
some = api.get_paths_info(**REPO, paths=["plate.json", "none"])
commits = api.list_repo_commits(**REPO)
path = api.hf_hub_download(**REPO, filename="deep/weights.bin", revision=info.sha, local_dir="got")
print(json.dumps({
    "private": info.private,
    "siblings": [[s.rfilename, s.size, bool(s.lfs)] for s in info.siblings],
    "tree": [[e.path, e.size, e.lfs and e.lfs.sha256] for e in tree],
    "some": [[e.path, e.blob_id] for e in some],
    "commits": [[c.commit_id, c.title, c.message, c.authors] for c in commits],
    "size": len(open(path, "rb").read()),
}))
"""


def test_reading_back_tells_what_was_uploaded(client, hub):
    told = client(UPLOAD + READ)

    first, commit = hub.datasets["me/plates"].commits
    sha256 = commit.files["deep/weights.bin"].sha256
    assert told["private"] is False
    assert ["deep/weights.bin", 5120, True] in told["siblings"]
    assert ["deep/weights.bin", 5120, sha256] in told["tree"]
    assert ["plate.json", 12, None] in told["tree"]
    assert told["some"] == [["plate.json", commit.files["plate.json"].blob_id]]
    assert told["commits"][0] == [commit.id, "first", "of two", ["me"]]
    assert told["commits"][1][0] == first.id
    assert told["size"] == 5120


def test_list_of_many_commits_comes_in_pages(client, hub):
    hub.add("datasets/me/plates")
    for number in range(120):
        hub.change("datasets/me/plates", {"n.txt": b"%d" % number}, title=str(number))

    titles = client("print(json.dumps([c.title for c in api.list_repo_commits(**REPO)]))")

    assert titles == [*(str(number) for number in range(119, -1, -1)), "initial commit"]
    assert hub.operations == ["ListCommits"] * 3


def test_delete_and_a_file_that_has_not_changed_are_as_at_the_hub(client, hub):
    client(UPLOAD + "api.delete_file('plate.json', **REPO); print(1)")

    assert set(hub.datasets["me/plates"].head.files) == {".gitattributes", "deep/weights.bin"}
    again = "api.upload_file(path_or_fileobj=bytes(range(256)) * 20, "
    client(again + "path_in_repo='deep/weights.bin', **REPO); print(1)")
    assert len(hub.datasets["me/plates"].commits) == 3


def test_gitignore_at_the_hub_leaves_files_out(client, hub):
    hub.add("datasets/me/plates")
    hub.change("datasets/me/plates", {".gitignore": b"# ours\n*.tmp\n"})

    code = "api.upload_file(path_or_fileobj=b'x', path_in_repo='{}', **REPO); print(1)"
    client(code.format("a.tmp") + "\n" + code.format("a.txt"))

    assert "a.txt" in hub.datasets["me/plates"].head.files
    assert "a.tmp" not in hub.datasets["me/plates"].head.files


PARENT = """
op = CommitOperationAdd("a.txt", b"a")
try:
    api.create_commit(**REPO, operations=[op], commit_message="m", parent_commit="{}")
except HfHubHTTPError as error:
    print(json.dumps(told(error)))
"""


def test_commit_after_another_than_the_newest_is_refused(client, hub):
    first = hub.add("datasets/me/plates").head
    hub.change("datasets/me/plates", {"b.txt": b"b"})

    name, status, words = client(PARENT.format(first.id))

    assert (name, status) == ("HfHubHTTPError", 412)
    assert words == "A commit has happened since. Please refresh and try again."
    assert "a.txt" not in hub.datasets["me/plates"].head.files


REFUSALS = {
    "api.create_repo('me/taken')": ["HfHubHTTPError", 409, "You already created this model"],
    "api.create_repo('other/mine')": ["HfHubHTTPError", 403, "You don't have the rights"],
    "api.repo_info('me/none')": ["RepositoryNotFoundError", 404, "Repository not found"],
    "api.repo_info('other/secret')": ["RepositoryNotFoundError", 404, "Repository not found"],
    "api.repo_info('me/none', token=False)": ["RepositoryNotFoundError", 401, "Invalid username"],
    "api.repo_info('me/taken', token='hf_x')": ["HfHubHTTPError", 401, "Invalid credentials"],
    "api.repo_info('me/taken', revision='x')": ["RevisionNotFoundError", 404, "Invalid rev id"],
    "api.hf_hub_download('me/taken', 'x.bin')": ["RemoteEntryNotFoundError", 404, "Entry not"],
    "api.create_repo('me/new', token=False)": ["HfHubHTTPError", 401, "Invalid username"],
    "api.delete_file('none', 'me/taken')": ["RemoteEntryNotFoundError", 404, "A file with this"],
    "api.delete_file('none', 'other/open')": ["HfHubHTTPError", 403, "Forbidden: you don't"],
}
TRY = """
found = {}
for code in %r:
    try:
        eval(code)
    except HfHubHTTPError as error:
        found[code] = told(error)
print(json.dumps(found))
"""


def test_refusals_are_the_errors_that_the_client_knows(client, hub):
    for ref, private in (("me/taken", True), ("other/open", False), ("other/secret", True)):
        hub.add(f"models/{ref}", private=private)

    found = client(TRY % list(REFUSALS))

    starts = {code: len(expected[2]) for code, expected in REFUSALS.items()}
    found = {code: [*kind, words[: starts[code]]] for code, (*kind, words) in found.items()}
    assert found == REFUSALS


def test_client_waits_as_long_as_it_is_told(client, hub):
    hub.add("datasets/me/plates")
    hub.faults.append(Refuse("ListCommits", 429, "slow down", retry_after=0, times=2))

    assert client("print(len(api.list_repo_commits(**REPO)))") == 1
    assert [call.status for call in hub.calls] == [429, 429, 200]


def test_record_has_repositories_commits_and_blobs_but_no_token(client, hub, tmp_path):
    client(UPLOAD + "print(1)")
    plain = hub.to_plain()
    assert [repo["id"] for repo in plain["repos"]] == ["me/plates"]
    assert {call["user"] for call in plain["calls"]} == {"me", None}
    assert TOKEN not in json.dumps(plain, default=str)


def test_upload_of_other_bytes_than_announced_is_refused(hub):
    url = f"{hub.url}/storage/{'0' * 64}"
    request = urllib.request.Request(url, data=b"other", method="PUT")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with pytest.raises(urllib.error.HTTPError) as raised, opener.open(request, timeout=10):
        pass
    with raised.value as error:
        assert error.code == 400
    assert hub.uploads == ()


def test_command_serves_until_it_is_ended_and_writes_its_record(tmp_path):
    command = [sys.executable, "-m", main.__module__, "--record", tmp_path / "record"]
    taken = ["--taken", "datasets/me/plates", "--lifetime", "60"]
    with subprocess.Popen([*command, *taken], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    record = json.loads((tmp_path / "record/record.json").read_text())
    (repo,) = record["repos"]
    (file,) = repo["commits"][0]["files"]
    assert (repo["id"], file["path"]) == ("me/plates", ".gitattributes")
    assert (tmp_path / "record/blobs" / file["sha256"]).stat().st_size == file["size"]
