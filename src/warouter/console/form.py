"""The fields of a form, and times of a filter, each within its bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from aiohttp import web

from warouter.console.visit import ConsoleRefusal

MOST_CHARS = 1_000
MOST_CHOSEN = 1_000  # of one field
MOST_FIELDS = 2_000
_YEARS = 2000, 2200  # everything here fits in between, whatever its zone
_ENCODED = "application/x-www-form-urlencoded"


async def fields_of(request: web.Request) -> dict[str, list[str]]:
    """The fields of a POST, as browsers send the forms of these pages; ConsoleRefusal for all else.

    Nothing is decompressed, and no file is taken.
    """
    if "Content-Encoding" in request.headers:
        raise ConsoleRefusal("A form is taken uncompressed only.", 415)
    if request.can_read_body and request.content_type != _ENCODED:
        raise ConsoleRefusal(f"A form is taken as {_ENCODED} only.", 415)
    body = await request.read()
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except UnicodeDecodeError as error:
        raise ConsoleRefusal("The form is not in UTF-8.") from error
    except ValueError as error:
        raise ConsoleRefusal(f"The form has more than {MOST_FIELDS} fields.") from error
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields


class Form:
    """The fields of a POST, by name; ``path`` has the placeholders of its path."""

    def __init__(
        self, fields: Mapping[str, Sequence[str]], path: Mapping[str, str] | None = None
    ) -> None:
        self._fields = fields
        self.path = path or {}
        # For an act that is refused: what it was about, and filters to keep in the URL.
        self.subject = ""
        self.kept: Mapping[str, str] = {}

    def text(self, name: str, most: int = MOST_CHARS, *, required: bool = True) -> str:
        """The field without the blanks around it; ConsoleRefusal if it is missing or too long."""
        values = self._fields.get(name, ())
        value = values[-1].strip() if values else ""
        if required and not value:
            raise ConsoleRefusal(f"{name} is required: fill it in.")
        if len(value) > most:
            raise ConsoleRefusal(f"{name} has {len(value)} characters: {most} at most.")
        return value

    def secret(self, name: str, most: int = MOST_CHARS) -> str:
        """The field as it was typed, blanks and all; "" if it is missing."""
        values = self._fields.get(name, ())
        value = values[-1] if values else ""
        if len(value) > most:
            raise ConsoleRefusal(f"{name} is too long: {most} characters at most.")
        return value

    def all(self, name: str, most: int = MOST_CHOSEN) -> list[str]:
        """Every value of the field: what was chosen of a list."""
        values = list(self._fields.get(name, ()))
        if len(values) > most:
            raise ConsoleRefusal(f"{len(values)} were chosen: {most} at most at a time.")
        return values

    def number(self, name: str, least: int, most: int) -> int:
        """A whole number; ConsoleRefusal if it is none or beyond its bounds."""
        value = self.text(name, 20)
        if not value.isascii() or not value.isdigit() or not least <= int(value) <= most:
            raise ConsoleRefusal(f"{name} must be a whole number from {least} to {most}.")
        return int(value)

    def names(self) -> list[str]:
        """The names of the fields that came."""
        return list(self._fields)


def moment(text: str) -> datetime | None:
    """A time of a filter, in UTC unless it says otherwise; None if none was given."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConsoleRefusal(f"{text[:40]} is no time: write it as 2026-11-29T12:03:11Z.") from None
    if not _YEARS[0] < found.year < _YEARS[1]:
        raise ConsoleRefusal(f"{text[:40]} is not of these times.")
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
