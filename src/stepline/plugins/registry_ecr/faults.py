"""The one border at which errors of AWS's client become ours; none holds a secret."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from stepline.errors import PlatformError, SettingsError, SteplineError, UserError
from stepline.frozen import frozen

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

# A signature of AWS is good for five minutes around its time.
_MOST_SKEW_S = 300
_SKEW = ("RequestTimeTooSkewed", "RequestExpired")
_SKEW_WORDS = ("signature expired", "signature not yet current")
_BUSY = ("ThrottlingException", "ServerException", "ServiceUnavailable", "InternalFailure")


@frozen
class Asked:
    """What a token was asked for.

    Attributes:
        connection: What people call the connection.
        registry: Its host.
        secret: What must not be in an error.
        clock: Returns seconds since the epoch.
    """

    connection: str
    registry: str
    secret: str
    clock: Callable[[], float]


@contextmanager
def ecr_faults(asked: Asked) -> Iterator[None]:
    """Raise our errors for those of boto3, which may be missing too.

    Raises:
        UserError: AWS refuses the key, or there is none.
        PlatformError: AWS cannot be reached, or this machine's clock is wrong.
    """
    try:
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
    except ImportError as error:
        hint = "install it: pip install 'stepline[aws]'"
        raise PlatformError("boto3, which speaks with AWS, is missing", hint=hint) from error
    start = f"no token for the registry {asked.registry}, connection '{asked.connection}'"
    try:
        yield
    except ClientError as error:
        raise _refusal(error, start, asked) from None
    except NoCredentialsError:
        hint = "name user and secret in the setting 'registries', or give this machine a role"
        raise SettingsError(f"{start}: there is no key of AWS here", hint=hint) from None
    except BotoCoreError as error:
        said = _without(str(error), asked.secret)
        hint = "see whether AWS can be reached from here"
        raise PlatformError(f"{start}: {said}", hint=hint, retryable=True) from None


def _refusal(error: ClientError, start: str, asked: Asked) -> SteplineError:
    told: dict[str, Any] = error.response
    code = told.get("Error", {}).get("Code", "")
    said = _without(told.get("Error", {}).get("Message", "") or code, asked.secret)
    skew = _skew(told, asked.clock())
    if code in _SKEW or any(word in said.lower() for word in _SKEW_WORDS):
        by = f", by {abs(skew):.0f} seconds" if skew else ""
        side = (" ahead" if skew > 0 else " behind") if skew else " wrong"
        what = f"{start}: the clock of this machine is{side}{by}: {said}"
        return PlatformError(what, hint="set the clock, by a time service for instance")
    if code in _BUSY:
        return PlatformError(f"{start}: {said}", hint="try again later", retryable=True)
    hint = "check key, secret and region, and that it may do ecr:GetAuthorizationToken"
    return UserError(f"{start}: AWS refuses it: {said} ({code})", hint=hint)


def _skew(told: dict[str, Any], now: float) -> float:
    """Return the seconds by which this clock is ahead of AWS's; 0 where that is not known."""
    headers = told.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        skew = now - parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (TypeError, ValueError):
        return 0.0
    return skew if abs(skew) > _MOST_SKEW_S else 0.0


def _without(said: str, secret: str) -> str:
    return said.replace(secret, "***") if secret else said
