"""The commands of docs/backup.md, which tests run as an operator is told to type them."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "backup.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"# (/\S+)\n")
_TARGET = re.compile(r'(--target=)"[^"]+"')


def _blocks(language: str) -> list[str]:
    return [text for found, text in _BLOCK.findall(PAGE.read_text("utf-8")) if found == language]


def files() -> dict[str, str]:
    """The files by their paths on the database's machine."""
    paths = {text: _PATH.match(text) for text in _blocks("ini")}
    return {path[1]: text for text, path in paths.items() if path is not None}


def commands(word: str) -> str:
    """The one block of commands that has this word in it."""
    (found,) = (text for text in _blocks("sh") if word in text)
    return found


def restore_to(target: str) -> str:
    """The commands of a restore, to this time."""
    text, replaced = _TARGET.subn(rf'\1"{target}"', commands("--target="))
    assert replaced == 1, text
    return text


def hold() -> str:
    """The statement that holds what a restored database has as unsent."""
    (found,) = (text for text in _blocks("sql") if "'restored'" in text)
    return found
