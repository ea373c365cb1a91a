"""Static checks of a protocol's expressions: names, order, types and sizes.

Source:
    The protocol rules' section "Expressions"; types of roots and step states as the
    public protocol compiler has them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass
from functools import cached_property

from stepline.errors import ExpressionError
from stepline.expressions import MAX_CONSTANT_NODES, Reference, infer, parse, references
from stepline.expressions import Node as Tree
from stepline.expressions.ordering import Cycle, dependency_order
from stepline.expressions.text import SPACE
from stepline.expressions.types import (
    ANY,
    BOOLEAN,
    FALSE,
    NULL,
    NUMBER,
    STRING,
    TRUE,
    UNKNOWN,
    Array,
    Const,
    Object,
    Record,
    Steps,
    Type,
    Union,
    type_of_value,
    union,
)
from stepline.model.protocol import TriggerType
from stepline.parsing.checker import Checker, is_expression_node, join
from stepline.parsing.nodes import Mapping, Node, Scalar, Sequence
from stepline.parsing.protocol_steps import StepDraft

MAX_VALUE_NODES = 1_000_000
_INPUT_FILE = Object(
    {
        "fileId": STRING,
        "bucket": STRING,
        "fileKey": STRING,
        "version": STRING,
        "meta": Record(UNKNOWN),
    }
)
_OPTION_TYPES = {
    "memoryInMB": NUMBER,
    "timeoutInSec": NUMBER,
    "runInLambda": BOOLEAN,
    "customWindowsAMI": STRING,
}
_STATUS = {name: Const(name) for name in ("success", "failed", "skipped")}
_ANY_STATE = Object(
    {
        "output": ANY,
        "isSkipped": BOOLEAN,
        "isSuccess": BOOLEAN,
        "isFailed": BOOLEAN,
        "error": ANY,
        "status": union(_STATUS.values()),
    }
)
_OWN_FAILED_STATE = Object(
    {
        "output": NULL,
        "isSkipped": FALSE,
        "isSuccess": FALSE,
        "isFailed": TRUE,
        "error": ANY,
        "status": _STATUS["failed"],
    }
)


@dataclass
class ProtocolDraft:
    """What the checks of structure leave for the checks of expressions.

    Attributes:
        document: The whole document's node.
        config: Type of each ``config.<key>``.
        constants: Nodes by name.
        success_when: None if not given, or not right.
        on_failed: None if not given.
    """

    document: Mapping
    config: AbstractMapping[str, Type]
    constants: AbstractMapping[str, Node]
    steps: list[StepDraft]
    triggers: frozenset[TriggerType]
    success_when: Node | None = None
    on_failed: Node | None = None


class Roots(AbstractMapping[str, Type]):
    """The roots of expressions; what is costly to type is typed when it is asked for."""

    def __init__(self, ready: AbstractMapping[str, Type], protocol: Callable[[], Type]) -> None:
        self._ready = dict(ready)
        self._protocol = protocol

    def __getitem__(self, name: str) -> Type:
        if name == "protocol" and name not in self._ready:
            self._ready[name] = self._protocol()
        return self._ready[name]

    def __iter__(self) -> Iterator[str]:
        yield from dict.fromkeys((*self._ready, "protocol"))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def having(self, **further: Type) -> Roots:
        """Return these roots and further ones."""
        return Roots({**self._ready, **further}, lambda: self["protocol"])


def check_expressions(checker: Checker, draft: ProtocolDraft) -> None:
    """Check every expression of a protocol."""
    _ProtocolCheck(checker, draft).run()


class _ProtocolCheck:
    def __init__(self, checker: Checker, draft: ProtocolDraft) -> None:
        self.checker = checker
        self.draft = draft
        ready = {"workflow": workflow_type(draft.triggers), "config": Object(draft.config)}
        self.roots = Roots(ready, lambda: type_of_value(draft.document.plain()))
        self.states: list[Type] = []
        self.ids: dict[str, int] = {}
        for step in draft.steps:
            if step.id is not None:
                self.ids.setdefault(step.id, step.index)
        self.sizes: dict[str, int] = {}
        # Only constants and the document itself let a value stand for a larger one.
        text = checker.document.text.replace("protocolSchema", "")
        self.may_grow = bool(draft.constants) or "protocol" in text

    def run(self) -> None:
        self.constants()
        for step in self.draft.steps:
            self.states.append(self.step(step))
        self.states = [_ANY_STATE] * len(self.states)
        roots = self.visible(None)
        if self.draft.success_when is not None:
            found = self.condition(self.draft.success_when, "successWhen", roots=roots)
            self.constant_result(found, self.draft.success_when)
        if self.draft.on_failed is not None:
            self.values(self.draft.on_failed, "onFailed", roots=roots)

    def visible(self, own: int | None) -> Roots:
        return self.roots.having(steps=Steps(self.states, self.ids, own=own))

    # Constants

    def constants(self) -> None:
        nodes = self.draft.constants
        needs = {name: self.needed_constants(name, node) for name, node in nodes.items()}
        typed = Object(dict.fromkeys(nodes, ANY))
        roots = self.roots.having(constants=typed)
        for name in self.constant_order(needs):
            source = join("constants", name)
            found = self.typed_value(nodes[name], source, roots=roots)
            typed.members[name] = found
            self.constant_size(name, nodes[name], source=source)
        whole = Object({name: typed.members[name] for name in nodes})
        self.roots = self.roots.having(constants=whole)

    def needed_constants(self, name: str, node: Node) -> list[str]:
        """Return the constants that one uses; the bare root has this one in it, too."""
        needed: list[str] = []
        for scalar in _expression_nodes(node):
            for reference in _references_of(scalar):
                if reference.root == "constants":
                    needed.append(str(reference.keys[0].value) if reference.keys else name)
        return list(dict.fromkeys(needed))

    def constant_order(self, needs: dict[str, list[str]]) -> list[str]:
        """Return an order for typing; constants that use themselves are reported."""
        while True:
            try:
                return dependency_order(needs)
            except Cycle as cycle:
                first = cycle.names[0]
                what = f"constant `{first}` uses itself"
                hint = f"the cycle is {cycle}"
                at = self.draft.constants[first]
                source = join("constants", first)
                self.checker.error("constant-cycle", what, at=at, hint=hint, source=source)
                if self.checker.document.full:
                    return list(needs)
                needs = {**needs, **{key: [] for key in cycle.names}}

    def constant_size(self, name: str, node: Node, *, source: str) -> None:
        self.sizes[name] = self.size(node)
        if self.sizes[name] > MAX_CONSTANT_NODES:
            what = f"constant `{name}` stands for more than {MAX_CONSTANT_NODES:,} values"
            self.checker.error("too-large", what, at=node, source=source)

    def size(self, node: Node) -> int:
        """Return how many values a node stands for once its constants are written out."""
        if isinstance(node, Sequence):
            return 1 + sum(self.size(item) for item in node.items)
        if isinstance(node, Mapping):
            return 1 + sum(self.size(item) for item in node.entries.values())
        if not is_expression_node(node):
            return 1
        return 1 + sum(self.reference_size(found) for found in _references_of(node))

    def reference_size(self, reference: Reference) -> int:
        if reference.root == "protocol":
            return self.size_of_document
        if reference.root != "constants":
            return 0
        if reference.keys:
            return self.sizes.get(str(reference.keys[0].value), 0)
        return self.size_of_constants

    @cached_property
    def size_of_constants(self) -> int:
        """All constants' sizes; asked for only once these are known."""
        return sum(self.sizes.get(name, 0) for name in self.draft.constants)

    @cached_property
    def size_of_document(self) -> int:
        return sum(1 for _ in _all_nodes(self.draft.document))

    # Steps

    def step(self, step: StepDraft) -> Type:
        """Check a step's expressions and return the type of its state."""
        roots = self.visible(step.index)
        fields, source = step.fields, step.source
        runs: Type = TRUE
        if "if" in fields:
            runs = self.condition(fields["if"], join(source, "if"), roots=roots)
            if runs == FALSE:
                what = "this is always false: the step never runs"
                path = join(source, "if")
                self.checker.warning("constant-condition", what, at=fields["if"], source=path)
        if "input" in fields:
            self.values(fields["input"], join(source, "input"), roots=roots)
        for name, node in step.options.items():
            self.option(name, node, source=join(source, "options", name), roots=roots)
        goes_on: Type = FALSE
        if "continueOnError" in fields:
            own = Steps([*self.states, _OWN_FAILED_STATE], self.ids)
            path = join(source, "continueOnError")
            goes_on = self.condition(fields["continueOnError"], path, roots=roots.having(steps=own))
        return state_type(runs, goes_on)

    def option(self, name: str, node: Node, *, source: str, roots: Roots) -> None:
        if not is_expression_node(node):
            return
        found = self.expression(node, source, roots=roots)
        if found is not None and not _OPTION_TYPES[name].accepts(found):
            what = f"`{name}` must be a {_OPTION_TYPES[name]}, not {found.shown}"
            hint = _null_hint(found)
            self.report("option-type", what, node=node, source=source, hint=hint)

    # Values

    def condition(self, node: Node, source: str, *, roots: Roots) -> Type:
        """Return the type of a condition, ``boolean`` where it is not right."""
        if not is_expression_node(node):
            return TRUE if node.plain() else FALSE
        found = self.expression(node, source, roots=roots)
        if found is None:
            return BOOLEAN
        if BOOLEAN.accepts(found):
            return found
        what = f"a condition must be a boolean, not {found.shown}"
        self.report("not-boolean", what, node=node, source=source, hint=_null_hint(found))
        return BOOLEAN

    def constant_result(self, found: Type, node: Node) -> None:
        if found not in (TRUE, FALSE):
            return
        outcome = "always succeeds" if found == TRUE else "never succeeds"
        what = f"this is always {found}: the workflow {outcome}"
        self.checker.warning("constant-condition", what, at=node, source="successWhen")

    def values(self, node: Node, source: str, *, roots: Roots) -> None:
        """Check every expression in a value."""
        self.walk(node, source, roots=roots)
        if self.may_grow and self.size(node) > MAX_VALUE_NODES:
            what = f"this stands for more than {MAX_VALUE_NODES:,} values"
            self.checker.error("too-large", what, at=node, source=source)

    def walk(self, node: Node, source: str, *, roots: Roots) -> None:
        if isinstance(node, Sequence):
            for index, item in enumerate(node.items):
                self.walk(item, f"{source}[{index}]", roots=roots)
        elif isinstance(node, Mapping):
            for key, item in node.entries.items():
                self.walk(item, join(source, key), roots=roots)
        elif is_expression_node(node):
            self.expression(node, source, roots=roots)

    def typed_value(self, node: Node, source: str, *, roots: Roots) -> Type:
        """Check every expression in a value and return the value's type."""
        if isinstance(node, Sequence):
            items = enumerate(node.items)
            return Array([self.typed_value(v, join(source, i), roots=roots) for i, v in items])
        if isinstance(node, Mapping):
            entries = node.entries.items()
            return Object(
                {k: self.typed_value(v, join(source, k), roots=roots) for k, v in entries}
            )
        if not is_expression_node(node):
            return type_of_value(node.plain())
        found = self.expression(node, source, roots=roots)
        return ANY if found is None else found

    def expression(self, node: Scalar, source: str, *, roots: Roots) -> Type | None:
        """Return an expression's type; None, and a report, if it is not right."""
        if self.checker.document.full:
            return None
        text = str(node.value)
        try:
            tree = parse(text)
            self.warn_of_indexes(tree, node, source=source)
            return infer(tree, roots)
        except ExpressionError as error:
            where = self.checker.document.place_in(node, error.offset)
            self.checker.error(
                error.code,
                error.what,
                at=where,
                hint=error.hint,
                source=source,
                expression=inner_text(text),
            )
            return None

    def warn_of_indexes(self, tree: Tree, node: Scalar, *, source: str) -> None:
        for reference in references(tree):
            key = reference.keys[0] if reference.keys else None
            if reference.root == "steps" and key and not isinstance(key.value, str):
                what = f"`steps[{key.value}]` names another step once steps are added or moved"
                where = self.checker.document.place_in(node, key.offset)
                hint = "give the step an id and use it"
                self.checker.warning("step-index", what, at=where, hint=hint, source=source)

    def report(self, code: str, what: str, *, node: Node, source: str, hint: str) -> None:
        expression = inner_text(str(node.plain()))
        self.checker.error(code, what, at=node, hint=hint, source=source, expression=expression)


def workflow_type(triggers: frozenset[TriggerType]) -> Object:
    """Return the type of the root ``workflow`` for the triggers that a protocol allows."""
    members: dict[str, Type] = {
        "id": STRING,
        "startedAt": STRING,
        "pipeline": Object({"id": STRING}),
    }
    if TriggerType.FILE in triggers:
        both = TriggerType.SCHEDULED in triggers
        members["inputFile"] = union((_INPUT_FILE, NULL)) if both else _INPUT_FILE
    return Object(members)


def state_type(runs: Type, goes_on: Type) -> Type:
    """Return the type of the state that later steps see of a step.

    Args:
        runs: Type of the step's ``if``.
        goes_on: Type of its ``continueOnError``; where it is false, a later step runs
            only if this one did not fail.
    """
    if runs == FALSE:
        possible = ("skipped",)
    else:
        may_fail = () if goes_on == FALSE else ("failed",)
        may_skip = () if runs == TRUE else ("skipped",)
        possible = ("success", *may_fail, *may_skip)
    return Object(
        {
            "output": NULL if possible == ("skipped",) else ANY,
            "isSkipped": _whether("skipped", possible),
            "isSuccess": _whether("success", possible, unless_skipped=True),
            "isFailed": _whether("failed", possible),
            "error": ANY if "failed" in possible else NULL,
            "status": union(_STATUS[name] for name in possible),
        }
    )


def inner_text(expression: str) -> str:
    """Return what is between ``$(`` and ``)``, without space around it."""
    return expression.strip(SPACE)[2:-1].strip(SPACE)


def _whether(status: str, possible: tuple[str, ...], *, unless_skipped: bool = False) -> Type:
    if status not in possible:
        return FALSE
    others = [name for name in possible if name != status]
    if unless_skipped:
        others = [name for name in others if name != "skipped"]
    return BOOLEAN if others else TRUE


def _null_hint(found: Type) -> str:
    if isinstance(found, Union) and NULL in found.options:
        return "give it a default, make it required, or use coalesce(…)"
    return ""


def _expression_nodes(node: Node) -> Iterator[Scalar]:
    return (
        found
        for found in _all_nodes(node)
        if isinstance(found, Scalar) and is_expression_node(found)
    )


def _all_nodes(node: Node) -> Iterator[Node]:
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        if isinstance(current, Sequence):
            pending.extend(reversed(current.items))
        elif isinstance(current, Mapping):
            pending.extend(reversed(current.entries.values()))


def _references_of(node: Node) -> list[Reference]:
    """Return an expression's references; none if it cannot be parsed."""
    try:
        return list(references(parse(str(node.plain()))))
    except ExpressionError:
        return []
