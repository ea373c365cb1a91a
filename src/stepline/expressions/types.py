"""The type language by which expressions are checked before anything runs.

``accepts`` is assignability: whether every value of another type may stand where this
type is asked for. ``any`` (task outputs, errors, unstructured config objects) goes
everywhere and is accepted everywhere; ``unknown`` is accepted only by itself and
``any``.

Source:
    The public protocol compiler's type rules; records are read as value-or-null.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain

from stepline.expressions.nodes import Json
from stepline.expressions.suggest import nearest_hint

Index = str | int | float
_SHOWN = 60


class AccessFault(Exception):
    """A member cannot be read.

    Args:
        code: Kebab-case name of the fault.
        reason: Why, to follow the name of what was accessed, as in "`x` is a string".
        hint: What to do about it.
    """

    def __init__(self, code: str, reason: str, *, hint: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.hint = hint


class Type:
    """Base of all types; a type is known by its text."""

    text = ""
    wider: Type | None = None

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<type {self.shown}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Type) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def shown(self) -> str:
        """The text, shortened for messages."""
        return self.text if len(self.text) <= _SHOWN else self.text[: _SHOWN - 1] + "…"

    def accepts(self, other: Type) -> bool:
        """Tell whether a value of `other` may be used as this type."""
        if isinstance(other, (AnyType, NeverType)):
            return True
        if isinstance(other, Union):
            return all(self.accepts(option) for option in other.options)
        return self._accepts_one(other)

    def _accepts_one(self, other: Type) -> bool:
        """Tell the same of a type that is no union."""
        if other.text == self.text:
            return True
        return other.wider is not None and self._accepts_one(other.wider)

    def access(self, key: Index) -> Type:
        """Return the type of a member.

        Raises:
            AccessFault: Values of this type have no such member.
        """
        return self._access(key)

    def _access(self, key: Index) -> Type:
        raise AccessFault("invalid-access", f"is of type {self.shown}, which has no members")


class AnyType(Type):
    """A value of which nothing is known and everything is allowed."""

    text = "any"

    def _accepts_one(self, other: Type) -> bool:
        return True

    def _access(self, key: Index) -> Type:
        return self


class UnknownType(Type):
    """A value that may be passed on, but not looked into."""

    text = "unknown"

    def _accepts_one(self, other: Type) -> bool:
        return True


class NeverType(Type):
    """No value at all."""

    text = "never"

    def _accepts_one(self, other: Type) -> bool:
        return False


class Scalar(Type):
    """A named type without members."""

    def __init__(self, text: str, *, wider: Type | None = None) -> None:
        self.text = text
        self.wider = wider


ANY = AnyType()
UNKNOWN = UnknownType()
NEVER = NeverType()
NULL = Scalar("null")
STRING = Scalar("string")
NUMBER = Scalar("number")
BOOLEAN = Scalar("boolean")
SECRET = Scalar("secret", wider=STRING)


class Const(Type):
    """One text, number or boolean."""

    def __init__(self, value: str | int | float) -> None:
        self.value = value
        self.text = json.dumps(value, ensure_ascii=False)
        if isinstance(value, bool):
            self.wider = BOOLEAN
        else:
            self.wider = STRING if isinstance(value, str) else NUMBER

    def _accepts_one(self, other: Type) -> bool:
        return isinstance(other, Const) and _same(self.value, other.value)


TRUE = Const(True)
FALSE = Const(False)


class Union(Type):
    """One of several types; made by `union`."""

    def __init__(self, options: Sequence[Type]) -> None:
        self.options = tuple(options)
        self.text = " | ".join(option.text for option in options)

    def _accepts_one(self, other: Type) -> bool:
        return any(option.accepts(other) for option in self.options)

    def _access(self, key: Index) -> Type:
        if NULL in self.options:
            hint = "use coalesce(…), or make it required"
            raise AccessFault("possibly-null", "may be null, so it has no members", hint=hint)
        return union(option.access(key) for option in self.options)


def union(types: Iterable[Type]) -> Type:
    """Return the type that holds the values of all given ones."""
    flat = chain.from_iterable(t.options if isinstance(t, Union) else (t,) for t in types)
    found = {t.text: t for t in flat if t.text != NEVER.text}
    for whole in (ANY, UNKNOWN):
        if whole.text in found:
            return whole
    if not found:
        return NEVER
    options = list(found.values())
    return options[0] if len(options) == 1 else Union(options)


class Container(Type):
    """Values that have members.

    Attributes:
        by_name: Whether members are read by text, otherwise by number.
        values: The type that holds every member's values.
    """

    by_name: bool
    values: Type

    def _without(self, other: Container) -> Container:
        """Return this type less the members that `other` names."""
        return self

    def named_right(self, key: Index) -> bool:
        """Tell whether members are read by keys of this kind."""
        return isinstance(key, str) == self.by_name


class Record(Container):
    """An object with unknown keys and values of one type."""

    by_name = True

    def __init__(self, values: Type) -> None:
        self.values = values
        self.text = f"Record<string, {values.text}>"

    def _accepts_one(self, other: Type) -> bool:
        if not isinstance(other, Container) or not other.by_name:
            return False
        return self.values.accepts(other.values)

    def _access(self, key: Index) -> Type:
        if not self.named_right(key):
            raise AccessFault("unknown-member", "is read by name, not by number")
        return union((self.values, NULL))


class Indexed(Container):
    """Members of which each has its own type, and perhaps further ones of one type."""

    def __init__(self, members: Iterable[tuple[Index, Type]], rest: Type | None) -> None:
        self.members: dict[Index, Type] = dict(members)
        self.rest = rest

    @cached_property
    def values(self) -> Type:  # type: ignore[override]  # only assignability asks for it
        """The type that holds every member's values."""
        return union([*self.members.values(), *([self.rest] if self.rest else [])])

    def _accepts_one(self, other: Type) -> bool:
        if not isinstance(other, Container) or other.by_name != self.by_name:
            return False
        fits = all(t.accepts(_member_or_null(other, key)) for key, t in self.members.items())
        return fits and (self.rest or UNKNOWN).accepts(other._without(self).values)

    def _access(self, key: Index) -> Type:
        if key in self.members:
            return self.members[key]
        if self.rest is not None and self.named_right(key):
            return union((self.rest, NULL))
        raise self._missing(key)

    def _missing(self, key: Index) -> AccessFault:
        """Return the fault of a member that does not exist."""
        raise NotImplementedError


class Object(Indexed):
    """An object with named members."""

    by_name = True

    def __init__(self, members: Mapping[str, Type], rest: Type | None = None) -> None:
        super().__init__(members.items(), rest)

    @cached_property
    def text(self) -> str:  # type: ignore[override]  # written out only when asked for
        """The members, as in ``{ a: string, [key: string]: any }``."""
        parts = [f"{_name(key)}: {value.text}" for key, value in self.members.items()]
        if self.rest is not None:
            parts.append(f"[key: string]: {self.rest.text}")
        return f"{{ {', '.join(parts)} }}" if parts else "{}"

    def _without(self, other: Container) -> Container:
        names = other.members if isinstance(other, Indexed) else {}
        kept = {str(key): t for key, t in self.members.items() if key not in names}
        return Object(kept, self.rest)

    def _missing(self, key: Index) -> AccessFault:
        hint = nearest_hint(str(key), [str(name) for name in self.members])
        return AccessFault("unknown-member", f"has no member {_shown_key(key)}", hint=hint)


class Array(Indexed):
    """A list whose first items have types of their own, and perhaps more of one type."""

    by_name = False

    def __init__(self, items: Sequence[Type], rest: Type | None = None) -> None:
        super().__init__(enumerate(items), rest)

    @cached_property
    def text(self) -> str:  # type: ignore[override]  # written out only when asked for
        """The items, as in ``[string, ...Array<number>]``."""
        parts = [value.text for value in self.members.values()]
        if self.rest is not None:
            if not parts:
                return f"Array<{self.rest.text}>"
            parts.append(f"...Array<{self.rest.text}>")
        return f"[{', '.join(parts)}]"

    def _without(self, other: Container) -> Container:
        count = len(other.members) if isinstance(other, Indexed) else 0
        return Array(list(self.members.values())[count:], self.rest)

    def _missing(self, key: Index) -> AccessFault:
        if isinstance(key, str):
            return AccessFault("unknown-member", f"is a list; it has no member {_shown_key(key)}")
        return AccessFault("unknown-member", f"has {len(self.members)} items, not item {key}")


class Steps(Container):
    """The root ``steps``: the states of the steps that may be read here.

    Args:
        states: Type of each visible step's state, in order.
        ids: Index by id, of all steps of the protocol.
        own: Index of the step whose field is checked, None after the last one.
    """

    by_name = False

    def __init__(
        self, states: Sequence[Type], ids: Mapping[str, int], *, own: int | None = None
    ) -> None:
        self.states = states
        self.ids = ids
        self.own = own
        self.values = ANY

    @cached_property
    def text(self) -> str:  # type: ignore[override]  # written out only when asked for
        """The states as a list."""
        return Array(self.states).text

    def _accepts_one(self, other: Type) -> bool:
        return Array(self.states)._accepts_one(other)

    def _access(self, key: Index) -> Type:
        index = self.ids.get(key) if isinstance(key, str) else key
        if index is None:
            raise self._unknown(str(key))
        if isinstance(index, int) and index < len(self.states):
            return self.states[index]
        raise self._not_earlier(key, index)

    def _unknown(self, name: str) -> AccessFault:
        visible = [step for step, index in self.ids.items() if index < len(self.states)]
        hint = nearest_hint(name, visible, none="no step with an id comes before")
        return AccessFault("unknown-step", f"has no step {_shown_key(name)}", hint=hint)

    def _not_earlier(self, key: Index, index: int | float) -> AccessFault:
        if index == self.own:
            reason = f"cannot be read at {_shown_key(key)}: that is this step itself"
            return AccessFault("forward-reference", reason, hint="only earlier steps have a state")
        if self.own is None or not isinstance(key, str):
            reason = f"has {len(self.states)} steps before this, not step {_shown_key(key)}"
            return AccessFault("unknown-step", reason)
        reason = f"cannot be read at {_shown_key(key)}: that step comes later"
        return AccessFault("forward-reference", reason, hint="move this step behind it")


def type_of_value(value: Json) -> Type:
    """Return the narrowest type of a JSON value."""
    if value is None:
        return NULL
    if isinstance(value, list):
        return Array([type_of_value(item) for item in value])
    if isinstance(value, dict):
        return Object({key: type_of_value(item) for key, item in value.items()})
    return Const(value)


def _member_or_null(container: Container, key: Index) -> Type:
    try:
        return container.access(key)
    except AccessFault:
        return NULL


def _same(a: Json, b: Json) -> bool:
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def _name(key: Index) -> str:
    text = str(key)
    return text if text.replace("$", "_").isidentifier() else json.dumps(text)


def _shown_key(key: Index) -> str:
    return f"`{key}`"
