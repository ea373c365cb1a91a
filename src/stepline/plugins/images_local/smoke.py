"""A look at the commands that a build step installed with pip: can they import what they run?

A package that forgets to name what it needs installs without a word, and fails when it is
used. So every new command's entry point is imported once in the finished system.
"""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from stepline.errors import ConfigError, Location, PlatformError
from stepline.frozen import frozen
from stepline.model.image import Image
from stepline.plugins.images_local.build_steps import Steps
from stepline.plugins.images_local.trees import Tree
from stepline.ports.engine import Mount
from stepline.ports.images import Tell

_FOLDERS = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin")
_ENTRY = re.compile(r"\s*([\w.]+)\s*(?::\s*([\w.]+))?\s*$")
_SEEN_AT = "/run/stepline"
_ANSWER = "stepline-answer "
_CHECK = '''
import json, subprocess, sys

CODE = """
import importlib, sys
try:
    importlib.import_module(sys.argv[1])
except ImportError as error:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    sys.exit(77)
except BaseException:
    pass
"""
faults = {}
for name, python, module in json.load(open(sys.argv[1])):
    ran = subprocess.run([python, "-c", CODE, module], stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if ran.returncode == 77:
        faults[name] = ran.stderr.strip().splitlines()[-1]
print("stepline-answer " + json.dumps(faults))
'''


@frozen
class Command:
    """A command that pip made.

    Attributes:
        name: What people type.
        python: Interpreter that runs it.
        module: What it imports.
    """

    name: str
    python: str
    module: str


def find_commands(tree: Tree, changed: Collection[str], *, python: str) -> list[Command]:
    """Return the commands that pip added to PATH.

    Args:
        tree: The finished system.
        changed: Paths that were added or changed.
        python: Interpreter of commands that do not name one.
    """
    modules: dict[str, str] = {}
    for path in changed:
        if path.endswith("-info/entry_points.txt") and (content := tree[path].content):
            modules.update(_console_scripts(content.read().decode("utf-8", "replace")))
    wanted = {f"{folder}/{name}": name for folder in _FOLDERS for name in modules}
    found = []
    for path in sorted(wanted.keys() & set(changed)):
        name = wanted[path]
        found.append(Command(name, _interpreter(tree, path) or python, modules[name]))
    return found


def check_commands(
    commands: list[Command], image: Image, *, steps: Steps, folder: Path, tell: Tell
) -> None:
    """Make sure that commands can import what they run.

    Args:
        commands: The commands.
        image: The finished system.
        steps: Runs the check.
        folder: For temporary files; it is not there yet.
        tell: Takes lines about what is going on.

    Raises:
        ConfigError: One cannot.
        PlatformError: The check itself cannot be run.
    """
    if not commands:
        return
    seen = folder / "seen"
    seen.mkdir(parents=True)
    seen.joinpath("check.py").write_text(_CHECK)
    plain = [[command.name, command.python, command.module] for command in commands]
    seen.joinpath("commands.json").write_text(json.dumps(plain))
    arguments = (image.python, "-B", f"{_SEEN_AT}/check.py", f"{_SEEN_AT}/commands.json")
    mount = Mount(source=str(seen), target=_SEEN_AT)
    ended = steps.check(image, arguments, mount=mount, scratch=folder / "scratch")
    answer = next((x for x in ended.output.splitlines() if x.startswith(_ANSWER)), None)
    if answer is None:
        raise PlatformError(f"the commands of the hook could not be checked:\n{ended.output}")
    names = ", ".join(command.name for command in commands)
    if faults := json.loads(answer.removeprefix(_ANSWER)):
        what = "; ".join(f"{name}: {fault}" for name, fault in sorted(faults.items()))
        raise ConfigError(
            f"a command that the hook installed cannot start: {what}",
            where=Location("init/before_install"),
            hint="have the hook install what is missing too, or another version of the package",
        )
    tell(f"commands that the hook installed were checked, each can start: {names}")


def _console_scripts(text: str) -> Iterator[tuple[str, str]]:
    """Give names and modules of the commands of a package; not those of optional parts."""
    config = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    config.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        config.read_string(text)
        items = config.items("console_scripts") if "console_scripts" in config else []
    except configparser.Error:
        return
    for name, value in items:
        if match := _ENTRY.match(value):
            yield name, match[1]


def _interpreter(tree: Tree, path: str) -> str | None:
    content = tree[path].content
    first = content.read().partition(b"\n")[0].decode("utf-8", "replace") if content else ""
    python = first.removeprefix("#!").strip()
    return python if re.fullmatch(r"/\S*python[0-9.]*", python) else None
