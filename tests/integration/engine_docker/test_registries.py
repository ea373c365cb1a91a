"""Images to and from real registries: logins, what is read again, and what goes wrong."""

import json
import socket
import threading
import uuid

import pytest

from stepline.errors import PlatformError, UserError
from stepline.plugins.engine_docker.engine import DockerEngine
from tests.support.engines import engine_environ
from tests.support.registries import PASSWORDS, free_port
from tests.support.tiny_images import tiny_image

pytestmark = [pytest.mark.docker, pytest.mark.registry]


@pytest.fixture
def reference(locked):
    return f"{locked.address}/test-{uuid.uuid4().hex[:8]}/image:v1.0.0"


@pytest.fixture
def pushed(engine, load, locked, reference):
    """Push a new image; return its id and its reference by digest. The engine has it no more."""
    image_id = load(tiny_image({"own": uuid.uuid4().hex}))
    digest = engine.push(image_id, reference, credential=locked.credential())
    engine.remove_image(image_id)
    return image_id, f"{reference.rpartition(':')[0]}@{digest}"


@pytest.mark.parametrize("user", PASSWORDS)
def test_0_10_2_11_pull_credential_lets_in_and_is_nowhere_in_clear(
    engine, locked, pushed, user, monkeypatch, tmp_path
):
    (tmp_path / ".docker").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    image_id, by_digest = pushed
    own = DockerEngine({**engine_environ(), "HOME": str(tmp_path)})
    image = own.pull(by_digest, locked.credential(user))
    own.close()
    assert image.id == image_id
    told = json.dumps([vars(image)["config"], *map(str, engine.images())])
    logs = (locked.folder / "log").read_text()
    assert PASSWORDS[user] not in told + logs
    assert list(tmp_path.rglob("*")) == [tmp_path / ".docker"]
    engine.remove_image(image_id)


def test_pull_login_of_the_docker_command_line_is_not_used(locked, pushed, monkeypatch, tmp_path):
    import base64

    login = base64.b64encode(f"robot:{PASSWORDS['robot']}".encode()).decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {locked.address: {"auth": login}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    own = DockerEngine(engine_environ())
    with pytest.raises(UserError, match="wants a login"):
        own.pull(pushed[1], None)
    own.close()


@pytest.mark.parametrize("act", ["pull", "push", "look up"])
def test_0_12_registry_wrong_credential_names_connection_and_registry(
    engine, tiny, locked, reference, act
):
    wrong = locked.credential(password="a wrong password")
    calls = {
        "pull": lambda: engine.pull(reference, wrong),
        "push": lambda: engine.push(tiny, reference, credential=wrong),
        "look up": lambda: engine.remote_digest(reference, wrong),
    }
    with pytest.raises(UserError) as caught:
        calls[act]()
    assert caught.value.what.startswith(f"cannot {act} {reference}: the registry {locked.address} ")
    assert "refuses connection 'our-registry', user robot" in caught.value.what
    assert "a wrong password" not in str(caught.value) + repr(caught.value.__cause__)
    assert caught.value.__suppress_context__
    assert engine.image(reference) is None


def test_registry_without_a_credential_says_how_to_give_one(engine, tiny, locked, reference):
    with pytest.raises(UserError, match="wants a login") as caught:
        engine.push(tiny, reference, credential=None)
    assert "'registries'" in caught.value.hint


def test_push_that_fails_leaves_a_tag_of_the_engine_where_it_was(
    engine, tiny, load, locked, reference
):
    before = load(tiny_image({"own": uuid.uuid4().hex}))
    engine.tag(before, reference)
    with pytest.raises(UserError):
        engine.push(tiny, reference, credential=None)
    assert engine.image(reference).id == before


def test_push_that_fails_leaves_an_image_without_a_name_in_the_engine(engine, load, reference):
    image_id = load(tiny_image({"own": uuid.uuid4().hex}))
    with pytest.raises(UserError):
        engine.push(image_id, reference, credential=None)
    assert engine.image(image_id) is not None


def test_2_12_pull_digest_that_is_here_asks_the_registry_nothing(engine, locked, pushed):
    image_id, by_digest = pushed
    engine.pull(by_digest, locked.credential())
    before = locked.requests()
    assert {engine.pull(by_digest, locked.credential()).id for _ in range(100)} == {image_id}
    assert locked.requests() == before
    engine.remove_image(image_id)


def test_2_12_pull_tag_that_is_here_reads_one_manifest_and_no_blob(
    engine, locked, pushed, reference
):
    image_id, _ = pushed
    engine.pull(reference, locked.credential())
    before = len(locked.requests())
    engine.pull(reference, locked.credential())
    asked = locked.requests()[before:]
    assert [line.split()[0] for line in asked if "/manifests/" in line] == ["HEAD"]
    assert not [line for line in asked if "/blobs/" in line]
    engine.remove_image(image_id)


def test_2_13_pull_layers_that_are_here_are_not_read_again(engine, locked, pushed, load):
    other = tiny_image({"own": uuid.uuid4().hex})
    reference = f"{locked.address}/test-{uuid.uuid4().hex[:8]}/other:v1.0.0"
    engine.push(load(other), reference, credential=locked.credential())
    engine.remove_image(other.id)
    first = engine.pull(pushed[1], locked.credential())
    before = len(locked.requests())
    engine.pull(reference, locked.credential())
    blobs = [
        line for line in locked.requests()[before:] if line.startswith("GET") and "/blobs/" in line
    ]
    assert len(blobs) == 2  # its config, and its own upper layer
    engine.remove_image(first.id)
    engine.remove_image(other.id)


def test_push_layers_that_the_registry_has_are_not_sent_again(engine, load, locked, reference):
    engine.push(
        load(tiny_image({"own": uuid.uuid4().hex})), reference, credential=locked.credential()
    )
    before = len(locked.requests())
    engine.push(
        load(tiny_image({"own": uuid.uuid4().hex})), reference, credential=locked.credential()
    )
    sent = [
        line for line in locked.requests()[before:] if line.startswith("PUT") and "/blobs/" in line
    ]
    assert len(sent) == 2  # its config, and its own upper layer


def test_0_08_pull_of_another_platform_names_both_and_does_not_stay(
    engine, load, locked, reference
):
    arm = load(tiny_image({"own": uuid.uuid4().hex}, architecture="arm64"))
    engine.push(arm, reference, credential=locked.credential())
    engine.remove_image(arm)
    with pytest.raises(UserError) as caught:
        engine.pull(reference, locked.credential())
    assert "linux/amd64" in caught.value.what
    assert engine.image(arm) is None


def test_remote_digest_is_that_of_the_push_or_none(engine, tiny, locked, reference):
    assert engine.remote_digest(reference, locked.credential()) is None
    digest = engine.push(tiny, reference, credential=locked.credential())
    assert digest.startswith("sha256:")
    assert engine.remote_digest(reference, locked.credential()) == digest
    engine.untag(reference)


def test_pull_of_what_the_registry_does_not_have_is_the_callers_fault(engine, locked, reference):
    with pytest.raises(UserError, match="does not have it"):
        engine.pull(reference, locked.credential())


def test_registry_that_is_down_may_be_tried_again(engine, tiny):
    reference = f"127.0.0.1:{free_port()}/a/b:v1.0.0"
    for call in (
        lambda: engine.push(tiny, reference, credential=None),
        lambda: engine.pull(reference, None),
    ):
        with pytest.raises(PlatformError, match="cannot be reached") as caught:
            call()
        assert caught.value.retryable
    assert engine.image(reference) is None


def test_registry_that_hangs_up_may_be_tried_again(engine):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up():
            for _ in range(20):
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=hang_up, daemon=True).start()
        with pytest.raises(PlatformError, match="cannot be reached") as caught:
            engine.pull(f"127.0.0.1:{server.getsockname()[1]}/a/b:v1.0.0", None)
        assert caught.value.retryable
        server.shutdown(socket.SHUT_RDWR)
