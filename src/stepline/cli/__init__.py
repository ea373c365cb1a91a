"""The command line: one module per command, imported when the command is called."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module

import click

from stepline import __version__
from stepline.cli.interrupts import Interrupted
from stepline.errors import SteplineError, UserError

COMMANDS = {
    "init": "Make a project that runs and whose tests pass.",
    "validate": "Check protocols and task scripts; report every problem at once.",
    "run": "Run a protocol on a file.",
    "call": "Call one function of a task script.",
    "replay": "Run a recorded workflow of a service again, here.",
    "serve": "Take in files and run pipelines on them.",
    "put": "Publish a task script or a protocol.",
    "artifact": "Show, fetch and delete what is published.",
    "common": "Publish, list and copy what travels with Stepline.",
    "base": "Build, list and remove base images.",
    "image": "Build, test, show, push and remove images of task scripts.",
    "setting": "Set, list and delete shared settings.",
    "secret": "Set, list and delete secrets.",
    "pipeline": "Set, show, pause and delete pipelines.",
    "upload": "Store files, which may start pipelines.",
    "files": "List, find, fetch, verify, label and delete stored files.",
    "workflow": "List, show, follow, retry and cancel workflows.",
    "explain": "Tell why something ran or did not.",
    "reprocess": "Start a pipeline again for stored files.",
    "clean": "Remove what nobody needs any more from a service.",
    "selftest": "Kill a service and count what it loses.",
    "plugins": "Show the installed plugins.",
    "schema": "Print a JSON Schema for editors.",
}
EXIT_INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group whose commands are imported when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"stepline.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, and look whether the one that it is asked for below it exists.

        Raises:
            SettingsError: One of the two does not exist; names the nearest.
        """
        if not ctx.resilient_parsing:
            _check_command(args, COMMANDS, above="stepline")
        name, command, rest = super().resolve_command(ctx, args)
        if isinstance(command, click.Group) and not ctx.resilient_parsing:
            _check_command(rest, command.commands, above=f"stepline {name}")
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _check_command(words: list[str], known: Collection[str], *, above: str) -> None:
    if not words or words[0] in known or words[0].startswith("-"):
        return
    from stepline.cli.unknown import unknown_command

    raise unknown_command(words[0], known, above=above)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="stepline")
def stepline() -> None:
    """Run versioned task scripts, wired together by protocols, on files."""


def main() -> int:
    """Run the command line and return its exit code.

    0: success; 1: the workflow failed; 2: the user's input is wrong; 3: the platform
    failed; 128 and a signal's number: ended by that signal.
    """
    try:
        code = stepline.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = UserError.exit_code
    except (KeyboardInterrupt, click.Abort):
        code = EXIT_INTERRUPTED
    except Interrupted as interruption:
        code = interruption.exit_code
    except Exception as error:
        from stepline.cli.report import report_error

        try:
            code = report_error(error)
        except OSError:  # nobody is there to read it
            code = SteplineError.exit_code
    return code if isinstance(code, int) else 0
