"""Run the code blocks of a document as its reader would, from top to bottom.

- ``console``: each line after ``$ `` is run by bash; the lines below it are what it must print.
  ``...`` in a line stands for any text, on a line of its own for any lines. No such lines: any
  output will do. The folder and exported variables carry over to the next command. One that ends
  with ``&`` goes on while the rest is done: it counts as started when it has printed those
  lines, and is stopped at the end.
- ``python``: executed; names carry over to the next block.
- any language after ``<!-- file: PATH -->``: written to that file.
- ``<!-- exit: N -->`` before a console block: its last command ends with N, not 0.
- ``<!-- not run: REASON -->``: left out, which needs a reason.

Other blocks are pictures of something. A command that starts with ``make`` is left to a test of
its own.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 300
STOP_S = 30
PICTURES = {"json", "markdown", "mermaid", "text", "toml", "yaml"}

_DIRECTIVE = re.compile(r"\s*<!-- (?P<kind>file|exit|not run):\s*(?P<value>.*?)\s*-->\s*")
_FENCE = re.compile(r"(?P<indent>\s*)(?P<fence>```+)(?P<language>\S*).*")

# Keeps the exit code, and leaves folder and exported variables to the next command.
_SHELL = """
cd "$(cat "$0/folder")" && source "$0/variables" && eval "$1"
code=$?
pwd >"$0/folder"
export -p >"$0/variables"
exit $code
"""

# Becomes the command, so that a signal reaches it and no shell between.
_BACKGROUND = 'cd "$(cat "$0/folder")" && source "$0/variables" && eval "exec $1"'


class BlockError(Exception):
    """A block does not do what its document says."""


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        line: Line of its opening fence, from 1.
        kind: What the comment above it asks for: ``file``, ``exit``, ``not run`` or nothing.
        value: What stands after the kind.
    """

    path: Path
    line: int
    language: str
    text: str
    kind: str = ""
    value: str = ""

    @property
    def where(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A command of a console block, and the output that stands below it."""

    line: str
    expected: str

    @property
    def target(self) -> str | None:
        """What ``make`` is asked for, if the command is that."""
        words = self.line.split()
        return " ".join(words[1:]) if words[:1] == ["make"] else None

    @property
    def goes_on(self) -> bool:
        """Whether the next command does not wait for its end."""
        return self.line.endswith(" &")


def blocks_of(path: Path) -> list[Block]:
    """Return the fenced blocks of a Markdown file in their order."""
    return list(_scan(path, path.read_text().splitlines()))


def _scan(path: Path, lines: list[str]) -> Iterator[Block]:
    directive: re.Match[str] | None = None
    numbered = iter(enumerate(lines, start=1))
    for number, line in numbered:
        fence = _FENCE.fullmatch(line)
        if fence:
            inside = _take_until(numbered, fence["fence"])
            text = "".join(row.removeprefix(fence["indent"]) + "\n" for row in inside)
            asked = (directive["kind"], directive["value"]) if directive else ("", "")
            yield Block(path, number, fence["language"], text, *asked)
        if line.strip():
            directive = _DIRECTIVE.fullmatch(line)


def _take_until(numbered: Iterator[tuple[int, str]], fence: str) -> Iterator[str]:
    for _, line in numbered:
        if line.strip() == fence:
            return
        yield line


def commands_of(block: Block) -> list[Command]:
    """Return the commands of a console block.

    Raises:
        BlockError: A line stands before the first command.
    """
    text = block.text.replace("\\\n> ", "\\\n")
    head, *parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
    if head.strip() or not parts:
        raise BlockError(f"{block.where}: a console block starts with `$ COMMAND`")
    return [_command(part) for part in parts]


def _command(part: str) -> Command:
    line, _, expected = part.replace("\\\n", "\0").partition("\n")
    return Command(line.replace("\0", "\\\n"), expected)


def is_like(output: str, expected: str) -> bool:
    """Tell whether output is what a document shows, where ``...`` stands for anything."""
    pattern = "".join(_line_pattern(line) for line in expected.rstrip().splitlines())
    actual = "".join(line.rstrip() + "\n" for line in output.rstrip().splitlines())
    return re.fullmatch(pattern, actual) is not None


def _line_pattern(line: str) -> str:
    if line.strip() == "...":
        return r"(?:.*\n)*?"
    return ".*".join(re.escape(part) for part in line.rstrip().split("...")) + r"\n"


class Reader:
    """Does what a document says, in a folder and an environment of its own."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder / "work"
        self.state = folder / "state"
        self.names: dict[str, object] = {"__name__": "__main__"}
        self.environment = dict(environment)
        self.started: list[subprocess.Popen[str]] = []
        for made in (self.folder, self.state):
            made.mkdir()
        (self.state / "folder").write_text(f"{self.folder}\n")
        (self.state / "variables").touch()

    def follow(self, block: Block) -> None:
        """Do what one block says.

        Raises:
            BlockError: It failed, or printed something else.
        """
        if block.kind == "not run":
            _need(block, bool(block.value), "say why the block is not run")
        elif block.kind == "file":
            self._write(block)
        elif block.language == "console":
            self._run(block)
        elif block.language == "python":
            self._execute(block)
        else:
            known = block.language in PICTURES
            _need(block, known, f"a block of {block.language or 'no language'!r} is never run")

    def _write(self, block: Block) -> None:
        target = (self._here() / block.value).resolve()
        _need(block, target.is_relative_to(self.folder), f"{block.value} is outside")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block.text)

    def _run(self, block: Block) -> None:
        commands = [command for command in commands_of(block) if command.target is None]
        for command in commands:
            if command.goes_on:
                self._start(block, command)
                continue
            last = command is commands[-1]
            expected = int(block.value) if block.kind == "exit" and last else 0
            code, output = self._shell(command.line)
            told = f"`{command.line}` ended with {code} and printed:\n{output}"
            _need(block, code == expected, f"{told}instead of ending with {expected}")
            alike = not command.expected.strip() or is_like(output, command.expected)
            _need(block, alike, f"{told}instead of:\n{command.expected}")

    def _shell(self, line: str) -> tuple[int, str]:
        process = subprocess.Popen(
            ["bash", "-c", _SHELL, self.state, line],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.environment,
            start_new_session=True,
            text=True,
        )
        try:
            output, _ = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            output += f"(no end after {TIMEOUT_S} s)\n"
        return process.returncode, output

    def _start(self, block: Block, command: Command) -> None:
        """Start a command that goes on, and wait for what it prints at first."""
        printed = self.state / f"printed-{len(self.started)}"
        with printed.open("w") as output:
            process = subprocess.Popen(
                ["bash", "-c", _BACKGROUND, self.state, command.line.removesuffix(" &")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
                text=True,
            )
        self.started.append(process)
        end = time.monotonic() + TIMEOUT_S
        while not is_like(printed.read_text(), command.expected):
            goes_on = process.poll() is None and time.monotonic() < end
            told = f"`{command.line}` printed:\n{printed.read_text()}"
            _need(block, goes_on, f"{told}instead of:\n{command.expected}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop what was started and goes on.

        Raises:
            BlockError: Something ended before, or does not end when asked to.
        """
        faults = [
            f"pid {process.pid}: {text}" for process in self.started if (text := _stop(process))
        ]
        if faults:
            raise BlockError("; ".join(faults))

    def _execute(self, block: Block) -> None:
        before = Path.cwd()
        os.chdir(self._here())
        try:
            # Empty lines above, so that a traceback shows the document's own line.
            code = compile("\n" * block.line + block.text, str(block.path), "exec")
            exec(code, self.names)
        except Exception as error:
            raise BlockError(f"{block.where}: {type(error).__name__}: {error}") from error
        finally:
            os.chdir(before)

    def _here(self) -> Path:
        return Path((self.state / "folder").read_text().removesuffix("\n"))


def _stop(process: "subprocess.Popen[str]") -> str:
    """Stop a process and its group; return what is wrong with how it ended."""
    if process.poll() is not None:
        return f"ended by itself, with {process.returncode}"
    process.terminate()
    try:
        code = process.wait(STOP_S)
        return "" if code in (0, -signal.SIGTERM) else f"ended with {code}"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"did not end within {STOP_S} s"


def _need(block: Block, condition: bool, text: str) -> None:
    if not condition:
        raise BlockError(f"{block.where}: {text}")
