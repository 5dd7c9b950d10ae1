"""Logging as JSON lines: constant event text, data as fields.

``bind`` adds fields (node, role, term, epoch) to every line of this process. What people say to
each other is nobody's business here: no body is logged, and of what looks like a phone number only
the ends are; but for a frame of the upstream that nobody can read (upstream.broken). A field is of
bounded length, whoever it came from.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any

FIELD_CHARS = 4_000
ERROR_CHARS = 16_000  # a traceback
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Digits of a number's length that stand alone: not within a name, an address or a time.
_NUMBER = re.compile(r"(?<![0-9A-Za-z_.:-])(\+?[0-9]{2})[0-9]{4,11}([0-9]{2})(?![0-9A-Za-z_.:-])")
_bound: dict[str, Any] = {}


def bind(**fields: Any) -> None:
    """Add fields to every following line."""
    _bound.update(fields)


class Outage:
    """A failure that lasts over many attempts and is logged when it begins, not at each attempt."""

    def __init__(self) -> None:
        self.lasts = False

    def begins(self) -> bool:
        """An attempt failed. True if the one before it did not: then it is worth a line."""
        news, self.lasts = not self.lasts, True
        return news

    def ends(self) -> bool:
        """An attempt succeeded. True if the one before it failed."""
        news, self.lasts = self.lasts, False
        return news


class JsonLines(logging.Formatter):
    """Formats one event as one line of JSON; control characters in data are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **_bound,
        }
        line.update((k, shown(v)) for k, v in vars(record).items() if k not in _PLAIN)
        if record.exc_info:
            line["error"] = shown(self.formatException(record.exc_info), ERROR_CHARS)
        return json.dumps(line, default=lambda value: shown(str(value)), ensure_ascii=True)


def shown(value: Any, most: int = FIELD_CHARS) -> Any:
    """The loggable form of a value: the ends of numbers, the
    size of bytes, the start of long texts.
    """
    match value:
        case str():
            text = _NUMBER.sub(r"\1...\2", value[:most])
            return text if len(value) <= most else f"{text}..."
        case bytes() | bytearray() | memoryview():
            return f"{len(value)} bytes"
        case dict():
            return {str(shown(k)): shown(v, most) for k, v in value.items()}
        case list() | tuple() | set() | frozenset():
            return [shown(item, most) for item in value]
        case _:
            return value


def setup(level: str) -> None:
    """Log to standard error as JSON lines from ``level`` (a logging level's name) upwards."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
