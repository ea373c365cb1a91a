"""What no linter checks of our sources: sizes, signatures, and what the sdk may lean on."""

import ast
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import stepline

ROOT = Path(__file__).parents[2]
PLATFORM = sorted((ROOT / "src/stepline").rglob("*.py"))
SDK = sorted((ROOT / "src/stepline_sdk").rglob("*.py"))

MODULE_LINES = 500
FUNCTION_LINES = 40
NESTING = 3
POSITIONAL = 2

# Modules that Python 3.7 does not have yet, or that 3.12 or 3.13 has no longer.
NOT_EVERYWHERE = set(
    "aifc asynchat asyncore audioop cgi cgitb chunk crypt distutils graphlib imghdr imp lib2to3"
    " mailcap msilib nis nntplib ossaudiodev pipes smtpd sndhdr spwd sunau telnetlib tomllib uu"
    " xdrlib zoneinfo".split()
)
# `ts_sdk` is our own stand-in, which an author's script imports by that name.
SDK_MAY_IMPORT = {*sys.stdlib_module_names, "stepline_sdk", "ts_sdk"} - NOT_EVERYWHERE

Function = ast.FunctionDef | ast.AsyncFunctionDef
BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.TryStar, ast.Match)


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function of a module, inner ones included."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def too_long(tree: ast.AST) -> Iterator[str]:
    """Functions whose body, docstring left out, has too many lines."""
    for function in functions(tree):
        documented = ast.get_docstring(function) is not None
        body = function.body[1:] if documented else function.body
        lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
        if lines > FUNCTION_LINES:
            yield f"{function.lineno}: {function.name} has {lines} lines"


def too_deep(tree: ast.AST) -> Iterator[str]:
    """Functions that nest blocks too deeply; ``elif`` does not nest."""
    for function in functions(tree):
        depth = nesting(function.body)
        if depth > NESTING:
            yield f"{function.lineno}: {function.name} nests {depth} deep"


def nesting(statements: list[ast.stmt]) -> int:
    """How many blocks lie in one another."""
    return max((depth_of(statement) for statement in statements), default=0)


def depth_of(statement: ast.AST) -> int:
    """The nesting that one statement brings, itself included."""
    if isinstance(statement, (*BLOCKS, ast.AsyncFor, ast.AsyncWith)):
        return max(1 + nesting(inner_statements(statement)), elif_depth(statement))
    if isinstance(statement, ast.ExceptHandler | ast.match_case):
        return nesting(statement.body)
    return 0


def inner_statements(block: ast.stmt) -> list[ast.AST]:
    """Statements inside a block, an ``elif`` left out."""
    inner = [node for node in ast.iter_child_nodes(block) if not isinstance(node, ast.expr)]
    return [node for node in inner if node is not elif_of(block)]


def elif_depth(block: ast.stmt) -> int:
    """The nesting of an ``elif``, which stands beside its ``if``."""
    other = elif_of(block)
    return depth_of(other) if other else 0


def elif_of(block: ast.stmt) -> ast.If | None:
    """The ``elif`` of an ``if``: a sole ``if`` in its ``else``, at the same column."""
    orelse = block.orelse if isinstance(block, ast.If) else []
    sole = orelse[0] if len(orelse) == 1 else None
    return sole if isinstance(sole, ast.If) and sole.col_offset == block.col_offset else None


def too_positional(tree: ast.AST) -> Iterator[str]:
    """Public functions with more than two parameters that callers may pass by position.

    Hooks are called by name anyway, and pluggy sees no keyword-only parameter.
    """
    public = (each for each in functions(tree) if not each.name.startswith(("_", "stepline_")))
    for function in public:
        names = [arg.arg for arg in (*function.args.posonlyargs, *function.args.args)]
        names = names[1:] if names[:1] in (["self"], ["cls"]) else names
        if len(names) > POSITIONAL:
            yield f"{function.lineno}: {function.name} takes {', '.join(names)} by position"


def violations(files: list[Path], rule: Callable[[ast.AST], Iterator[str]]) -> list[str]:
    """What a rule finds in files, as ``path:line: text``."""
    found = ((path, text) for path in files for text in rule(ast.parse(path.read_text())))
    return [f"{path.relative_to(ROOT)}:{text}" for path, text in found]


@pytest.mark.parametrize("rule", [too_long, too_deep])
def test_functions_stay_small(rule):
    assert violations(PLATFORM + SDK, rule) == []


def test_platform_parameters_beyond_two_are_keyword_only():
    # The sdk keeps the signatures that published task scripts call.
    assert violations(PLATFORM, too_positional) == []


def test_modules_stay_small():
    lines = {path: len(path.read_text().splitlines()) for path in PLATFORM + SDK}
    assert {path: count for path, count in lines.items() if count > MODULE_LINES} == {}


@pytest.mark.parametrize("path", SDK, ids=lambda path: str(path.relative_to(ROOT)))
def test_sdk_module_has_the_syntax_of_python_3_7(path):
    ast.parse(path.read_text(), feature_version=(3, 7))


def test_sdk_imports_only_the_standard_library():
    assert violations(SDK, foreign_imports) == []


def foreign_imports(tree: ast.AST) -> Iterator[str]:
    """Imports of what a bare Python, the oldest or the newest, lacks."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        strangers = {name.split(".")[0] for name in names} - SDK_MAY_IMPORT
        yield from (f"{node.lineno}: imports {name}" for name in sorted(strangers))


def test_version_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert stepline.__version__ == project["version"]


@pytest.mark.parametrize("name", ["run.txt", "dev.txt", "judge.txt", "mlflow.txt", "moto.txt"])
def test_requirements_name_no_host_and_no_machine(name):
    text = (ROOT / "requirements" / name).read_text()
    assert not [line for line in text.splitlines() if "://" in line or " /" in line]


@pytest.mark.parametrize(
    ("rule", "source", "message"),
    [
        pytest.param(too_long, "def f():\n" + "    x = 1\n" * 41, "1: f has 41 lines", id="long"),
        pytest.param(
            too_deep,
            "def f():\n if a:\n  for b in c:\n   with d:\n    try: e\n    finally: g",
            "1: f nests 4 deep",
            id="deep",
        ),
        pytest.param(
            too_deep,
            "def f():\n if a: b\n elif c:\n  if d:\n   if e:\n    if g: h",
            "1: f nests 4 deep",
            id="deep in elif",
        ),
        pytest.param(
            too_deep,
            "def f():\n try: a\n except B:\n  if c:\n   if d:\n    if e: g",
            "1: f nests 4 deep",
            id="deep in except",
        ),
        pytest.param(
            too_positional, "def f(a, b, c): ...", "1: f takes a, b, c by position", id="positional"
        ),
        pytest.param(foreign_imports, "import os, yaml.nodes", "1: imports yaml", id="import"),
        pytest.param(foreign_imports, "import tomllib", "1: imports tomllib", id="new module"),
        pytest.param(foreign_imports, "from click import x", "1: imports click", id="from"),
    ],
)
def test_rule_finds_a_violation(rule, source, message):
    assert list(rule(ast.parse(source))) == [message]


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (too_long, 'def f():\n    """' + "Text.\n" * 41 + '"""\n    return 1'),
        (too_deep, "def f():\n if a: b\n elif c: d\n elif e: g\n elif h: i\n elif j: k"),
        (too_positional, "class A:\n def f(self, a, b, *, c): ..."),
        (too_positional, "def _f(a, b, c): ...\ndef stepline_executor(a, b, c): ..."),
        (foreign_imports, "import os.path\nfrom stepline_sdk import wire"),
    ],
    ids=["docstring", "elif", "method", "private and hook", "standard library"],
)
def test_rule_leaves_good_code_alone(rule, source):
    assert list(rule(ast.parse(source))) == []
