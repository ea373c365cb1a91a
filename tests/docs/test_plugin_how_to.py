"""The how-to shows the files of the example plugin as they are."""

from pathlib import Path

import pytest

from tests.docs.blocks import blocks_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "write-a-plugin.md"


@pytest.mark.parametrize("path", ["pyproject.toml", "src/stepline_secrets_dotenv/__init__.py"])
def test_plugin_how_to_shows_the_examples_file(path):
    shown = {block.value: block.text for block in blocks_of(PAGE) if block.kind == "file"}
    original = ROOT / "examples" / "plugin-secrets" / path
    assert shown[f"plugin-secrets/{path}"] == original.read_text()
