"""Triggers on files: clauses as text or mapping, and the two-level trees that they form.

Source:
    The pipeline rules, section "Triggers".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping as Entries

from stepline.errors import Location
from stepline.expressions.suggest import nearest, nearest_hint
from stepline.frozen import frozen
from stepline.model.file import FileCategory
from stepline.model.pipeline import Clause, Condition, Group, Operator
from stepline.model.pipeline_rules import (
    KEY_FAMILIES,
    KEY_WORDS,
    MAX_CLAUSES,
    OPERATORS,
    is_key,
    operators_of,
    unknown_category,
    value_problem,
)
from stepline.model.values import Json
from stepline.parsing.checker import Checker, join, kind_of, shorten
from stepline.parsing.nodes import Mapping, Node, Scalar, Sequence

GROUP_WORDS = {"all": Operator.AND, "any": Operator.OR}

_LEAF = ("key", "operator", "value")
_QUOTED = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'"
_SINGLE = re.compile(rf"({_QUOTED})|([^\"'].*)", re.DOTALL)
_ITEM = re.compile(rf"\s*({_QUOTED}|[^\s\"',][^,]*)\s*(?:,|$)")
_KEY = re.compile(r"\s*(\S+)\s*")
_OPERATOR = re.compile(
    "({})(?=\\s|$)\\s*".format(
        "|".join(each.replace(" ", r"\s+") for each in sorted(OPERATORS, key=len, reverse=True))
    )
)
_FORM = "write KEY OPERATOR VALUE, such as: category is raw"
_LEVELS = "a condition is a group of groups of clauses"
_TREE = "write a list of clauses below all: or any:"


@frozen
class _Places:
    """Where the parts of a clause stand."""

    key: Node | Location
    operator: Node | Location
    value: Node | Location


def condition_of(checker: Checker, node: Node, *, source: str) -> Condition:
    """Return the condition that a pipeline file writes: a clause, or ``all`` or ``any``."""
    if _is_clause(node):
        clause = clause_of(checker, node, source=source)
        return Condition(Operator.AND, _group(Operator.AND, [clause]))
    word = _group_word(checker, node, source)
    if not isinstance(node, Mapping) or not word:
        return Condition()
    operator, path = GROUP_WORDS[word], join(source, word)
    groups: list[Group] = []
    loose: list[Clause | None] = []
    for inner, item in checker.items(node.entries[word], path):
        nested = _word_in(item)
        if nested:
            groups += _group(operator, loose)
            loose = []
            groups += _inner_group(checker, item, inner)
        else:
            loose.append(clause_of(checker, item, source=inner))
    groups += _group(operator, loose)
    _check_size(checker, groups, at=node, source=path)
    return Condition(operator, tuple(groups))


def condition_of_tree(checker: Checker, node: Node, *, source: str) -> Condition:
    """Return the condition of the API's tree of groups; an empty object matches nothing."""
    if isinstance(node, Mapping) and not node.entries:
        return Condition()
    root = _level(checker, node, source, level=1)
    if root is None:
        return Condition()
    groups: list[Group] = []
    for path, item in checker.items(root.entries.get("groups"), join(source, "groups")):
        inner = _level(checker, item, path, level=2)
        if inner is not None:
            leaves = checker.items(inner.entries.get("groups"), join(path, "groups"))
            clauses = [clause_of(checker, leaf, source=place) for place, leaf in leaves]
            groups += _group(_operator(inner), clauses)
    _check_size(checker, groups, at=node, source=source)
    return Condition(_operator(root), tuple(groups))


def tree_of(condition: Condition) -> dict[str, Json]:
    """Return a condition as the API's tree of groups."""
    if not condition.groups:
        return {}
    return {
        "groupLevel": 1,
        "groupOperator": condition.operator.value,
        "groups": [
            {
                "groupLevel": 2,
                "groupOperator": group.operator.value,
                "groups": [_leaf(clause) for clause in group.clauses],
            }
            for group in condition.groups
        ],
    }


def clause_of(checker: Checker, node: Node, *, source: str) -> Clause | None:
    """Return a clause, from ``KEY OPERATOR VALUE`` or ``{key, operator, value}``."""
    if isinstance(node, Mapping):
        return _mapped_clause(checker, node, source)
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        what = f"`{source}` must be a clause, not {kind_of(node)}"
        checker.error("wrong-type", what, at=node, hint=_FORM, source=source)
        return None
    return _text_clause(checker, node, source)


def _is_clause(node: Node) -> bool:
    if isinstance(node, Mapping):
        return not node.entries.keys().isdisjoint(_LEAF)
    return isinstance(node, Scalar) and isinstance(node.value, str)


def _text_clause(checker: Checker, node: Scalar, source: str) -> Clause | None:
    text = str(node.value).rstrip()
    key = _KEY.match(text)
    if key is None:
        checker.error("empty-clause", "the clause is empty", at=node, hint=_FORM, source=source)
        return None

    def at(offset: int) -> Location:
        return checker.document.place_in(node, offset)

    if not _known_key(checker, key[1], at=at(key.start(1)), source=source):
        return None
    operator = _OPERATOR.match(text, key.end())
    if operator is None:
        _unknown_operator(checker, text[key.end() :], at=at(key.end()), source=source)
        return None
    word, rest = " ".join(operator[1].split()), text[operator.end() :]
    places = _Places(at(key.start(1)), at(operator.start()), at(operator.end()))
    try:
        clause = Clause(key[1], word, _value_of(rest, listed=word == "is one of"))
    except ValueError:
        what = f"`{shorten(rest)}` cannot be read as a value"
        hint = 'put each value that holds quotes or commas in quotes, such as "a, b"'
        checker.error("invalid-value", what, at=places.value, hint=hint, source=source)
        return None
    return _checked(checker, clause, places, source=source)


def _mapped_clause(checker: Checker, node: Mapping, source: str) -> Clause | None:
    word = _word_in(node)
    if word:
        what = f"`{source}` nests `{word}` too deep: conditions have two levels"
        checker.error("too-deep", what, at=node, hint="use clauses only, here", source=source)
        return None
    checker.keys(node, source, known=_LEAF, required=_LEAF[:2])
    key = checker.text(node.entries.get("key"), join(source, "key"))
    operator = checker.text(node.entries.get("operator"), join(source, "operator"))
    if key is None or operator is None:
        return None
    entries = node.entries
    places = _Places(entries["key"], entries["operator"], entries.get("value", node))
    if not _known_key(checker, key, at=places.key, source=source):
        return None
    if operator not in OPERATORS:
        _unknown_operator(checker, operator, at=places.operator, source=source)
        return None
    value = _mapped_value(checker, entries.get("value"), join(source, "value"))
    return _checked(checker, Clause(key, operator, value), places, source=source)


def _mapped_value(checker: Checker, node: Node | None, source: str) -> str | tuple[str, ...] | None:
    if isinstance(node, Sequence):
        found = [
            _text_as_written(checker, item, path) for path, item in checker.items(node, source)
        ]
        return tuple(found)
    return _text_as_written(checker, node, source) or None if node is not None else None


def _text_as_written(checker: Checker, node: Node, source: str) -> str:
    """Return a text; a number is the text that stands there, null is none."""
    value = node.value if isinstance(node, Scalar) else node
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return checker.document.text[node.start : node.end].strip()
    return checker.text(node, source) or ""


def _checked(checker: Checker, clause: Clause, places: _Places, *, source: str) -> Clause | None:
    """Return a clause whose operator and value fit its key; report it if they do not."""
    fitting = operators_of(clause.key)
    if clause.operator not in fitting:
        what = f"`{clause.key}` does not take `{clause.operator}`"
        hint = nearest_hint(clause.operator, fitting)
        checker.error("unfit-operator", what, at=places.operator, hint=hint, source=source)
        return None
    problem, stranger = value_problem(clause), unknown_category(clause)
    if problem:
        checker.error("invalid-value", problem, at=places.value, source=source)
    elif stranger:
        known = [category.value for category in FileCategory]
        hint = nearest_hint(stranger.upper(), known)
        what = f"{shorten(stranger)!r} is no category"
        checker.error("unknown-value", what, at=places.value, hint=hint, source=source)
    return None if problem or stranger else clause


def _known_key(checker: Checker, key: str, *, at: Node | Location, source: str) -> bool:
    if is_key(key):
        return True
    head, dot, _ = key.partition(".")
    hint = nearest_hint(f"{head}.", KEY_FAMILIES) if dot else nearest_hint(key, KEY_WORDS)
    what = f"a file has no property `{shorten(key)}`"
    checker.error("unknown-property", what, at=at, hint=hint, source=source)
    return False


def _unknown_operator(checker: Checker, text: str, *, at: Node | Location, source: str) -> None:
    what = f"`{shorten(text)}` begins with no operator" if text else "the operator is missing"
    hint = nearest_hint(_nearest_words(text), OPERATORS)
    checker.error("unknown-operator", what, at=at, hint=hint, source=source)


def _nearest_words(text: str) -> str:
    """Return the words at a text's beginning that are most like an operator, else the text."""
    words = text.split()
    for count in range(max(len(each.split()) for each in OPERATORS), 0, -1):
        written = " ".join(words[:count])
        if nearest(written, [each for each in OPERATORS if len(each.split()) == count]):
            return written
    return text


def _value_of(text: str, *, listed: bool) -> str | tuple[str, ...] | None:
    """Return the value that a text writes, None if there is none.

    Raises:
        ValueError: Quotes are open, or something stands behind them.
    """
    if not text:
        return None
    if not listed:
        found = _SINGLE.fullmatch(text)
        if found is None:
            raise ValueError(text)
        return _unquoted(text)
    items, at = [], 0
    while at < len(text):
        item = _ITEM.match(text, at)
        if item is None:
            raise ValueError(text)
        items.append(_unquoted(item[1].rstrip()))
        at = item.end()
    return tuple(items)


def _unquoted(text: str) -> str:
    if text.startswith('"'):
        return str(json.loads(text))
    return text[1:-1].replace("''", "'") if text.startswith("'") else text


def _group_word(checker: Checker, node: Node, source: str) -> str:
    """Return ``all`` or ``any``, whichever is the one key of a condition."""
    if isinstance(node, Mapping) and not node.entries:
        return ""
    if not isinstance(node, Mapping):
        what = f"`{source}` must be a condition or a schedule, not {kind_of(node)}"
        checker.error("wrong-type", what, at=node, hint=_TREE, source=source)
        return ""
    checker.keys(node, source, known=(*GROUP_WORDS, "cron", "zone"), required=())
    words = [word for word in GROUP_WORDS if word in node.entries]
    if len(words) == len(node.entries) == 1:
        _check_filled(checker, node.entries[words[0]], source=join(source, words[0]))
        return words[0]
    if words:
        what = f"`{source}` may hold `{words[0]}` alone"
        checker.error("mixed-trigger", what, at=node, hint=_TREE, source=source)
    return ""


def _inner_group(checker: Checker, node: Node, source: str) -> list[Group]:
    word = _group_word(checker, node, source)
    if not isinstance(node, Mapping) or not word:
        return []
    items = checker.items(node.entries[word], join(source, word))
    clauses = [clause_of(checker, item, source=path) for path, item in items]
    return list(_group(GROUP_WORDS[word], clauses))


def _word_in(node: Node) -> str:
    """Return which group a node is, if it is one."""
    entries: Entries[str, Node] = node.entries if isinstance(node, Mapping) else {}
    return next((word for word in GROUP_WORDS if word in entries), "")


def _group(operator: Operator, clauses: list[Clause | None]) -> tuple[Group, ...]:
    sound = tuple(clause for clause in clauses if clause is not None)
    return (Group(operator, sound),) if sound else ()


def _level(checker: Checker, node: Node, source: str, *, level: int) -> Mapping | None:
    """Return a group of the tree, with its own parts checked."""
    keys = ("groupLevel", "groupOperator", "groups")
    found = checker.mapping(node, source, known=keys, required=keys[1:])
    if found is None:
        return None
    entries = found.entries
    given = entries.get("groupLevel")
    if given is not None and given.plain() != level:
        what = f"`{join(source, 'groupLevel')}` must be {level} here"
        checker.error("too-deep", what, at=given, hint=_LEVELS, source=source)
    words = tuple(each.value for each in Operator)
    checker.choice(entries.get("groupOperator"), join(source, "groupOperator"), among=words)
    items = entries.get("groups")
    if items is not None:
        _check_filled(checker, items, source=join(source, "groups"))
    return found


def _check_filled(checker: Checker, node: Node, *, source: str) -> None:
    if isinstance(node, Sequence) and not node.items:
        checker.error("empty-group", f"`{source}` has no clauses", at=node, source=source)


def _operator(node: Mapping) -> Operator:
    word = node.entries.get("groupOperator")
    return Operator.OR if word is not None and word.plain() == Operator.OR.value else Operator.AND


def _check_size(checker: Checker, groups: list[Group], *, at: Node, source: str) -> None:
    if sum(len(group.clauses) for group in groups) > MAX_CLAUSES:
        what = f"`{source}` has more than {MAX_CLAUSES} clauses"
        hint = "use `is one of` or `matches` for many values"
        checker.error("too-many-clauses", what, at=at, hint=hint, source=source)


def _leaf(clause: Clause) -> dict[str, Json]:
    leaf: dict[str, Json] = {"key": clause.key, "operator": clause.operator}
    if clause.value is not None:
        leaf["value"] = clause.value if isinstance(clause.value, str) else [*clause.value]
    return leaf
