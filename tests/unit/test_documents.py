"""The documents name what exists: files, and pages with their headings."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "src" / "warouter"
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *DOCS.rglob("*.md"),
]

# Pages whose every path is checked; the others name some files by their last part.
EXACT = [DOCS / "architecture.md", DOCS / "glossary.md", *DECISIONS]
CONTRIBUTING = ROOT / "CONTRIBUTING.md"


def test_each_word_of_the_glossary_has_a_sentence_and_a_file_and_stands_once() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+?) \| `(.+?)` \|$", _glossary(), re.MULTILINE)
    assert len(rows) > 60
    assert [row for row in rows if not (PACKAGE / row[2]).is_file()] == []
    assert [row for row in rows if not row[1].endswith(".") or ". " in row[1]] == []
    words = [word for several, _, _ in rows for word in several.split(", ")]
    assert sorted(words) == sorted(set(words))


@pytest.mark.parametrize("page", EXACT, ids=lambda page: page.stem)
def test_each_file_that_is_named_exists(page: Path) -> None:
    names = re.findall(r"`([\w./]+\.(?:pyx?|sql|json|md))`", page.read_text())
    places = (PACKAGE, ROOT)
    assert [n for n in names if not any((place / n).is_file() for place in places)] == []


def test_each_path_that_contributing_names_exists() -> None:
    roots = "src|tests|docs|bench|deploy|requirements"
    paths = re.findall(rf"(?<![\w/])(?:{roots})/[\w./-]*\w", CONTRIBUTING.read_text())
    assert len(paths) > 60
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_tree_of_contributing_is_what_is_there() -> None:
    tree = CONTRIBUTING.read_text().split("```\n")[1]
    named, above = set(), [ROOT]
    for indent, name in re.findall(r"^( *)(\S+)", tree, re.MULTILINE):
        above[len(indent) // 2 + 1 :] = [above[len(indent) // 2] / name]
        named.add(above[-1])
    assert [str(path) for path in named if not path.exists()] == []
    folders = {path.parent for path in (*PACKAGE.glob("*/*.*"), *ROOT.glob("tests/*/*.*"))}
    left = [path for path in folders - named if path.name != "__pycache__"]
    assert left == [], "give these a line in the tree"


def test_each_target_that_contributing_names_is_in_the_makefile() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = re.findall(r"(?:`|^    )make ([a-z-]+)", CONTRIBUTING.read_text(), re.MULTILINE)
    assert len(named) > 8
    assert set(named) - set(targets) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        if path.startswith(("http:", "https:")):
            continue
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_each_decision_has_its_parts(page: Path) -> None:
    parts = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)
    assert parts == ["Context", "Decision", "Evidence", "Consequences", "When to look again"]


def test_decisions_are_numbered_and_listed() -> None:
    numbers = [int(page.stem.partition("-")[0]) for page in DECISIONS]
    assert all(after == before + 1 for before, after in pairwise([0, *numbers]))
    listed = re.findall(
        r"^(\d+)\. \[(.+)\]\((.+)\)$", (DOCS / "decisions/README.md").read_text(), re.MULTILINE
    )
    assert [name for _, _, name in listed] == [page.name for page in DECISIONS]
    for page, (number, title, _) in zip(DECISIONS, listed, strict=True):
        assert page.read_text().startswith(f"# {number}. {title}\n")


def _glossary() -> str:
    return (DOCS / "glossary.md").read_text()


def _anchors(page: Path) -> set[str]:
    """The headings of a page, as forges make names for links of them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
