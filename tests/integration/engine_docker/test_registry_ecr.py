"""Tokens of AWS's registry, fetched by the real client from a stand-in on the real wire."""

import time
import uuid

import pytest

from stepline.bootstrap import Plugins
from stepline.errors import PlatformError, SettingsError, UserError
from stepline.plugins.registry_ecr.tokens import EcrTokens
from stepline.settings import RegistryLogin, Settings
from tests.support.ecr_standin import KEY_ID, KEY_SECRET, LIFE_S, REGION, ecr_standin
from tests.support.registries import HASHES, free_port
from tests.support.tiny_images import tiny_image

HOST = f"123456789012.dkr.ecr.{REGION}.amazonaws.com"
# How the registry keeps token-number-1 and token-number-2.
TOKEN_HASHES = [
    "$2b$04$v3sYy5rpz27YWALfnrLJ.elD1GZ2cBIoZpws1Khv6kwzzb8QeDVP.",
    "$2b$04$8oAD/BQmy0d92Im2MYTRmea/jqwoBe95MnW0u.jevDqRfJdfghpKG",
]


@pytest.fixture
def ecr():
    with ecr_standin() as service:
        service.now = time.time()
        yield service


def tokens(ecr, *, secret=KEY_SECRET, host=HOST, login=None, clock=None):
    login = login or RegistryLogin(user=KEY_ID, secret="env:KEY", kind="ecr", name="our-ecr")
    environ = {"AWS_ENDPOINT_URL_ECR": ecr.url}
    return EcrTokens(host, login, secret=secret, environ=environ, clock=clock or time.time)


def test_0_11_ecr_token_is_used_for_its_life_and_then_renewed(ecr):
    now = [ecr.now]
    source = tokens(ecr, clock=lambda: now[0])
    first = source()
    assert (first.username, first.password, first.server) == ("AWS", "token-number-1", HOST)
    now[0] += LIFE_S - 3600
    assert source().password == "token-number-1"
    now[0] += 3600 - 60  # so near its end that it could end in the middle of a pull
    assert source().password == "token-number-2"
    assert ecr.given == 2


@pytest.fixture
def plugins(ecr, locked, tmp_path):
    """Plugins with a login of the stand-in for the locked registry."""
    login = RegistryLogin(user=KEY_ID, secret="env:KEY", kind="ecr", region=REGION, name="our-ecr")
    environ = {"AWS_ENDPOINT_URL_ECR": ecr.url, "KEY": KEY_SECRET}
    return Plugins(tmp_path, environ, Settings(registries={locked.address: login}))


@pytest.mark.docker
@pytest.mark.registry
def test_0_11_2_11_ecr_image_goes_and_comes_with_the_token(ecr, engine, load, locked, plugins):
    locked.accept(AWS=TOKEN_HASHES[0], **HASHES)
    reference = f"{locked.address}/test-{uuid.uuid4().hex[:8]}/image:v1.0.0"
    image_id = load(tiny_image({"own": uuid.uuid4().hex}))
    engine.push(image_id, reference, credential=plugins.credential(reference))
    engine.remove_image(image_id)
    assert engine.pull(reference, plugins.credential(reference)).id == image_id
    assert ecr.given == 1
    locked.accept(**HASHES)
    with pytest.raises(UserError, match="refuses connection 'our-ecr', user AWS") as caught:
        engine.remote_digest(reference, plugins.credential(reference))
    assert "token-number" not in str(caught.value)


@pytest.mark.parametrize("ahead", [-3600, 3600], ids=["behind", "ahead"])
def test_ecr_clock_that_is_wrong_is_told_with_its_skew(ecr, ahead):
    ecr.now -= ahead
    ecr.code = "" if ahead < 0 else "RequestExpired"
    # The signature is made by the real clock; ours tells by how much it is off.
    with pytest.raises(PlatformError) as caught:
        tokens(ecr)()
    side = "ahead" if ahead > 0 else "behind"
    assert f"the clock of this machine is {side}, by 3" in caught.value.what
    assert "set the clock" in caught.value.hint
    assert KEY_SECRET not in str(caught.value)


def test_ecr_token_that_has_ended_already_is_told_as_a_wrong_clock(ecr):
    with pytest.raises(PlatformError, match="has ended already") as caught:
        tokens(ecr, clock=lambda: ecr.now + LIFE_S + 1)()
    assert "clock" in caught.value.hint


def test_0_12_ecr_wrong_secret_names_connection_and_registry(ecr):
    with pytest.raises(UserError) as caught:
        tokens(ecr, secret="another-secret")()
    assert (
        f"no token for the registry {HOST}, connection 'our-ecr': AWS refuses" in caught.value.what
    )
    assert "another-secret" not in str(caught.value)
    assert ecr.given == 0


def test_ecr_refusal_with_the_secret_in_its_words_does_not_show_it(ecr):
    ecr.code = "AccessDeniedException"
    with pytest.raises(UserError, match="AccessDeniedException") as caught:
        tokens(ecr)()
    assert KEY_SECRET not in str(caught.value)
    assert "ecr:GetAuthorizationToken" in caught.value.hint


def test_ecr_that_is_not_there_may_be_tried_again(ecr):
    ecr.url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(PlatformError) as caught:
        tokens(ecr)()
    assert caught.value.retryable
    assert "our-ecr" in caught.value.what


def test_ecr_host_without_a_region_and_half_a_key_are_refused(ecr):
    login = RegistryLogin(user=KEY_ID, secret="env:KEY", kind="ecr")
    with pytest.raises(SettingsError, match="does not name a region"):
        tokens(ecr, host="registry.example", login=login)
    with pytest.raises(SettingsError, match="a key without a secret"):
        tokens(ecr, login=login, secret="")
