"""Acceptance checks of credentials of registries: they let in, and are nowhere in clear.

Each test is named after its check.
"""

from __future__ import annotations

import base64
import json
import subprocess

import pytest

from stepline.model.image import BaseVariant
from tests.support.engines import engine_environ
from tests.support.imaged import Publisher, own_images_dir
from tests.support.registries import PASSWORDS, locked_registry
from tests.support.served import Served

pytestmark = [pytest.mark.docker, pytest.mark.debian, pytest.mark.registry]

MAIN = "def work(i, c):\n    with open('/variant') as file:\n        return file.read()\n"
WRONG = "a wrong password"


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """A registry that wants a login."""
    with locked_registry(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture(params=PASSWORDS)
def user(request):
    """Somebody whom the registry knows."""
    return request.param


@pytest.fixture
def served(imaged, images_dir, tmp_path, locked, user):
    """A service that logs in with a secret of its store."""
    imaged.environ["STEPLINE_IMAGES_DIR"] = str(own_images_dir(images_dir, tmp_path / "images"))
    login = {"user": user, "secret": "secret:registry-password", "name": "our-registry"}
    imaged.environ["STEPLINE_REGISTRIES"] = json.dumps({locked.address: login})
    service = Served(imaged, "--executor", "docker")
    yield service
    assert service.stop() == 0, service.said


@pytest.fixture
def reference(served, slim_base, engine, locked, tmp_path):
    """An image in the registry, by digest."""
    base = slim_base.base("3.11", BaseVariant.SLIM, tell=lambda line: None)
    publisher = Publisher(engine, base, tmp_path / "images")
    name = f"{locked.address}/own/python:v1"
    return publisher.publish(name, "own", credential=locked.credential())


def put(served, version, image):
    """Deploy a task script on an image; return how that ended and what was said."""
    folder = served.project.task_script("s", f"# {version}\n{MAIN}", ["work"], image=image)
    words = ("put", "task-script", "private-demo", "s", version, folder)
    done = served.project.stepline(*words)
    return done.returncode, done.stdout + done.stderr


def set_secret(served, value):
    command = served.project.command("secret", "set", "registry-password")
    folder, environ = served.project.folder, served.project.environ
    subprocess.run(command, cwd=folder, env=environ, input=value, text=True, check=True, timeout=60)


def test_0_10_2_11_a_password_of_the_store_lets_in_and_is_nowhere_in_clear(
    served, reference, user, engine, locked, tmp_path
):
    set_secret(served, PASSWORDS[user])
    code, said = put(served, "v1.0.0", reference)
    assert code == 0, said
    pushed = push(served, "private-demo/s:v1.0.0", f"{locked.address}/out:v1", user=user)
    assert pushed.returncode == 0, pushed.stderr
    assert pushed.stdout.startswith(f"{locked.address}/out:v1@sha256:")
    image = json.loads(served.project.stepline("image", "list", "--json").stdout)["images"][0]
    told = [said, pushed.stdout, pushed.stderr, history(image["id"]), *map(str, engine.images())]
    files = (path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink())
    seen = b"".join([*(each.encode() for each in told), *(path.read_bytes() for path in files)])
    assert reference.encode() in seen
    assert [form for form in forms_of(user) if form.encode() in seen] == []


def forms_of(user):
    """Return how a password looks in messages, in JSON, and in what registries are sent."""
    password = PASSWORDS[user]
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    return [
        password,
        json.dumps(password)[1:-1],
        login,
        base64.b64encode(password.encode()).decode(),
    ]


def push(served, image, reference, *, user):
    """Push an image as somebody does whose password is in a variable."""
    login = {reference.partition("/")[0]: {"user": user, "secret": "env:PASSWORD"}}
    variables = {"STEPLINE_REGISTRIES": json.dumps(login), "PASSWORD": PASSWORDS[user]}
    return served.project.stepline("image", "push", image, reference, "--untested", **variables)


def history(image_id):
    """Return how the engine says that an image was made."""
    command = ["docker", "history", "--no-trunc", image_id]
    done = subprocess.run(
        command, env=engine_environ(), capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


@pytest.mark.parametrize("user", ["robot"])
def test_0_12_a_wrong_password_names_connection_and_registry_and_not_itself(
    served, reference, locked
):
    set_secret(served, WRONG)
    code, said = put(served, "v1.0.0", reference)
    assert code == 1
    assert f"the registry {locked.address} refuses connection 'our-registry'" in said
    assert WRONG not in said + served.said
    assert served.get("/artifacts/task-scripts/private-demo/s") == []
