"""Logins of container registries: from settings and secrets to what a registry asks for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from stepline.app.masking import remember_for_reports
from stepline.app.run_secrets import read_masked
from stepline.errors import SettingsError
from stepline.model.image import registry_of
from stepline.ports.engine import Credential, CredentialSource
from stepline.ports.secrets import SecretBackend
from stepline.settings import RegistryLogin

_BASIC = "basic"


class RegistryLogins:
    """Knows what the registries that settings name ask for; threads may share it.

    Nothing is kept but the sources of credentials that have a life of their own, such as
    tokens: a password is read anew each time, so that a changed one counts at once.

    Args:
        registries: Logins by host.
        backend: Gives the secret backend of a name.
        provide: Gives the source of credentials for a host, a login and its secret, where
            the kind is not ``basic``.
    """

    def __init__(
        self,
        registries: Mapping[str, RegistryLogin],
        *,
        backend: Callable[[str], SecretBackend],
        provide: Callable[[str, RegistryLogin, str], CredentialSource],
    ) -> None:
        self._registries = registries
        self._backend = backend
        self._provide = provide
        self._sources: dict[tuple[str, str], CredentialSource] = {}
        self._lock = threading.Lock()

    def credential(self, reference: str) -> Credential | None:
        """Return what the registry of an image's reference asks for; None for nothing.

        Raises:
            SettingsError: Its secret is missing, or unreadable.
            PlatformError: It cannot be had, such as a token of a cloud.
        """
        host = registry_of(reference)
        login = self._registries.get(host)
        if login is None:
            return None
        secret = self._secret(host, login)
        if login.kind == _BASIC:
            return Credential(
                connection=login.name or host, server=host, username=login.user, password=secret
            )
        credential = self._source(host, login, secret)()
        remember_for_reports(credential.password)
        return credential

    def _source(self, host: str, login: RegistryLogin, secret: str) -> CredentialSource:
        with self._lock:
            # A changed secret makes another source, with a token of its own.
            if (host, secret) not in self._sources:
                self._sources[host, secret] = self._provide(host, login, secret)
            return self._sources[host, secret]

    def _secret(self, host: str, login: RegistryLogin) -> str:
        if not login.secret:
            return ""
        backend, _, name = login.secret.partition(":")
        try:
            found = read_masked(
                lambda: self._backend(backend).read(name),
                key=name,
                plugin=f"secrets.{backend}",
                mask=lambda value: None,
            )
        except SettingsError as error:
            what = f"the registry {host} cannot be logged in to: {error.what}"
            raise SettingsError(what, where=error.where, hint=error.hint) from error
        return found.value
