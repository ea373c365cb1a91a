"""What is said about a command that does not exist; imported only then."""

from __future__ import annotations

from collections.abc import Iterable

from stepline.errors import SettingsError
from stepline.expressions.suggest import nearest


def unknown_command(word: str, known: Iterable[str], *, above: str) -> SettingsError:
    """Return the error for a word that is no command.

    Args:
        word: What was typed.
        known: The commands that there are.
        above: What goes before them, such as ``stepline workflow``.
    """
    near = nearest(word, known)
    hint = f"did you mean '{above} {near}'?" if near else f"{above} --help shows the commands"
    return SettingsError(f"there is no command '{above} {word}'", hint=hint)
