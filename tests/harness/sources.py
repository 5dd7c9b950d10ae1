"""The sources of the package as trees: parsing them all costs seconds, so that one worker does it.

Tests that want them have the mark ``reads_sources``. A tree is shared: nobody changes it.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "warouter"
FILES = sorted(SOURCE.rglob("*.py"))
reads_sources = pytest.mark.xdist_group("sources")


@cache  # not while tests are collected, which each worker does
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def trees() -> list[ast.Module]:
    """Of all files, in their order."""
    return [tree(path) for path in FILES]
