"""Checks of a task script's folder that need no import of its code.

Source:
    The task-script rules, sections "Folder layout", "Function contract" and
    "requirements.txt".
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stepline.app.load import read_source
from stepline.errors import Location, Problem
from stepline.expressions.suggest import nearest_hint, or_else
from stepline.model.task_script import Function, TaskScript
from stepline.parsing.result import Parsed
from stepline.parsing.source import decode_source, lines_of

REQUIREMENTS_FILE = "requirements.txt"

# Poetry prints its progress to standard output too, so a redirect catches it.
_POETRY_WORDS = re.compile(
    r"Updating dependencies|Resolving dependencies\.\.\.|Writing lock file|Installing dependencies"
    r"|Creating virtualenv |Using virtualenv: |Using version |Package operations: "
    r"|Installing the current project|The lock file |poetry\.lock is not up to date"
    r"|The currently activated Python version |Trying to find and use a compatible version"
    r"|Skipping virtualenv creation|Loading configuration file "
    r"|(?:Warning: )?(?:The )?[\"']?poetry-plugin-export\b"
)
_CALLED_WITH = 2


def check_folder(folder: Path, parsed: Parsed[TaskScript]) -> list[Problem]:
    """Return what is wrong in a task script's folder besides its config.json.

    Args:
        folder: The folder.
        parsed: Its config.json; functions are checked only if it is valid.
    """
    problems, has_requirements = _check_requirements(folder)
    if parsed.value is None:
        return problems
    check = _FunctionCheck(folder, parsed, has_requirements)
    for index, function in enumerate(parsed.value.functions):
        problems += check.function(index, function)
    return problems


def depends_on(folder: Path, script: TaskScript | None) -> list[Path]:
    """Return the files whose content `check_folder` looks at."""
    modules = [_module_file(folder, f.module) for f in script.functions] if script else []
    return [folder / REQUIREMENTS_FILE, *(path for path in dict.fromkeys(modules) if path)]


def _check_requirements(folder: Path) -> tuple[list[Problem], bool]:
    """Return the problems of requirements.txt, and whether it requires anything."""
    path = folder / REQUIREMENTS_FILE
    if not path.is_file():
        what = f"the task script has no {REQUIREMENTS_FILE}"
        hint = "add one; it may be empty"
        return [Problem("no-requirements", what, Location(str(path)), hint)], True
    data, problem = read_source(path)
    if problem is not None:
        return [problem], True
    text, problem = decode_source(data, path=str(path))
    if problem is not None:
        return [problem], True
    lines = [line.strip() for line in lines_of(text)]
    requires = any(line and not line.startswith("#") for line in lines)
    return list(_poetry_words(path, text)), requires


def _poetry_words(path: Path, text: str) -> Iterator[Problem]:
    """Yield a problem for the first line that Poetry printed as progress."""
    for number, line in enumerate(lines_of(text), start=1):
        if _POETRY_WORDS.match(line.strip()):
            what = f"{line.strip()[:80]!r} is what Poetry prints, not a requirement"
            hint = "run `poetry lock`, then `poetry export --output requirements.txt`, not `>`"
            yield Problem("poetry-output", what, Location(str(path), number, 1), hint)
            return


@dataclass
class _FunctionCheck:
    folder: Path
    parsed: Parsed[TaskScript]
    has_requirements: bool

    def function(self, index: int, function: Function) -> list[Problem]:
        """Return what is wrong with where a function comes from."""
        where = self.parsed.locate(f"functions[{index}].function")
        path = _module_file(self.folder, function.module)
        if path is None:
            return [self.no_module(function, where)]
        data, problem = read_source(path)
        if problem is not None:
            return [problem]
        try:
            tree = self.tree(data)
        except SyntaxError as error:
            return self.broken_module(path, error)
        except (ValueError, RecursionError, MemoryError):
            what = "the module is too deeply nested, or holds NUL characters"
            return [Problem("broken-module", what, Location(str(path)))]
        return list(self.attribute(function, tree, where=where, path=path))

    @property
    def minor(self) -> int:
        """The ``N`` of the Python 3.N that will run the task script, as far as is known."""
        runtime = self.parsed.value.runtime if self.parsed.value else None
        return int(runtime.partition(".")[2]) if runtime else sys.version_info.minor

    def tree(self, data: bytes) -> ast.Module:
        """Parse a module in the syntax of the Python that will run it."""
        return ast.parse(data, feature_version=(3, min(self.minor, sys.version_info.minor)))

    def no_module(self, function: Function, where: Location) -> Problem:
        what = f"there is no module `{function.module}` in the folder"
        home = self.folder.joinpath(*function.module.split(".")[:-1])
        known = sorted(path.stem for path in home.glob("*.py")) if home.is_dir() else []
        last = function.module.rpartition(".")[2]
        if self.has_requirements and not (self.folder / function.module.split(".")[0]).is_dir():
            hint = or_else(nearest_hint(last, known), "let a requirement bring it")
            return Problem("no-module", what, where, hint, "warning")
        hint = nearest_hint(last, known, none="there is no module at all")
        return Problem("no-module", what, where, hint)

    def broken_module(self, path: Path, error: SyntaxError) -> list[Problem]:
        """Report a syntax error, unless a newer Python than ours may accept the module."""
        if self.minor > sys.version_info.minor:
            return []
        where = Location(str(path), error.lineno or 1, error.offset or 1)
        what = f"this is not valid Python 3.{self.minor}: {error.msg}"
        return [Problem("broken-module", what, where)]

    def attribute(
        self, function: Function, tree: ast.Module, *, where: Location, path: Path
    ) -> Iterator[Problem]:
        """Yield what is wrong with the callable itself."""
        defined = _defined_names(tree)
        if function.attribute not in defined:
            if "*" not in defined and "__getattr__" not in defined:
                what = f"`{function.module}` does not define `{function.attribute}`"
                callables = [name for name, node in defined.items() if node is not None]
                hint = nearest_hint(function.attribute, callables, none="it defines no function")
                yield Problem("no-function", what, where, hint)
            return
        node = defined[function.attribute]
        if node is None or node.decorator_list:
            return
        place = Location(str(path), node.lineno, node.col_offset + 1)
        if isinstance(node, ast.AsyncFunctionDef):
            what = f"`{node.name}` is a coroutine, which is not awaited"
            yield Problem("coroutine", what, place, "write `def`, not `async def`", "warning")
        if not _takes_two(node.args):
            what = f"`{node.name}` cannot be called with two arguments"
            hint = f"write def {node.name}(input, context)"
            yield Problem("function-arguments", what, place, hint, "warning")


Definition = ast.FunctionDef | ast.AsyncFunctionDef


def _defined_names(tree: ast.Module) -> dict[str, Definition | None]:
    """Return what a module defines at its top level; functions with their nodes."""
    found: dict[str, Definition | None] = {}
    pending: list[ast.stmt] = list(tree.body)
    while pending:
        node = pending.pop(0)
        if isinstance(node, Definition):
            found[node.name] = node
        elif isinstance(node, ast.ClassDef):
            found[node.name] = None
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found.update({(a.asname or a.name).split(".")[0]: None for a in node.names})
        elif isinstance(node, (ast.If, ast.Try, ast.With, ast.For, ast.While)):
            pending = [*_inner(node), *pending]
        else:
            found.update(dict.fromkeys(_assigned(node)))
    return found


def _inner(node: ast.stmt) -> list[ast.stmt]:
    """Return the statements inside a block."""
    parts = [getattr(node, name, []) for name in ("body", "orelse", "finalbody")]
    parts += [handler.body for handler in getattr(node, "handlers", [])]
    return [statement for part in parts for statement in part]


def _assigned(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Assign):
        targets: list[ast.expr] = node.targets
    else:
        targets = [node.target] if isinstance(node, (ast.AnnAssign, ast.AugAssign)) else []
    names = (inner for target in targets for inner in ast.walk(target))
    return [name.id for name in names if isinstance(name, ast.Name)]


def _takes_two(arguments: ast.arguments) -> bool:
    positional = len(arguments.posonlyargs) + len(arguments.args)
    required = positional - len(arguments.defaults)
    keyword_only = any(default is None for default in arguments.kw_defaults)
    enough = arguments.vararg is not None or positional >= _CALLED_WITH
    return enough and required <= _CALLED_WITH and not keyword_only


def _module_file(folder: Path, module: str) -> Path | None:
    """Return the file that a module's import would read, None if it is not in the folder."""
    home = folder.joinpath(*module.split("."))
    for path in (home.with_name(home.name + ".py"), home / "__init__.py"):
        if path.is_file():
            return path
    return None
