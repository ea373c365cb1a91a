"""Parts of a pipeline that its file and the API write alike.

Every function takes the checker, the part's node and its path, reports what is wrong and
returns the value, or a stand-in once something is.
"""

from __future__ import annotations

import re

from stepline.expressions.suggest import nearest_hint
from stepline.model.file_rules import label_problems
from stepline.model.pipeline import Schedule
from stepline.model.pipeline_rules import (
    MAX_CPUS,
    MAX_MEMORY_MB,
    MAX_PIDS,
    MAX_RETRIES,
    MAX_RETRY_DELAY_S,
    MAX_TMP_MB,
    NAME_CHARACTERS,
    SECRET_NAME,
    SECRET_NAME_RULE,
    SETTING_NAME,
    SETTING_NAME_RULE,
    UTC_NAME,
    cron_problem,
    zone_names,
    zone_problem,
)
from stepline.model.task import Confinement, Network
from stepline.model.values import Json
from stepline.model.workflow import RetryBehavior, RetryPolicy
from stepline.parsing.checker import (
    IDENTIFIER,
    IDENTIFIER_RULE,
    NAMESPACE,
    NAMESPACE_RULE,
    Checker,
    join,
    shorten,
)
from stepline.parsing.nodes import Mapping, Node, Scalar
from stepline.parsing.versions import Version

PROTOCOL_FORM = "namespace/slug:version, such as private-demo/push:v1.0.0"
_CONFINEMENT = ("network", "fresh", "pids", "cpus", "tmp_mb")
NETWORKS = tuple(network.value for network in Network)
BEHAVIORS = tuple(behavior.value for behavior in RetryBehavior)

_NAME = re.compile(rf"[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]{{0,{NAME_CHARACTERS - 2}}}\S)?")
_SSM = re.compile(r"/[^/]+/[^/]+/org-secrets/(?P<name>[^/]+)")
_SSM_RULE = "write /<environment>/<organisation>/org-secrets/<name>"


def name_of(checker: Checker, node: Node, *, source: str) -> str:
    """Return a pipeline's name."""
    rule = f"one line of 1 to {NAME_CHARACTERS} characters, no space at its ends"
    found = checker.pattern(node, source, code="invalid-name", pattern=_NAME, rule=rule)
    return found or ""


def text_of(checker: Checker, node: Node, *, source: str) -> str:
    """Return a text for people."""
    return checker.text(node, source) or ""


def flag_of(checker: Checker, node: Node, *, source: str) -> bool:
    """Return true or false."""
    return bool(checker.boolean(node, source))


def protocol_of(checker: Checker, node: Node, *, source: str) -> str:
    """Return ``namespace/slug:version``, as one text writes it."""
    text = checker.text(node, source)
    if text is None or not isinstance(node, Scalar):
        return ""
    name, colon, version = text.partition(":")
    namespace, slash, slug = name.partition("/")
    if not colon or not slash:
        what = f"`{source}` cannot be {shorten(text)!r}"
        checker.error(
            "invalid-protocol", what, at=node, hint=f"write {PROTOCOL_FORM}", source=source
        )
        return ""
    offsets = (0, len(namespace) + 1, len(name) + 1)
    for index, part in enumerate((namespace, slug, version)):
        what, hint = _part_problem(part, index)
        if what:
            at = checker.document.place_in(node, offsets[index])
            checker.error("invalid-protocol", what, at=at, hint=hint, source=source)
    return text


def protocol_part_of(checker: Checker, node: Node, *, source: str, index: int) -> str:
    """Return the namespace (0), slug (1) or version (2) of a protocol."""
    text = checker.text(node, source)
    what, hint = ("", "") if text is None else _part_problem(text, index)
    if what:
        checker.error("invalid-protocol", what, at=node, hint=hint, source=source)
    return text or ""


def schedule_of(checker: Checker, node: Mapping, *, source: str, zone_key: str) -> Schedule:
    """Return a schedule; the key of its zone differs."""
    checker.keys(node, source, known=("cron", zone_key), required=("cron",))
    cron_node, zone_node = node.entries.get("cron"), node.entries.get(zone_key)
    cron = checker.text(cron_node, join(source, "cron"))
    zone = checker.text(zone_node, join(source, zone_key))
    problem = cron_problem(cron) if cron is not None else ""
    if problem and cron_node is not None:
        hint = 'such as "0 6 * * 1-5": 6 o\'clock, Monday to Friday'
        what = f"{shorten(str(cron))!r} is no schedule: {problem}"
        checker.error("invalid-cron", what, at=cron_node, hint=hint, source=join(source, "cron"))
    problem = zone_problem(zone) if zone is not None else ""
    if problem and zone_node is not None:
        shown = shorten(str(zone))
        hint = _zone_hint(shown)
        what = f"{shown!r} cannot be the zone: {problem}"
        checker.error("invalid-zone", what, at=zone_node, hint=hint, source=join(source, zone_key))
    return Schedule(" ".join((cron or "").split()), UTC_NAME if zone is None else zone)


def config_of(checker: Checker, node: Node, *, source: str) -> dict[str, Json]:
    """Return config values; references to settings and secrets in their short form."""
    if not isinstance(node, Mapping):
        checker.wrong_type(node, source, expected="a mapping")
        return {}
    for key in node.entries:
        checker.identifier_key(node, key, source=source)
    return {
        key: _config_value(checker, value, join(source, key)) for key, value in node.entries.items()
    }


def labels_of(checker: Checker, node: Node, *, source: str) -> dict[str, str]:
    """Return labels by name, from a mapping or a list of ``{name, value}``."""
    found: dict[str, str] = {}
    pairs: list[tuple[Node, Node | None, Node | None]] = []
    if isinstance(node, Mapping):
        pairs = [(node.keys[key], node.keys[key], value) for key, value in node.entries.items()]
    else:
        for path, item in checker.items(node, source):
            parts = ("name", "value")
            inner = checker.mapping(item, path, known=parts, required=parts)
            pairs += (
                [(item, inner.entries.get("name"), inner.entries.get("value"))] if inner else []
            )
    for at, name_node, value_node in pairs:
        name, value = checker.text(name_node, source), checker.text(value_node, source)
        if name is None or value is None:
            continue
        problems = label_problems([{"name": name, "value": value}])
        problems += [f"label {name!r} is given twice"] if name in found else []
        for problem in problems:
            checker.error("invalid-label", problem, at=at, source=source)
        found[name] = value
    return found


def memory_of(
    checker: Checker, node: Node, *, source: str, memory_key: str, ignored: tuple[str, ...] = ()
) -> dict[str, int]:
    """Return memory by step, MiB; the key of it differs."""
    if not isinstance(node, Mapping):
        checker.wrong_type(node, source, expected="a mapping")
        return {}
    found = {}
    for step, options in node.entries.items():
        path = join(source, step)
        checker.identifier_key(node, step, source=source)
        inner = checker.mapping(options, path, known=(memory_key, *ignored), required=())
        memory = inner.entries.get(memory_key) if inner else None
        size = checker.integer(memory, join(path, memory_key), low=1, high=MAX_MEMORY_MB)
        if size is not None:
            found[step] = size
    return found


def confinement_of(checker: Checker, node: Node, *, source: str) -> Confinement:
    """Return the surroundings of tasks."""
    inner = checker.mapping(node, source, known=_CONFINEMENT, required=())
    entries = inner.entries if inner else {}
    network = checker.choice(entries.get("network"), join(source, "network"), among=NETWORKS)
    pids, tmp = (
        checker.integer(entries.get(key), join(source, key), low=1, high=high)
        for key, high in (("pids", MAX_PIDS), ("tmp_mb", MAX_TMP_MB))
    )
    return Confinement(
        network=Network(network) if network in NETWORKS else Network.HOST,
        fresh=bool(checker.boolean(entries.get("fresh"), join(source, "fresh"))),
        pids=pids,
        cpus=_cpus(checker, entries.get("cpus"), join(source, "cpus")),
        tmp_mb=tmp,
    )


def _cpus(checker: Checker, node: Node | None, source: str) -> float | None:
    cpus = checker.number(node, source)
    if cpus is not None and node is not None and not 0 < cpus <= MAX_CPUS:
        what = f"`{source}` must be more than 0 and at most {MAX_CPUS}, not {cpus}"
        checker.error("out-of-range", what, at=node, source=source)
    return None if cpus is None else float(cpus)


def retry_of(
    checker: Checker,
    behavior: tuple[Node | None, str],
    *,
    delay: tuple[Node | None, str],
    retries: tuple[Node | None, str],
) -> RetryPolicy:
    """Return retry settings from their three nodes, each with its path."""
    word = checker.choice(*behavior, among=BEHAVIORS)
    base = checker.number(*delay)
    if base is not None and delay[0] is not None and not 0 <= base <= MAX_RETRY_DELAY_S:
        what = f"`{delay[1]}` must be from 0 to {MAX_RETRY_DELAY_S} seconds, not {base}"
        checker.error("out-of-range", what, at=delay[0], source=delay[1])
    count = checker.integer(*retries, low=0, high=MAX_RETRIES)
    default = RetryPolicy(behavior=RetryBehavior.EXPONENTIAL)
    return RetryPolicy(
        behavior=RetryBehavior(word) if word in BEHAVIORS else default.behavior,
        base_delay_s=default.base_delay_s if base is None else float(base),
        max_retries=default.max_retries if count is None else count,
    )


def _part_problem(text: str, index: int) -> tuple[str, str]:
    """Return what is wrong with namespace (0), slug (1) or version (2), and the hint."""
    shown = shorten(text)
    if index == 0 and not NAMESPACE.fullmatch(text):
        return f"the protocol's namespace cannot be {shown!r}", NAMESPACE_RULE
    if index == 1 and not IDENTIFIER.fullmatch(text):
        return f"the protocol's slug cannot be {shown!r}", IDENTIFIER_RULE
    if index == 2 and Version.parse(text) is None:
        return f"the protocol's version cannot be {shown!r}", "write vX.Y.Z, such as v1.0.0"
    return "", ""


def _config_value(checker: Checker, node: Node, source: str) -> Json:
    keys = set(node.entries) if isinstance(node, Mapping) else set()
    if not isinstance(node, Mapping) or keys not in ({"setting"}, {"secret"}, {"ssm", "secret"}):
        return node.plain()
    if "ssm" in keys:
        return _ssm_reference(checker, node, source)
    (word,) = keys
    rule = (
        (SECRET_NAME, SECRET_NAME_RULE) if word == "secret" else (SETTING_NAME, SETTING_NAME_RULE)
    )
    path = join(source, word)
    checker.pattern(node.entries[word], path, code="invalid-name", pattern=rule[0], rule=rule[1])
    return node.plain()


def _ssm_reference(checker: Checker, node: Mapping, source: str) -> Json:
    """Return ``{"secret": NAME}`` for the reference that task scripts see."""
    at, path = node.entries["ssm"], join(source, "ssm")
    text = checker.text(at, path) or ""
    found = _SSM.fullmatch(text)
    if found is None or not SECRET_NAME.fullmatch(found["name"]):
        hint = _SSM_RULE if found is None else SECRET_NAME_RULE
        what = f"`{path}` names no secret: {shorten(text)!r}"
        checker.error("invalid-name", what, at=at, hint=hint, source=path)
        return None
    if node.entries["secret"].plain() is not True:
        what = f"`{join(source, 'secret')}` must be true beside `ssm`"
        checker.error("wrong-type", what, at=node.entries["secret"], source=source)
    return {"secret": found["name"]}


def _zone_hint(zone: str) -> str:
    hint = nearest_hint(zone, zone_names())
    return hint if hint.startswith("did") else "such as Europe/Berlin or UTC"
