"""The structure of a protocol's steps.

Source:
    The protocol rules' section "Steps".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from stepline.model.protocol import TaskReference
from stepline.parsing.checker import (
    IDENTIFIER,
    IDENTIFIER_RULE,
    NAMESPACE,
    NAMESPACE_RULE,
    Checker,
    expression_hint,
    is_expression_node,
    is_number,
    join,
    shorten,
)
from stepline.parsing.nodes import Mapping, Node, Scalar
from stepline.parsing.versions import Version, VersionRange

KEYS = ("id", "description", "if", "continueOnError", "task", "input", "options")
_TASK_KEYS = ("namespace", "slug", "version", "function")
_MISSPELT_TIMEOUT = "timeontInSec"
_OPTIONS = ("memoryInMB", "timeoutInSec", "runInLambda", "customWindowsAMI")


@dataclass
class StepDraft:
    """What is known of a step after its structure was checked.

    Attributes:
        source: The step's path as diagnostics write it, by id where it has one.
        fields: The step's nodes by key; only those whose structure is right.
        options: The option nodes by name.
        task: None if the step's task is not right.
    """

    index: int
    source: str
    id: str | None = None
    fields: dict[str, Node] = field(default_factory=dict)
    options: dict[str, Node] = field(default_factory=dict)
    task: TaskReference | None = None


def check_steps(checker: Checker, node: Node | None) -> list[StepDraft]:
    """Check every step's structure, and that ids are unique."""
    drafts: list[StepDraft] = []
    taken: dict[str, StepDraft] = {}
    for index, (_, item) in enumerate(checker.items(node, "steps")):
        draft = _step(checker, item, index)
        drafts.append(draft)
        if draft.id is None:
            continue
        first = taken.setdefault(draft.id, draft)
        if first is not draft:
            what = f"the id `{draft.id}` is used twice"
            line = first.fields["id"].line
            hint = f"the first step with it stands in line {line}"
            at = draft.fields["id"]
            checker.error("duplicate-step", what, at=at, hint=hint, source=draft.source)
    return drafts


def _step(checker: Checker, item: Node, index: int) -> StepDraft:
    numbered = join("steps", index)
    draft = StepDraft(index, numbered)
    node = checker.mapping(item, numbered, known=KEYS, required=("task",))
    if node is None:
        return draft
    entries = node.entries
    draft.id = checker.pattern(
        entries.get("id"),
        join(numbered, "id"),
        code="invalid-identifier",
        pattern=IDENTIFIER,
        rule=IDENTIFIER_RULE,
    )
    if draft.id is not None:
        draft.source = join("steps", draft.id)
        draft.fields["id"] = entries["id"]
    source = draft.source
    literal_text(checker, entries.get("description"), source=join(source, "description"))
    draft.task = _task(checker, entries.get("task"), join(source, "task"))
    for key in ("if", "continueOnError"):
        if condition(checker, entries.get(key), source=join(source, key)):
            draft.fields[key] = entries[key]
    if "input" in entries:
        draft.fields["input"] = entries["input"]
    _options(checker, draft, entries.get("options"))
    return draft


def condition(checker: Checker, node: Node | None, *, source: str) -> bool:
    """Tell whether a node is a boolean or an expression; report it if it is neither."""
    if node is None:
        return False
    if is_expression_node(node) or (isinstance(node, Scalar) and isinstance(node.value, bool)):
        return True
    checker.wrong_type(node, source, expected="true or false, or an expression")
    return False


def literal_text(checker: Checker, node: Node | None, *, source: str) -> None:
    """Check a text that is never evaluated; warn if it looks otherwise."""
    if checker.text(node, source) is not None and node is not None:
        warn_literal(checker, node, source=source)


def warn_literal(checker: Checker, node: Node, *, source: str) -> None:
    """Warn of text that looks like an expression where none is evaluated."""
    if is_expression_node(node):
        what = f"`{source}` is taken as it stands; expressions are not evaluated here"
        checker.warning("literal-expression", what, at=node, source=source)


def _task(checker: Checker, item: Node | None, source: str) -> TaskReference | None:
    node = checker.mapping(item, source, known=_TASK_KEYS, required=_TASK_KEYS)
    if node is None:
        return None
    entries = node.entries
    for key in _TASK_KEYS:
        if key in entries:
            warn_literal(checker, entries[key], source=join(source, key))
    namespace = checker.pattern(
        entries.get("namespace"),
        join(source, "namespace"),
        code="invalid-namespace",
        pattern=NAMESPACE,
        rule=NAMESPACE_RULE,
    )
    slug = checker.pattern(
        entries.get("slug"),
        join(source, "slug"),
        code="invalid-identifier",
        pattern=IDENTIFIER,
        rule=IDENTIFIER_RULE,
    )
    version = _task_version(checker, entries.get("version"), join(source, "version"))
    function = checker.text(entries.get("function"), join(source, "function"))
    if namespace is None or slug is None or version is None or function is None:
        return None
    return TaskReference(namespace=namespace, slug=slug, version=version, function=function)


def _task_version(checker: Checker, node: Node | None, source: str) -> str | None:
    """Return a version as it is written; report it if it is none, or not an exact one."""
    text = checker.text(node, source)
    if text is None or node is None or Version.parse(text) is not None:
        return text
    wanted = VersionRange.parse(text)
    shown = shorten(text)
    if wanted is None:
        hint = "write an exact version, such as v1.0.0"
        what = f"{shown!r} is not a version"
        checker.error("invalid-version", what, at=node, hint=hint, source=source)
        return None
    if wanted.exact is not None:
        what = f"the version {shown!r} is read as {wanted.exact}"
        hint = f"write {wanted.exact}"
        checker.warning("version-form", what, at=node, hint=hint, source=source)
        return str(wanted.exact)
    what = f"{shown!r} is a range of versions: what runs may change"
    hint = "name one version, such as v1.0.0"
    checker.warning("version-range", what, at=node, hint=hint, source=source)
    return text


def _options(checker: Checker, draft: StepDraft, item: Node | None) -> None:
    source = join(draft.source, "options")
    known = (*_OPTIONS, _MISSPELT_TIMEOUT)
    node = checker.mapping(item, source, known=known, required=())
    if node is None:
        return
    for key, value in node.entries.items():
        name = _option_name(checker, node, key, source)
        check = _OPTION_CHECKS.get(name)
        if check is not None and check(checker, value, source=join(source, key)):
            draft.options[name] = value


def _option_name(checker: Checker, node: Mapping, key: str, source: str) -> str:
    if key != _MISSPELT_TIMEOUT:
        return key
    if "timeoutInSec" in node.entries:
        what = "`timeontInSec` is a misspelling of `timeoutInSec`, which is given too"
        at = node.keys[key]
        checker.error("duplicate-key", what, at=at, hint="remove it", source=source)
        return ""
    what = "`timeontInSec` is taken as `timeoutInSec`"
    at = node.keys[key]
    hint = "write `timeoutInSec`; other platforms refuse the misspelling"
    checker.warning("misspelt-option", what, at=at, hint=hint, source=source)
    return "timeoutInSec"


def _number_option(checker: Checker, node: Node, *, source: str) -> bool:
    if is_number(node) or is_expression_node(node):
        return True
    checker.wrong_type(node, source, expected="a number, or an expression")
    return False


def _text_option(checker: Checker, node: Node, *, source: str) -> bool:
    value = checker.text(node, source)
    if value is not None and "$(" in value and not is_expression_node(node):
        what = f"`{source}` is taken as it stands"
        checker.warning("literal-expression", what, at=node, hint=expression_hint(value))
    return value is not None


_OPTION_CHECKS: dict[str, Callable[..., bool]] = {
    "memoryInMB": _number_option,
    "timeoutInSec": _number_option,
    "runInLambda": condition,
    "customWindowsAMI": _text_option,
}
