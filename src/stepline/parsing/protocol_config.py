"""The structure and the types of a protocol's config items.

Source:
    The protocol rules' section "config items".
"""

from __future__ import annotations

from stepline.expressions.types import (
    ANY,
    BOOLEAN,
    NULL,
    NUMBER,
    SECRET,
    STRING,
    Array,
    Type,
    type_of_value,
    union,
)
from stepline.model.protocol import ConfigType
from stepline.model.values import Json
from stepline.parsing.checker import Checker, boolean_hint, join, kind_of
from stepline.parsing.nodes import Mapping, Node, Scalar, Sequence
from stepline.parsing.protocol_steps import literal_text, warn_literal
from stepline.parsing.schema_types import schema_type

KEYS = ("label", "type", "description", "required", "default", "schema", "component")
_TYPES = tuple(kind.value for kind in ConfigType)
_VALUE_TYPES: dict[ConfigType, Type] = {
    ConfigType.STRING: STRING,
    ConfigType.NUMBER: NUMBER,
    ConfigType.BOOLEAN: BOOLEAN,
    ConfigType.SECRET: SECRET,
    ConfigType.OBJECT: ANY,
    ConfigType.ARRAY: ANY,
}
_NODES: dict[ConfigType, type] = {ConfigType.OBJECT: Mapping, ConfigType.ARRAY: Sequence}
_COMPONENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "select": (("options",), ()),
    "multiselect": (("options",), ()),
    "textarea": ((), ("placeholder",)),
    "slider": (("min", "max"), ("step",)),
    "checkbox": ((), ()),
    "editor": ((), ("language",)),
}


def check_config_items(checker: Checker, node: Node | None) -> dict[str, Type]:
    """Check every config item; return what each ``config.<key>`` gives, ``any`` if unclear."""
    if node is None:
        return {}
    if not isinstance(node, Mapping):
        checker.wrong_type(node, "config", expected="a mapping")
        return {}
    types = {}
    for key, item in node.entries.items():
        checker.identifier_key(node, key, source="config")
        types[key] = _Item(checker, key, item).check()
    return types


class _Item:
    """One config item while it is checked."""

    def __init__(self, checker: Checker, key: str, node: Node) -> None:
        self.checker = checker
        self.key = key
        self.source = join("config", key)
        self.node = checker.mapping(node, self.source, known=KEYS, required=("label", "type"))
        self.entries = self.node.entries if self.node else {}
        self.schema: dict[str, Json] | None = None

    def check(self) -> Type:
        """Check the item and return the type of its value."""
        for key in ("label", "description"):
            literal_text(self.checker, self.entries.get(key), source=self.path(key))
        required = bool(self.checker.boolean(self.entries.get("required"), self.path("required")))
        name = self.checker.choice(self.entries.get("type"), self.path("type"), among=_TYPES)
        if name not in _TYPES:
            return ANY
        kind = ConfigType(name)
        self.refuse_for_secret(kind)
        value_type = self.value_type(kind)
        or_null = union((value_type, NULL))
        self.default(kind, value_type, required=required)
        self.component(kind, value_type if required else or_null)
        return value_type if required or "default" in self.entries else or_null

    def path(self, *keys: str | int) -> str:
        return join(self.source, *keys)

    def refuse_for_secret(self, kind: ConfigType) -> None:
        if kind is not ConfigType.SECRET or self.node is None:
            return
        for key in ("default", "schema", "component"):
            if key in self.entries:
                what = f"a secret cannot have a {key}"
                at = self.node.keys[key]
                self.checker.error("secret-field", what, at=at, source=self.path(key))

    def value_type(self, kind: ConfigType) -> Type:
        """Return the type of given values, by the item's schema if it has one."""
        node = self.entries.get("schema")
        if node is None or kind is ConfigType.SECRET:
            return _VALUE_TYPES[kind]
        if not isinstance(node, Mapping):
            self.checker.wrong_type(node, self.path("schema"), expected="a mapping")
            return ANY
        declared = node.entries.get("type")
        if declared is not None and declared.plain() != kind.value:
            what = f"the schema's type must be {kind.value!r}, as the item's is"
            source = self.path("schema", "type")
            self.checker.error("schema-type", what, at=declared, source=source)
            return ANY
        from stepline.parsing.schema_checks import check_schema

        if not check_schema(self.checker, node, source=self.path("schema")):
            return ANY
        plain = node.plain()
        assert isinstance(plain, dict)
        self.schema = {"type": kind.value, **plain}
        return schema_type(self.schema)

    def default(self, kind: ConfigType, value_type: Type, *, required: bool) -> None:
        node = self.entries.get("default")
        if node is None or kind is ConfigType.SECRET or self.node is None:
            return
        source = self.path("default")
        if required:
            what = f"the default of `{self.key}` is never used: a value is required"
            at = self.node.keys["default"]
            self.checker.warning("unused-default", what, at=at, source=source)
        if isinstance(node, Scalar):
            warn_literal(self.checker, node, source=source)
        if self.default_fits(node, value_type, kind=kind) and self.schema is not None:
            from stepline.parsing.schema_checks import check_default

            check_default(self.checker, node, source=source, schema=self.schema)

    def default_fits(self, node: Node, value_type: Type, *, kind: ConfigType) -> bool:
        source = self.path("default")
        value = node.plain()
        if value is None:
            hint = "remove it: an item without value is null anyway"
            self.checker.error(
                "null-default", "null is no default", at=node, hint=hint, source=source
            )
            return False
        if not value_type.accepts(type_of_value(value)):
            given = type_of_value(value).shown
            what = f"the default must be of type {value_type.shown}, not {given}"
            hint = boolean_hint(value) if value_type == BOOLEAN else ""
            self.checker.error("default-type", what, at=node, hint=hint, source=source)
            return False
        expected = _NODES.get(kind, Node)
        if not isinstance(node, expected):
            what = f"the default of an item of type {kind.value} is {kind_of(node)}"
            self.checker.warning("default-type", what, at=node, source=source)
        return True

    def component(self, kind: ConfigType, accepted: Type) -> None:
        node = self.entries.get("component")
        if node is None or kind is ConfigType.SECRET:
            return
        given = check_component(self.checker, node, source=self.path("component"))
        if given is not None and not accepted.accepts(given):
            what = f"this control gives {given.shown}, but the item takes {accepted.shown}"
            self.checker.error("component-type", what, at=node, source=self.path("component"))


def check_component(checker: Checker, node: Node, *, source: str) -> Type | None:
    """Check a control's structure and return the type of what it gives; None if unknown."""
    if not isinstance(node, Mapping):
        checker.wrong_type(node, source, expected="a mapping")
        return None
    name = checker.choice(node.entries.get("type"), join(source, "type"), among=_COMPONENTS)
    if name not in _COMPONENTS:
        if "type" not in node.entries:
            checker.keys(node, source, known=node.entries, required=("type",))
        return None
    required, optional = _COMPONENTS[name]
    checker.keys(node, source, known=("type", *required, *optional), required=required)
    entries = node.entries
    if name in ("select", "multiselect"):
        chosen = _options_type(checker, entries.get("options"), join(source, "options"))
        return chosen if name == "select" or chosen is None else Array((), chosen)
    for key in ("min", "max", "step"):
        checker.number(entries.get(key), join(source, key))
    for key in ("placeholder", "language"):
        checker.text(entries.get(key), join(source, key))
    return {"slider": NUMBER, "checkbox": BOOLEAN}.get(name, STRING)


def _options_type(checker: Checker, node: Node | None, source: str) -> Type | None:
    keys = ("label", "value")
    values: list[Type] = []
    for path, item in checker.items(node, source):
        option = checker.mapping(item, path, known=keys, required=keys)
        if option is None:
            continue
        checker.text(option.entries.get("label"), join(path, "label"))
        if "value" in option.entries:
            values.append(type_of_value(option.entries["value"].plain()))
    return union(values) if isinstance(node, Sequence) else None
