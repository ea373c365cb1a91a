"""What registries say, told to people; the words are those of real ones."""

import pytest

from stepline.errors import PlatformError, UserError
from stepline.plugins.engine_docker.registry_faults import Asked, NotInRegistry, registry_fault
from stepline.ports.engine import Credential

LOGIN = Credential(connection="lab", server="reg.example", username="robot", password='pass "word"')


def fault(said, reference="reg.example/a/b:v1.0.0", credential=LOGIN):
    return registry_fault(said, Asked("pull", reference, credential))


@pytest.mark.parametrize(
    ("said", "kind", "what", "retryable"),
    [
        ("unauthorized: authentication required", UserError, "refuses connection 'lab'", None),
        ("denied: requested access to the resource is denied", UserError, "user robot", None),
        ("no basic auth credentials", UserError, "refuses connection", None),
        ("manifest for x not found: manifest unknown", NotInRegistry, "does not have it", None),
        ("no matching manifest for linux/amd64 in it", UserError, "other platforms", None),
        ("http: server gave HTTP response to HTTPS client", UserError, "trust", None),
        ("x509: certificate signed by unknown authority", UserError, "trust", None),
        ("invalid reference format", UserError, "invalid reference", None),
        ("dial tcp 1.2.3.4:443: connect: connection refused", PlatformError, "reached", True),
        ("dial tcp: lookup reg.example: no such host", PlatformError, "reached", True),
        ("net/http: TLS handshake timeout", PlatformError, "reached", True),
        ("unexpected EOF", PlatformError, "reached", True),
        ("toomanyrequests: You have reached your pull rate limit", PlatformError, "reached", True),
        ("write /var/lib/x: no space left on device", PlatformError, "is full", False),
        ("something new", PlatformError, "says: something new", True),
    ],
)
def test_registry_fault_known_words_have_their_kind(said, kind, what, retryable):
    error = fault(said)
    assert type(error) is kind
    assert what in error.what
    assert getattr(error, "retryable", None) is retryable
    assert error.hint or said == "something new"


def test_registry_fault_names_what_was_done_and_where():
    assert fault("denied").what.startswith(
        "cannot pull reg.example/a/b:v1.0.0: the registry reg.ex"
    )
    assert "the registry docker.io wants a login" in fault("denied", "a/b", None).what
    assert "'registries'" in fault("denied", "a/b", None).hint


@pytest.mark.parametrize("name", ["denied", "timeout", "not-found/eof"])
def test_registry_fault_name_of_the_image_is_not_taken_for_what_was_said(name):
    error = fault(f"reg.example/{name}: something new", f"reg.example/{name}:v1.0.0")
    assert error.what.endswith("something new")


@pytest.mark.parametrize(
    "form",
    ['pass "word"', 'pass \\"word\\"', "cm9ib3Q6cGFzcyAid29yZCI="],
    ids=["raw", "json", "b64"],
)
def test_registry_fault_never_shows_the_password(form):
    for said in (f"something new: {form}", f"denied: {form}", f"dial tcp: {form}"):
        error = fault(said)
        assert form not in str(error)
        assert "***" in error.what
