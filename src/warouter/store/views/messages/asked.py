"""A search for messages as people write it, in a URL or at a shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime

from warouter.recipient import wa_id
from warouter.store.views.messages.found import DIRECTIONS, KINDS, LIMIT, MOST, STATES, Search, iso
from warouter.store.views.messages.newest import MOST_MS, place_of

# The fields, and what each is called at a shell.
OPTIONS = {
    "id": "--id",
    "number": "--to",
    "direction": "--direction",
    "state": "--state",
    "kind": "--kind",
    "code": "--code",
    "since": "--since",
    "until": "--until",
    "older": "--older",
    "limit": "--limit",
}
_SPAN = re.compile(r"(\d{1,6}) ?(s|min|m|h|d)")
_SECONDS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400}
_MOST_ID, _MOST_CODE = 1000, 9_999_999


def search_of(fields: Mapping[str, str], now: datetime) -> Search:
    """The search of these fields; raises ValueError with a sentence. Empty ones ask for nothing.

    ``state`` and ``kind`` may have several words with commas between them. A time is ISO 8601, of
    UTC unless it says another zone, or a span before ``now`` such as ``15m``.
    """
    given = {name: text for name in OPTIONS if (text := fields.get(name, "").strip())}
    older = given.get("older")
    return Search(
        message_id=_short(given.get("id", ""), _MOST_ID, "an id"),
        number=wa_id(given["number"]) if "number" in given else "",
        direction=one_of("direction", given.get("direction", ""), DIRECTIONS),
        states=words_of("state", given.get("state", ""), STATES),
        kinds=words_of("kind", given.get("kind", ""), tuple(KINDS)),
        since=time_of(given.get("since"), now),
        until=time_of(given.get("until"), now),
        code=number_of("an error code", given.get("code"), 0, _MOST_CODE),
        older=None if older is None else place_of(older),
        limit=number_of("a number of messages", given.get("limit"), 1, MOST) or LIMIT,
    )


def absolute(fields: Mapping[str, str], search: Search) -> dict[str, str]:
    """The fields with times that still mean the same tomorrow."""
    times = {"since": search.since, "until": search.until}
    spans = {
        name: ms for name, ms in times.items() if _SPAN.fullmatch(fields.get(name, "").strip())
    }
    return {**fields, **{name: iso(ms) for name, ms in spans.items() if ms is not None}}


def command_of(fields: Mapping[str, str]) -> str:
    """The command that finds the same."""
    words = ["warouter", "messages"]
    for name, option in OPTIONS.items():
        if text := fields.get(name, "").strip():
            words += [option, text]
    return shlex.join(words)


def words_of(name: str, text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The known words of a text that has commas between them; raises ValueError with a sentence."""
    words = [word.strip().replace("_", " ") for word in text.split(",") if word.strip()]
    spelled = {one.replace("_", " "): one for one in known}
    return tuple(dict.fromkeys(spelled[one_of(name, word, tuple(spelled))] for word in words))


def one_of(name: str, text: str, known: tuple[str, ...]) -> str:
    """The text itself if it is empty or known; raises ValueError with a sentence."""
    if text and text not in known:
        raise ValueError(f"{text[:40]!r} is no {name}: {', '.join(known)}.")
    return text


def _short(text: str, most: int, what: str) -> str:
    if len(text) > most:
        raise ValueError(f"{what} has at most {most} characters")
    return text


def number_of(what: str, text: str | None, least: int, most: int) -> int | None:
    """The number that a text names within its bounds; raises ValueError with a sentence."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise ValueError(f"{text[:40]!r} is not {what} from {least} to {most}.")
    return int(text)


def time_of(text: str | None, now: datetime) -> int | None:
    """The unix ms of a time, or of a span before ``now``; raises ValueError with a sentence."""
    if text is None:
        return None
    span = _SPAN.fullmatch(text)
    if span is not None:
        return max(0, int(now.timestamp() * 1000) - int(span[1]) * _SECONDS[span[2]] * 1000)
    try:
        read = datetime.fromisoformat(text)
        at = read.replace(tzinfo=UTC) if read.tzinfo is None else read
        return min(max(int(at.timestamp() * 1000), 0), MOST_MS)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text[:40]!r} is no time, such as 2026-11-29T14:05 (UTC), or 15m, 2h, 1d ago."
        ) from None
