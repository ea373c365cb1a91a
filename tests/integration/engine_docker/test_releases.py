"""Release tags in a real registry stay what they are, unless they are moved by force."""

import os
import uuid

import pytest

from stepline.app.images.releases import Move, MoveLog, Pushed, is_release, push_image
from stepline.errors import PlatformError, VersionExists
from tests.support.tiny_images import tiny_image

pytestmark = [pytest.mark.docker, pytest.mark.registry]


@pytest.fixture
def push(engine, locked, tmp_path):
    """Push an image as our own code does, with a log in a folder."""
    repository = f"{locked.address}/test-{uuid.uuid4().hex[:8]}/image"

    def go(image_id, tag="v1.0.0", *, force=False):
        return push_image(
            engine,
            image_id,
            reference=f"{repository}:{tag}",
            credential=locked.credential(),
            force=force,
            log=MoveLog(tmp_path / "images"),
            now=lambda: "2024-01-01T00:00:00.000Z",
        )

    return go


@pytest.fixture
def two(load):
    return [load(tiny_image({"own": uuid.uuid4().hex})) for _ in range(2)]


def test_push_release_of_another_image_is_refused_and_stays(engine, locked, push, two, tmp_path):
    first = push(two[0])
    with pytest.raises(VersionExists) as caught:
        push(two[1])
    assert first.reference in caught.value.what
    assert first.digest in caught.value.what
    assert "--force" in caught.value.hint
    assert engine.remote_digest(first.reference, locked.credential()) == first.digest
    assert MoveLog(tmp_path / "images").moves() == []


def test_push_release_by_force_moves_it_and_is_recorded(engine, locked, push, two, tmp_path):
    first, second = push(two[0]), push(two[1], force=True)
    assert (second.moved_from, second.sent) == (first.digest, True)
    assert engine.remote_digest(first.reference, locked.credential()) == second.digest
    assert MoveLog(tmp_path / "images").moves() == [
        Move(
            at="2024-01-01T00:00:00.000Z",
            reference=first.reference,
            before=first.digest,
            image=two[1],
            after=second.digest,
        )
    ]


def test_push_release_of_the_same_image_sends_nothing(engine, locked, push, two):
    first = push(two[0])
    again = Pushed(reference=first.reference, digest=first.digest, sent=False)
    before = len(locked.requests())
    assert push(two[0]) == again
    engine.untag(first.reference)
    engine.untag(f"{first.reference.rpartition(':')[0]}@{first.digest}")
    assert push(two[0], force=True) == again
    assert not [line for line in locked.requests()[before:] if line.startswith(("PUT", "POST"))]


def test_push_tag_that_is_no_release_moves(push, two):
    assert push(two[0], "latest").digest != push(two[1], "latest").digest


def test_push_move_that_cannot_be_recorded_does_not_happen(engine, locked, push, two, tmp_path):
    first = push(two[0])
    (tmp_path / "images").write_text("a file where the folder would be")
    with pytest.raises(PlatformError, match="cannot be recorded"):
        push(two[1], force=True)
    assert engine.remote_digest(first.reference, locked.credential()) == first.digest


def test_moves_begun_and_half_written_are_told_apart(tmp_path):
    log = MoveLog(tmp_path)
    begun = Move(at="1", reference="r/a:v1.0.0", before="sha256:1", image="sha256:2")
    log.add(begun)
    with (tmp_path / "moved-releases.jsonl").open("a") as file:
        file.write('{"at": "2", "refer')
    assert log.moves() == [begun]
    later = Move(at="3", reference="r/a:v1.0.0", before="sha256:2", image="sha256:3")
    log.add(later)
    assert log.moves() == [begun, later]


def test_moves_a_line_that_is_written_in_part_is_an_error_and_spoils_no_other(
    tmp_path, monkeypatch
):
    log, write = MoveLog(tmp_path), os.write
    move = Move(at="1", reference="r/a:v1.0.0", before="sha256:1", image="sha256:2")
    with monkeypatch.context() as full:
        full.setattr("os.write", lambda file, line: write(file, line[:9]))
        with pytest.raises(PlatformError, match=r"9 of .* bytes were written"):
            log.add(move)
    log.add(move)
    assert log.moves() == [move]


@pytest.mark.parametrize(
    ("reference", "release"),
    [
        ("reg:5000/a/b:v1.2.3", True),
        ("reg:5000/a/b:v1.2.3-rc.1", True),
        ("reg:5000/a/b", False),
        ("reg:5000/a/b:latest", False),
        ("reg:5000/a/b:v1.2", False),
        ("a/b:v1.2.3@sha256:0", False),
    ],
)
def test_is_release_is_told_by_the_tag(reference, release):
    assert is_release(reference) is release
