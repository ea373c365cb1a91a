"""What a self-test sends."""

from stepline.server.selftest.places import Places
from stepline.server.selftest.sending import Way, sent, unheard


def test_sent_files_differ_and_come_in_each_way():
    files = [sent(number) for number in range(42)]
    assert len({file.text for file in files}) == len({file.key for file in files}) == 42
    words = {(file.way, file.text.split()[0]) for file in files}
    assert words == {(way, word) for way in Way for word in ("ok", "flaky", "bad")}


def test_file_by_rename_and_by_close_is_put_into_the_watched_folder(tmp_path):
    places = Places(tmp_path / "base", tmp_path)
    places.make()
    commands = [sent(number).send(places) for number in range(3)]
    assert [file.name for file in sorted(places.inbox.iterdir())] == ["000000.txt", "000001.txt"]
    assert [command and command.name for command in commands] == [None, None, "add"]
    source = places.drafts / "000002.txt"
    assert commands[2].arguments["source"] == str(source)
    assert source.read_text() == sent(2).text
    assert commands[2].arguments["file_id"] == sent(2).file_id != ""


def test_unheard_command_is_the_same_without_waiting():
    from stepline.server.selftest.sending import publishing

    first = publishing("v1.2.3")[0]
    other = unheard(first)
    assert {**other.arguments, "wait": True} == first.arguments
    assert (other.name, other.arguments["wait"]) == (first.name, False)
