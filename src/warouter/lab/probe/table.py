"""The result in a form to paste into an issue: Markdown, and JSON with what it rests on. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from warouter.lab.probe.observed import Observed, exported
from warouter.lab.probe.verdicts import ResultRow


def heading(observed: Observed, warouter: str, version: str) -> str:
    """The conditions of a measurement, in one line.

    ``warouter`` and ``version`` are versions, of this program and of the Graph API.
    """
    date = datetime.fromtimestamp(observed.began, UTC).date().isoformat()
    level = f"{observed.level:g}/s" if observed.level else "unknown"
    line = f"warouter {warouter}, Graph API {version}, {date}, level {level}"
    return f"{line}, ended early: {observed.ended}" if observed.ended else line


def markdown(heading: str, rows: Sequence[ResultRow]) -> str:
    """The table under its heading."""
    lines = [heading, "", "| question | what was measured | n | result |", "|---|---|---|---|"]
    lines += [
        f"| {row.question} | {row.measured} | {row.n} | {_cell(row.result)} |" for row in rows
    ]
    return "\n".join(lines)


def raw(heading: str, rows: Sequence[ResultRow], observed: Observed) -> bytes:
    """All observations and the table as JSON."""
    found = {
        "heading": heading,
        "rows": [row._asdict() for row in rows],
        **exported(observed),
    }
    return msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"


def _cell(text: str) -> str:
    """The text of a cell, on one line and without what would end the cell."""
    return " ".join(text.replace("|", "/").split())
