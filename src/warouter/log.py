"""Logs: one JSON line an event, constant event text, data as fields.

``bind`` adds fields (node, role, term, epoch) to every line of this process.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_bound: dict[str, Any] = {}


def bind(**fields: Any) -> None:
    """Fields that every following line carries."""
    _bound.update(fields)


class JsonLines(logging.Formatter):
    """One line of JSON; control characters in data are escaped, so one event is one line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **_bound,
        }
        line.update((k, v) for k, v in vars(record).items() if k not in _PLAIN)
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=True)


def setup(level: str) -> None:
    """Log to standard error as JSON lines from ``level`` (a logging level's name) upwards."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
