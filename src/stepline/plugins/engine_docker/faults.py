"""The one border at which errors of docker-py become ours.

An engine tells most of its faults in words alone, so words are what they are known by.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stepline.errors import PlatformError, SteplineError, UserError

if TYPE_CHECKING:
    from docker.errors import APIError

_FULL_DISK = ("no space left on device", "disk quota exceeded")
_NOBODY_THERE = (errno.ENOENT, errno.ECONNREFUSED)


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Raise our errors for docker-py's, and for files of this machine.

    Args:
        place: Address of the engine, for messages.

    Raises:
        UserError: The engine refuses what was asked of it, since something uses it.
        PlatformError: The engine cannot be reached, or fails.
    """
    from http.client import HTTPException

    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except APIError as error:
        raise refusal(error) from error
    except (RequestException, DockerException, HTTPError, HTTPException, ConnectionError) as error:
        raise unreachable(error, place) from error
    except OSError as error:
        raise _own_fault(error) from error


def unreachable(error: Exception, place: str) -> SteplineError:
    """Return the error for an engine with which one cannot speak."""
    reasons = list(_causes(error))
    if any(isinstance(each, PermissionError) for each in reasons):
        hint = (
            "add your user to the group that owns the socket, 'docker' as a rule, and log in anew"
        )
        return PlatformError(f"you have no right to use the Docker Engine at {place}", hint=hint)
    if any(isinstance(each, OSError) and each.errno in _NOBODY_THERE for each in reasons):
        hint = "start it, or let DOCKER_HOST name the one to use"
        return PlatformError(f"no Docker Engine answers at {place}", hint=hint, retryable=True)
    hint = "see whether it is up: docker version"
    what = f"the connection with the Docker Engine at {place} broke: {reasons[-1]}"
    return PlatformError(what, hint=hint, retryable=True)


def refusal(error: APIError) -> SteplineError:
    """Return the error for an answer of the engine that is not a success."""
    said = said_by(error)
    if full := full_disk(said):
        return full
    if error.status_code == 404 and "no such image" in said.lower():
        hint = "build or pull the image again"
        return PlatformError(f"an image is gone: {said}", hint=hint, retryable=True)
    if error.status_code == 404:
        return PlatformError(f"the Docker Engine does not have it: {said}", retryable=True)
    if "invalid reference format" in said:
        hint = "write it as in registry.example/name:v1.0.0"
        return UserError(f"that is no reference of an image: {said}", hint=hint)
    if error.status_code == 409:
        return UserError(f"the Docker Engine refuses: {said}", hint="end and remove what uses it")
    # What an engine that is just coming up or going down says is also an error of the server.
    failed = error.status_code is None or error.status_code >= 500
    hint = "its log tells more" if failed else ""
    return PlatformError(f"the Docker Engine fails: {said}", hint=hint, retryable=failed)


def said_by(error: APIError) -> str:
    """Return what the engine says of an error, without a final full stop."""
    return str(error.explanation or error).strip().removesuffix(".")


def full_disk(said: str) -> PlatformError | None:
    """Return the error for an engine without disk space, where it says so."""
    if any(word in said.lower() for word in _FULL_DISK):
        return _full_disk("of the Docker Engine")
    return None


def _own_fault(error: OSError) -> PlatformError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full_disk("of this machine")
    return PlatformError(f"a file of this machine cannot be read or written: {error}")


def _full_disk(whose: str) -> PlatformError:
    hint = "free some, with stepline image prune for instance, and do it again"
    return PlatformError(f"the disk {whose} is full", hint=hint)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and everything that led to it, each once, outermost first."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]
