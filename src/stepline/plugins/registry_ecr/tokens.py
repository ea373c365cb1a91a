"""Tokens with which AWS's container registry is logged in to: user ``AWS``, for 12 hours."""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from stepline.errors import PlatformError, SettingsError
from stepline.plugins.registry_ecr.faults import Asked, ecr_faults
from stepline.ports.engine import Credential
from stepline.settings import RegistryLogin

_HOST = re.compile(r"(?P<account>\d{12})\.dkr[.-]ecr(-fips)?\.(?P<region>[a-z0-9-]+)\..+")
# Pulling or pushing a large image takes its time, with the token that it began with.
_SPARE_S = 15 * 60


class EcrTokens:
    """Gives the credential of one registry; a token is used again until it is near its end.

    Args:
        host: The registry, ``ACCOUNT.dkr.ecr.REGION.amazonaws.com``.
        login: Its key and, where the host does not say it, its region.
        secret: The key's secret; empty for what boto3 finds itself, such as a role.
        environ: AWS_ENDPOINT_URL_ECR and AWS_ENDPOINT_URL count.
        clock: Returns seconds since the epoch.

    Raises:
        SettingsError: There is no region, or a key without its secret.
    """

    def __init__(
        self,
        host: str,
        login: RegistryLogin,
        *,
        secret: str,
        environ: Mapping[str, str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        found = _HOST.fullmatch(host)
        self._region = login.region or (found["region"] if found else "")
        if not self._region:
            raise SettingsError(
                f"the host {host} does not name a region of AWS",
                hint=f'name it: [registries."{host}"] region = "eu-central-1"',
            )
        if bool(login.user) != bool(secret):
            raise SettingsError(
                f"the registry {host} has a key without a secret, or a secret without a key",
                hint="give both, as user and secret, or none to use what AWS's own tools use",
            )
        self._host, self._login, self._secret = host, login, secret
        self._endpoint = environ.get("AWS_ENDPOINT_URL_ECR") or environ.get("AWS_ENDPOINT_URL")
        self._clock = clock
        self._lock = threading.Lock()
        self._credential: Credential | None = None
        self._ends_at = 0.0

    def __call__(self) -> Credential:
        """Return a credential that is good for a while.

        Raises:
            UserError: AWS refuses the key.
            PlatformError: AWS cannot be reached, or this machine's clock is wrong.
        """
        with self._lock:
            if self._credential is None or self._ends_at - _SPARE_S <= self._clock():
                self._credential, self._ends_at = self._fresh()
            return self._credential

    def _fresh(self) -> tuple[Credential, float]:
        name = self._login.name or self._host
        asked = Asked(name, self._host, self._secret, self._clock)
        with ecr_faults(asked):
            told = self._client().get_authorization_token()["authorizationData"][0]
            user, _, token = base64.b64decode(told["authorizationToken"]).decode().partition(":")
            ends_at = told["expiresAt"].timestamp()
        if ends_at <= self._clock():
            raise PlatformError(
                f"the token that AWS gave for the registry {self._host} has ended already",
                hint="set the clock of this machine, which is ahead",
            )
        credential = Credential(connection=name, server=self._host, username=user, password=token)
        return credential, ends_at

    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        own = {}
        if self._login.user:
            own = {"aws_access_key_id": self._login.user, "aws_secret_access_key": self._secret}
        return boto3.client(
            "ecr",
            region_name=self._region,
            endpoint_url=self._endpoint,
            config=Config(connect_timeout=10, read_timeout=30, retries={"total_max_attempts": 3}),
            **own,
        )
