"""Who may do what: the one place that decides.

For now there is one token, which may do everything. It is random, so one round of SHA-256
with a salt is enough to keep it from whoever reads the state.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Mapping
from enum import Enum

from stepline.frozen import frozen
from stepline.model.values import Json
from stepline.ports.state import State, Transaction

SPACE = "access"
_TOKEN = "token"
_LINK_KEY = "link-key"
_TOKEN_BYTES = 32
_OPEN_PATHS = ("/health", "/v1/openapi.json")
_CONTENT = re.compile(r"/v1/files/([^/]+)/content")
_READING = ("GET", "HEAD")


class Verdict(Enum):
    """What was decided about a request."""

    ALLOWED = "allowed"
    NO_TOKEN = "no token"
    WRONG_TOKEN = "wrong token"
    WRONG_ORG = "wrong organisation"
    BAD_LINK = "bad link"


@frozen
class Action:
    """What somebody wants to do.

    Attributes:
        area: First word of the path below ``/v1``, such as ``files``.
        changes: Whether it is more than looking.
    """

    area: str
    changes: bool = True


ANYTHING = Action("*")
PUBLISH_COMMON = Action("common")


@frozen(kw_only=True)
class Asked:
    """A request, as far as it matters here.

    Attributes:
        method: HTTP method.
        path: Path.
        query: Parameters of the query.
        headers: Headers by name in small letters.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


class Access:
    """Knows the token, signs links, and decides about requests.

    Args:
        state: Where the token's hash and the key of links are kept.
        clock: Returns seconds since the epoch.
    """

    def __init__(self, state: State, *, clock: Callable[[], float] = time.time) -> None:
        self._state = state
        self._clock = clock
        self._link_key: bytes | None = None

    def ensure_token(self) -> str | None:
        """Make a token if there is none; return it in clear if it was just made."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)

        def act(tx: Transaction) -> bool:
            if tx.values.get(SPACE, _TOKEN) is not None:
                return False
            tx.values.set(SPACE, _TOKEN, value=_hashed(token))
            return True

        return token if self._state.write(act) else None

    def rotate(self) -> str:
        """Make a new token and return it; the one of before is worth nothing any more."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._state.write(lambda tx: tx.values.set(SPACE, _TOKEN, value=_hashed(token)))
        return token

    def allows(self, token: str, action: Action = ANYTHING) -> bool:
        """Return whether a token may do something; the one token may do everything."""
        with self._state.read() as view:
            known = view.values.get(SPACE, _TOKEN)
        if not isinstance(known, dict):
            return False
        salt, wanted = str(known["salt"]), str(known["sha256"])
        return hmac.compare_digest(_digest(salt, token), wanted)

    def publishes_common(self, headers: Mapping[str, str]) -> bool:
        """Return whether who sends a request may publish in the namespace ``common``.

        Args:
            headers: Headers by name in small letters.
        """
        return self.allows(_token_of(headers), PUBLISH_COMMON)

    def decide(self, asked: Asked, *, org: str) -> Verdict:
        """Decide about a request to the service of an organisation."""
        if asked.path in _OPEN_PATHS:
            return Verdict.ALLOWED
        if (signature := asked.query.get("signature")) is not None:
            expires = asked.query.get("expires", "")
            good = self._is_signed(asked, expires=expires, signature=signature)
            return Verdict.ALLOWED if good else Verdict.BAD_LINK
        token = _token_of(asked.headers)
        if not token:
            return Verdict.NO_TOKEN
        if not self.allows(token, _action_of(asked)):
            return Verdict.WRONG_TOKEN
        if asked.headers.get("x-org-slug", org) != org:
            return Verdict.WRONG_ORG
        return Verdict.ALLOWED

    def sign(self, file_id: str, *, ttl_s: int) -> tuple[int, str]:
        """Return when a link to a file expires, seconds since the epoch, and its signature."""
        expires = int(self._clock()) + ttl_s
        return expires, self._signature(file_id, str(expires))

    def _is_signed(self, asked: Asked, *, expires: str, signature: str) -> bool:
        found = _CONTENT.fullmatch(asked.path)
        if found is None or asked.method not in _READING:
            return False
        wanted = self._signature(found[1], expires)
        in_time = expires.isascii() and expires.isdigit() and int(expires[:12]) > self._clock()
        return hmac.compare_digest(signature.encode(), wanted.encode()) and in_time

    def _signature(self, file_id: str, expires: str) -> str:
        text = f"{file_id}\n{expires}".encode()
        return hmac.new(self._key(), text, hashlib.sha256).hexdigest()

    def _key(self) -> bytes:
        if self._link_key is None:
            made = secrets.token_hex(_TOKEN_BYTES)

            def act(tx: Transaction) -> str:
                known = tx.values.get(SPACE, _LINK_KEY)
                if isinstance(known, str):
                    return known
                tx.values.set(SPACE, _LINK_KEY, value=made)
                return made

            self._link_key = bytes.fromhex(self._state.write(act))
        return self._link_key


def _action_of(asked: Asked) -> Action:
    area = asked.path.removeprefix("/v1/").partition("/")[0]
    return Action(area, changes=asked.method not in _READING)


def _token_of(headers: Mapping[str, str]) -> str:
    """Return the token in whichever header it stands."""
    for name in ("ts-auth-token", "x-api-key"):
        if token := headers.get(name):
            return token
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _hashed(token: str) -> Json:
    salt = secrets.token_hex(16)
    return {"salt": salt, "sha256": _digest(salt, token)}


def _digest(salt: str, token: str) -> str:
    return hashlib.sha256(f"{salt}:{token}".encode()).hexdigest()
