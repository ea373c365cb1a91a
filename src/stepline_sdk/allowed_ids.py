"""Which IDS config.json allows a function."""

from __future__ import annotations

from stepline_sdk.errors import IDSInvalidWrite, IDSNotAllowed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


class Ids:
    """An IDS; equal to its text ``namespace/slug:version`` and to any other of that text."""

    def __init__(self, namespace: str, slug: str, version: str) -> None:
        self.namespace = namespace
        self.slug = slug
        self.version = version

    def to_tuple(self) -> tuple[str, str, str]:
        """Return namespace, slug and version."""
        return self.namespace, self.slug, self.version

    def __str__(self) -> str:
        return "%s/%s:%s" % self.to_tuple()

    def __repr__(self) -> str:
        return "Ids(%r, %r, %r)" % self.to_tuple()

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class AllowedIds:
    """The IDS that a function may write.

    Attributes:
        allowed_ids: In the author's order, without repetition.
    """

    def __init__(self, allowed_ids: Iterable[Ids]) -> None:
        self.allowed_ids = list(dict.fromkeys(allowed_ids))

    @classmethod
    def from_config(cls, allowed: Any) -> AllowedIds:
        """Return what an ``allowedIds`` of config.json says.

        Raises:
            ValueError: It is neither an object, nor a list of objects, nor null.
        """
        entries = [allowed] if isinstance(allowed, dict) else [] if allowed is None else allowed
        try:
            return cls(Ids(e["namespace"], e["slug"], e["version"]) for e in entries)
        except (TypeError, KeyError):
            raise ValueError(
                "'allowedIds' in config.json must be null, an object with namespace, slug and"
                " version, or a list of such objects"
            ) from None

    def is_single(self) -> bool:
        """Return whether exactly one IDS is allowed."""
        return len(self.allowed_ids) == 1

    def get_first(self) -> Ids:
        """Return the first allowed IDS."""
        return self.allowed_ids[0]

    def is_reconcilable(self, ids_requested_to_be_written: str | None) -> bool:
        """Return True if this IDS may be written.

        Raises:
            IDSInvalidWrite: None is allowed, or none was asked for and several are.
            IDSNotAllowed: Others are allowed.
        """
        self.get_ids_to_be_written(ids_requested_to_be_written)
        return True

    def get_ids_to_be_written(self, ids_requested_to_be_written: str | None) -> str:
        """Return the IDS to write: the one asked for, or the only allowed one.

        Raises:
            IDSInvalidWrite: None is allowed, or none was asked for and several are.
            IDSNotAllowed: Others are allowed.
        """
        names = ", ".join(str(ids) for ids in self.allowed_ids)
        if not names:
            raise IDSInvalidWrite("config.json allows this function no IDS")
        if ids_requested_to_be_written:
            if ids_requested_to_be_written not in [str(ids) for ids in self.allowed_ids]:
                raise IDSNotAllowed(
                    "IDS %s is not allowed; config.json allows %s"
                    % (ids_requested_to_be_written, names)
                )
            return str(ids_requested_to_be_written)
        if not self.is_single():
            raise IDSInvalidWrite("say which IDS to write; config.json allows %s" % names)
        return str(self.get_first())
