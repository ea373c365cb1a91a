"""What registries say when they do not do what is asked, told to people.

The engine hands on their words, so words are what the kinds of faults are known by.
"""

from __future__ import annotations

import base64
import json

from stepline.errors import PlatformError, SteplineError, UserError
from stepline.frozen import frozen
from stepline.model.image import registry_of, split_reference
from stepline.plugins.engine_docker.faults import full_disk
from stepline.ports.engine import Credential

_REFUSED = (
    "unauthorized",
    "no basic auth credentials",
    "authentication required",
    "incorrect username or password",
    "denied",
    "forbidden",
)
_ABSENT = ("manifest unknown", "name unknown", "not found", "no such", "does not exist")
_OTHER_PLATFORM = ("no matching manifest", "does not match the specified platform")
_DOWN = ("no such host", "server misbehaving", "dial tcp", "connection re", "timeout", "eof")
_PLAIN = "server gave http response to https client"
_MISNAMED = "invalid reference format"
_BUSY = ("toomanyrequests", "too many requests", "service unavailable", "bad gateway")


class NotInRegistry(UserError):
    """A registry does not have what a reference names."""


@frozen
class Asked:
    """What was asked of a registry.

    Attributes:
        verb: What it was to do.
        reference: The image.
        credential: What went along.
    """

    verb: str
    reference: str
    credential: Credential | None


def registry_fault(said: str, asked: Asked) -> SteplineError:
    """Return the error for what the engine says about a registry."""
    registry, said = registry_of(asked.reference), _masked(said, asked.credential)
    repository, _ = split_reference(asked.reference)
    # An image may be called as a fault is.
    words = said.lower().replace(repository.removeprefix(f"{registry}/"), "")
    start = f"cannot {asked.verb} {asked.reference}"
    if full := full_disk(words):
        return full
    if any(word in words for word in _OTHER_PLATFORM):
        hint = "build it for linux/amd64"
        return UserError(f"{start}: the registry has it for other platforms: {said}", hint=hint)
    if _PLAIN in words or "x509" in words:
        hint = "let the engine trust it, by certs.d or insecure-registries of its daemon.json"
        return UserError(f"{start}: the engine does not trust {registry}: {said}", hint=hint)
    if any(word in words for word in (*_DOWN, *_BUSY)):
        what = f"{start}: the registry {registry} cannot be reached: {said}"
        return PlatformError(what, hint="see whether it is up", retryable=True)
    if _MISNAMED in words:
        return UserError(f"{start}: {said}", hint="write it as in registry.example/name:v1.0.0")
    # A registry says of what it keeps from somebody that it may also not exist.
    if any(word in words for word in _REFUSED):
        return _refused(f"{start}: the registry {registry}", said, asked.credential)
    if any(word in words for word in _ABSENT):
        hint = "check its name; stepline image push brings one there"
        return NotInRegistry(f"{start}: the registry {registry} does not have it", hint=hint)
    return PlatformError(f"{start}: the registry {registry} says: {said}", retryable=True)


def _refused(start: str, said: str, credential: Credential | None) -> UserError:
    if credential is None:
        hint = "name a user and a secret for it in the setting 'registries', or check the name"
        return UserError(f"{start} wants a login: {said}", hint=hint)
    who = f"connection '{credential.connection}', user {credential.username}"
    hint = "check its user and secret, and what that user may do there"
    return UserError(f"{start} refuses {who}: {said}", hint=hint)


def _masked(said: str, credential: Credential | None) -> str:
    """Return what was said without a password, as it is or in the forms it is sent in."""
    if credential is None or not credential.password:
        return said
    both = f"{credential.username}:{credential.password}".encode()
    forms = (
        credential.password,
        json.dumps(credential.password)[1:-1],
        base64.b64encode(both).decode(),
    )
    for form in forms:
        said = said.replace(form, "***")
    return said
