"""Text of a task script's config.json to its model.

Source:
    The task-script rules, section "config.json"; docs/reference/task-script.md.
"""

from __future__ import annotations

import keyword

from stepline.model.task_script import Function, IdsReference, TaskScript
from stepline.parsing.checker import Checker, join
from stepline.parsing.image_choices import image_choices, image_positions
from stepline.parsing.json_tree import parse_json
from stepline.parsing.nodes import Mapping, Node, Scalar, Sequence
from stepline.parsing.result import Parsed

KEYS = (
    "language",
    "runtime",
    "functions",
    "sdkVersion",
    "secureMode",
    "runnerType",
    "maxCount",
    "memoryInMB",
    "image",
)
MAX_MEMORY_MB = 8192
MAX_COUNT = 50
RUNTIMES = tuple(f"python3.{minor}" for minor in range(7, 14))
_RUNNERS = ("ecs", "windows-script")
_FUNCTION_KEYS = ("slug", "function", "allowedIds")
_IDS_KEYS = ("namespace", "slug", "version")
_NO_EFFECT = ("sdkVersion", "secureMode", "runnerType", "maxCount")


def parse_config(text: str, *, path: str) -> Parsed[TaskScript]:
    """Parse and check a task script's config.json.

    Args:
        text: The source, without byte order mark.
        path: Its path, for places.

    Returns:
        The model, unless there are errors, and all problems. `Parsed.positions` has
        the places of the functions, as ``functions[0].slug``, and of what stands under
        ``image``.
    """
    checker = Checker(parse_json(text, path=path))
    root = checker.root()
    value = _task_script(checker, root) if root is not None else None
    positions = _positions(root) if root is not None else {}
    problems = checker.problems()
    return Parsed(None if checker.failed else value, problems, path, positions)


def _task_script(checker: Checker, root: Mapping) -> TaskScript:
    entries = root.entries
    checker.ignored(root, "", known=KEYS)
    checker.keys(root, "", known=entries, required=("language", "functions"))
    checker.choice(entries.get("language"), "language", among=("python",))
    checker.text(entries.get("sdkVersion"), "sdkVersion")
    checker.boolean(entries.get("secureMode"), "secureMode")
    checker.choice(entries.get("runnerType"), "runnerType", among=_RUNNERS)
    checker.integer(entries.get("maxCount"), "maxCount", low=0, high=MAX_COUNT)
    memory = checker.integer(entries.get("memoryInMB"), "memoryInMB", low=0, high=MAX_MEMORY_MB)
    kept = {key: node.plain() for key, node in entries.items() if key not in KEYS}
    known = {key: entries[key].plain() for key in _NO_EFFECT if key in entries}
    return TaskScript(
        functions=_functions(checker, entries.get("functions")),
        runtime=_runtime(checker, root),
        memory_mb=memory,
        extra={**known, **kept},
        image=image_choices(checker, entries.get("image")),
    )


def _runtime(checker: Checker, root: Mapping) -> str | None:
    """Return the Python that is asked for, as ``3.N``."""
    node = root.entries.get("runtime")
    if node is None:
        what = "no `runtime` is given: the reference platform takes Python 3.7"
        hint = 'add "runtime": "python3.11", or another of python3.7 … python3.13'
        checker.warning("no-runtime", what, at=root, hint=hint, source="runtime")
        return None
    text = checker.text(node, "runtime")
    if text is None or text in RUNTIMES:
        return text and text.removeprefix("python")
    what = f"there is no runtime {text[:60]!r}"
    hint = f"use one of {', '.join(RUNTIMES)}"
    checker.error("unknown-runtime", what, at=node, hint=hint, source="runtime")
    return None


def _functions(checker: Checker, node: Node | None) -> tuple[Function, ...]:
    if isinstance(node, Sequence) and not node.items:
        what = "a task script must expose at least one function"
        checker.error("no-functions", what, at=node, source="functions")
    found: list[Function] = []
    taken: dict[str, Node] = {}
    for path, item in checker.items(node, "functions"):
        function = _function(checker, item, path)
        if function is None or not isinstance(item, Mapping):
            continue
        at = item.entries["slug"]
        first = taken.setdefault(function.slug, at)
        if first is not at:
            what = f"the slug `{function.slug}` is used twice"
            hint = f"the first function with it stands in line {first.line}"
            checker.error("duplicate-slug", what, at=at, hint=hint, source=path)
        found.append(function)
    return tuple(found)


def _function(checker: Checker, item: Node, path: str) -> Function | None:
    node = checker.mapping(item, path, known=_FUNCTION_KEYS, required=("slug", "function"))
    if node is None:
        return None
    slug = checker.text(node.entries.get("slug"), join(path, "slug"))
    if slug == "":
        at = node.entries["slug"]
        checker.error("empty-slug", "a function's slug cannot be empty", at=at, source=path)
    name = _function_name(checker, node.entries.get("function"), join(path, "function"))
    allowed = _allowed_ids(checker, node.entries.get("allowedIds"), join(path, "allowedIds"))
    return Function(slug, name, allowed) if slug and name else None


def _function_name(checker: Checker, node: Node | None, source: str) -> str | None:
    name = checker.text(node, source)
    if name is None or node is None:
        return None
    parts = name.split(".")
    names = all(part.isidentifier() and not keyword.iskeyword(part) for part in parts)
    if len(parts) > 1 and names:
        return name
    what = f"`{name[:60]}` does not name a function in a module"
    hint = "write module.function, such as main.push_data"
    checker.error("invalid-function", what, at=node, hint=hint, source=source)
    return None


def _allowed_ids(
    checker: Checker, node: Node | None, source: str
) -> tuple[IdsReference, ...] | None:
    """Return the IDS that may be written; None where nothing is said."""
    if node is None:
        return None
    if isinstance(node, Scalar) and node.value is None:
        return ()
    if isinstance(node, Mapping):
        only = _ids(checker, node, source)
        return (only,) if only else ()
    if not isinstance(node, Sequence):
        checker.wrong_type(node, source, expected="a mapping, a list or null")
        return ()
    each = [_ids(checker, item, path) for path, item in checker.items(node, source)]
    return tuple(dict.fromkeys(found for found in each if found is not None))


def _ids(checker: Checker, item: Node, source: str) -> IdsReference | None:
    node = checker.mapping(item, source, known=_IDS_KEYS, required=_IDS_KEYS)
    if node is None:
        return None
    texts = [checker.text(node.entries.get(key), join(source, key)) for key in _IDS_KEYS]
    namespace, slug, version = texts
    if namespace is None or slug is None or version is None:
        return None
    return IdsReference(namespace, slug, version)


def _positions(root: Mapping) -> dict[str, tuple[int, int]]:
    found = {"": (root.line, root.column)}
    for key, node in root.entries.items():
        found[key] = (node.line, node.column)
    functions = root.entries.get("functions")
    for index, item in enumerate(functions.items if isinstance(functions, Sequence) else ()):
        for key, node in item.entries.items() if isinstance(item, Mapping) else ():
            found[f"functions[{index}].{key}"] = (node.line, node.column)
    return {**found, **image_positions(root.entries.get("image"))}
