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
