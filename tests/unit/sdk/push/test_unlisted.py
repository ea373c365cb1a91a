"""Pushing to a place that does not show what it has, and knows a mark again."""

import pytest

from stepline_sdk.push import NotPublished, Refused, TryAgain, Unverified, push
from tests.support.shelf import Shelf

FILES = {"plate.csv": b"well,od\nA1,0.25\n"}
CAVEAT = "the shelf shows nothing"


class Closed(Shelf):
    """Shows only what it answered, and makes nothing new for a mark that it knows."""

    shows_all = False

    def __init__(self):
        super().__init__()
        self.answered = []

    def versions(self):
        return self.answered

    def caveats(self):
        return [CAVEAT]

    def upload(self, staged, newest):
        self._begin("upload")
        known = [each for each in self.shelved if each.mark == staged.mark]
        if not known:
            self.shelve({name: b"".join(FILES.values()) for name in FILES}, staged.mark)
        self._end("upload")
        self.answered = [self._published(each) for each in self.shelved]


@pytest.fixture
def closed():
    return Closed()


def pushed(world, shelf, **how):
    return push(world.attempt().context, shelf, FILES, **how)


def test_unclear_end_is_sent_again_and_makes_one_version(world, closed):
    closed.late["upload"] = [TryAgain("cut"), TryAgain("cut")]

    receipt = pushed(world, closed)

    assert (receipt["end"], len(closed.shelved)) == ("verified", 1)
    assert closed.calls.count("upload") == 3


def test_retry_without_what_was_answered_makes_one_version(world, closed):
    pushed(world, closed)
    closed.answered = []

    assert pushed(world, closed)["remote"]["version"] == "1"
    assert len(closed.shelved) == 1


@pytest.mark.parametrize(
    ("errors", "end"),
    [
        pytest.param([TryAgain("cut")] * 3, Unverified, id="never-clear"),
        pytest.param([TryAgain("cut"), Refused("gone")], Unverified, id="unclear-then-no"),
        pytest.param([TryAgain("busy", clear=True)] * 3, NotPublished, id="always-busy"),
        pytest.param([Refused("gone")], NotPublished, id="no"),
        pytest.param([OSError("odd")], Unverified, id="odd"),
    ],
)
def test_end_says_nothing_published_only_where_that_is_certain(world, closed, errors, end):
    closed.trouble["upload"] = list(errors)

    with pytest.raises(end, match=str(errors[-1])) as caught:
        pushed(world, closed)
    assert ("nothing was published by this try" in str(caught.value)) == (end is NotPublished)


@pytest.mark.parametrize("dry_run", [True, False], ids=["dry", "wet"])
def test_caveats_are_said_beforehand_and_kept_in_the_receipt(world, closed, capsys, dry_run):
    receipt = pushed(world, closed, dry_run=dry_run)

    assert receipt["caveats"] == [CAVEAT]
    printed = capsys.readouterr().out
    assert "uploading" not in printed.partition(CAVEAT)[0]
    assert CAVEAT in printed
