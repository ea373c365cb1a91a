"""``stepline serve`` itself: its folder and its address."""

import stat

import pytest

from tests.support.served import Served, wait_for


@pytest.fixture
def serve(project):
    """Start services one after another; stops what is left."""
    running: list[Served] = []

    def start(*words: object) -> Served:
        running.append(Served(project, *words))
        return running[-1]

    yield start
    for service in running:
        service.stop()


def mode_of(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folder_that_was_there_before_is_made_private(project, serve):
    home = project.folder / ".stepline"
    home.mkdir(mode=0o755)
    service = serve()
    assert mode_of(home) == 0o700
    files = ["state.db", "state.db-wal", "auth.json"]
    assert {name: mode_of(service.home / name) for name in files} == dict.fromkeys(files, 0o600)


def test_address_for_clients_stands_in_auth_json_and_in_links(project, serve):
    service = serve("--url", "https://data.example/stepline/")
    assert service.auth["api_url"] == "https://data.example/stepline/v1"


def test_auth_file_is_left_alone_while_nothing_in_it_changes(project, serve):
    first = serve()
    port = first.auth["api_url"].split(":")[2].split("/")[0]
    before = (first.home / "auth.json").stat()
    assert first.stop() == 0
    again = serve("--port", port)
    assert (again.home / "auth.json").stat().st_ino == before.st_ino
    assert again.stop() == 0
    assert serve("--port", port, "--new-token").auth["auth_token"] != first.auth["auth_token"]


def test_file_with_a_name_that_breaks_a_rule_shows_in_the_health(project, serve):
    inbox = project.folder / "inbox"
    inbox.mkdir()
    service = serve("--watch", inbox)
    wrong = inbox / "bell\x07.txt"
    wrong.write_text("x")
    wait_for(lambda: service.health["faults"], within_s=10)
    (fault,) = service.health["faults"]
    assert "cannot be taken in" in fault
    wrong.unlink()
    assert service.health["faults"] == []


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--watch", ".stepline"], "cannot be watched"),
        (["--watch", ".stepline/files"], "cannot be watched"),
        (["--watch", "a/inbox", "--watch", "b/inbox"], "two watched folders would be the source"),
        (["--watch", "a/inbox", "--watch", "x=a/inbox"], "is watched twice"),
    ],
    ids=["own", "within its own", "same name", "twice"],
)
def test_folders_that_cannot_be_watched_are_refused(project, words, what):
    done = project.stepline("serve", "--port", 0, *words)
    assert done.returncode == 2
    assert what in done.stderr


def test_watched_folders_of_one_name_get_sources_of_their_own(project, serve):
    for name in ("a", "b"):
        (project.folder / name / "inbox").mkdir(parents=True)
        (project.folder / name / "inbox" / "f.txt").write_text(name)
    service = serve("--watch", "a/inbox", "--watch", "reader=b/inbox")
    wait_for(lambda: service.get("/files")["total"] == 2, within_s=10)
    keys = [each["file"]["path"] for each in service.get("/files")["items"]]
    assert sorted(keys) == ["demo/inbox/RAW/f.txt", "demo/reader/RAW/f.txt"]


def test_watched_folder_that_is_not_there_is_told_at_the_start(project, serve):
    service = serve("--watch", "inbx")
    wait_for(lambda: "inbx cannot be watched" in service.said, within_s=10)
    assert "warning: " in service.said
