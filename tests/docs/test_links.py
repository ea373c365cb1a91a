"""Every page can be found from the index, and every link leads somewhere."""

import re
from pathlib import Path

import pytest

from tests.docs.blocks import blocks_of

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [*DOCS, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))]
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]

_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")


def prose(path):
    """Return a page without its code blocks."""
    text = path.read_text()
    for block in blocks_of(path):
        text = text.replace(block.text, "")
    return text


def links(path):
    """Return each link of a page to a place of ours: the file, and the heading in it or nothing."""
    targets = [match["target"] for match in _LINK.finditer(prose(path))]
    own = [target.partition("#") for target in targets if "://" not in target]
    return [((path.parent / file).resolve() if file else path, part) for file, _, part in own]


def anchors(path):
    """Return what a page's headings are called in links, as code hosts call them."""
    headings = re.findall(r"^#+ (.+)$", prose(path), flags=re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_page_links_lead_to_files_and_headings_that_exist(path):
    broken = [str(file) for file, _ in links(path) if not file.exists()]
    assert broken == []
    for file, part in links(path):
        assert not part or part in anchors(file), f"{file.name}#{part}"


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_page_links_stay_within_the_project(path):
    assert all(file.is_relative_to(ROOT) for file, _ in links(path))


def test_index_leads_to_every_page():
    found, todo = set(), [ROOT / "docs" / "index.md"]
    while todo:
        page = todo.pop()
        if page not in found:
            found.add(page)
            todo += [file for file, _ in links(page) if file.suffix == ".md" and file.exists()]
    assert set(DOCS) - found == set()
