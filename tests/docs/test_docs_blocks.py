"""Every document's code blocks run, from top to bottom."""

import subprocess
from pathlib import Path

import pytest

from tests.docs.blocks import blocks_of, commands_of

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_document_blocks_do_what_they_say(path, reader):
    for block in blocks_of(path):
        reader.follow(block)


@pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)
def test_document_make_commands_have_a_target(path):
    console = [block for block in blocks_of(path) if block.language == "console"]
    commands = [command for block in console for command in commands_of(block)]
    for target in filter(None, (command.target for command in commands)):
        subprocess.run(["make", "-n", *target.split()], cwd=ROOT, check=True, capture_output=True)
