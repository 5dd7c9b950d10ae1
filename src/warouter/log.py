"""Logging as JSON lines: constant event text, data as fields.

``bind`` adds fields (node, role, term, epoch) to every line of this process. What people say to
each other is nobody's business here: no body is logged, of what looks like a phone number only the
ends are, and of an id of Meta's, which holds one, letters that stand for it; but for a frame of the
upstream that nobody can read (upstream.broken). A field is of bounded length, whoever it came from.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import sys
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

FIELD_CHARS = 4_000
ERROR_CHARS = 16_000  # a traceback
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Digits of a number's length that stand alone: not within a name, an address or a time.
_NUMBER = re.compile(r"(?<![0-9A-Za-z_.:-])(\+?[0-9]{2})[0-9]{4,11}([0-9]{2})(?![0-9A-Za-z_.:-])")
# Ids that hold a whole number: Meta's, in base64, and ours of a number that has become known.
_TELLING = re.compile(r"wamid\.[0-9A-Za-z+/=_-]*|w1\.revealed\.[0-9]+\.[0-9]+")
_bound: dict[str, Any] = {}
_keys = [b"unknown yet"]  # until the database's is read, as a process starts


def bind(**fields: Any) -> None:
    """Add fields to every following line."""
    _bound.update(fields)


def of_number(number: int) -> dict[str, int]:
    """The field of a line about something of this number; none for number 1."""
    return {} if number == 1 else {"number": number}


def use_key(key: bytes) -> None:
    """Hash ids with this key from now on: all processes of a database show the same."""
    _keys[0] = key


def is_telling(message_id: str) -> bool:
    """True if an id holds somebody's number."""
    return _TELLING.match(message_id) is not None


def key_of_id(message_id: str) -> str:
    """Thirteen letters that stand for an id, and that nobody can make of it without the key."""
    digest = blake2b(message_id.encode(errors="replace"), key=_keys[0], digest_size=8).digest()
    return base64.b32encode(digest).decode().rstrip("=").lower()


def without_numbers(text: str) -> str:
    """A text in which each id that holds a number is the letters that stand for it."""
    return _TELLING.sub(lambda found: f"wamid-{key_of_id(found[0])}", text)


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
    """The loggable form of a value: ends of numbers, the size of bytes, the start of long texts."""
    match value:
        case str():
            text = _NUMBER.sub(r"\1...\2", without_numbers(value[:most]))
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
