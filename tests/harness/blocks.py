"""The blocks of commands of a document, by section and by the word after ``sh``."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def section(page: str, heading: str) -> str:
    """What stands under a heading of the second level; KeyError if the page has none such."""
    parts = re.split(r"^## (.+)\n", (DOCS / page).read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[heading]


def script(text: str, *marks: str) -> str:
    """The blocks ``sh`` and those ``sh MARK`` with one of these marks, in their order."""
    blocks = re.findall(r"^```sh *(.*)\n((?:(?!```).*\n)*)```$", text, re.MULTILINE)
    return "\n".join(body for mark, body in blocks if mark in ("", *marks))
