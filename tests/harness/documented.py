"""The tables of docs/api.md: which endpoint is promised to whom, and how it compares."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
_ROW = re.compile(r"^\| `([A-Z, ]+) (/\S*)` \| ([\w-]+) \| ([a-z ]+) \|([^|\n]*)\|", re.MULTILINE)


class Row(NamedTuple):
    """``kind`` is same, better, ours, gone or not there, ``cloud`` what it is on the Cloud API."""

    who: str
    kind: str
    cloud: str


def rows() -> dict[tuple[str, str], Row]:
    """By method and path."""
    found: dict[tuple[str, str], Row] = {}
    for methods, path, who, kind, cloud in _ROW.findall(PAGE.read_text()):
        for method in methods.split(", "):
            assert (method, path) not in found, f"{method} {path} stands there twice"
            found[method, path] = Row(who, kind, cloud.strip())
    return found
