"""The steps of a message as a person reads them: what happened, when, where, and why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from warouter.store.views.attempts import Attempts
from warouter.store.views.status import numbered
from warouter.store.views.trace import Callback, Step, Trace
from warouter.upstream.causes import BECOMES, Cause, known_codes, shown_place

# A due time is told to this many seconds: it is read anew each second, and shall not tremble.
_ROUND_SECONDS = 5
_CALLBACKS = {"settled": "good", "waiting": "off", "parked": "warn", "dead letter": "bad"}
_LEVELS = {"failed": "bad", "parked": "warn", "sent": "good", "delivered": "good", "read": "good"}
_WORDS = {
    "accepted": "accepted: on disk at the owner of its slot",
    "parked": "waits",
    "settled": "taken by the upstream, or ended: no status of it has come",
    "received": "received from the upstream",
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "failed": "failed",
}
_MEDIA = (
    "Before it is sent, the owner of its slot fetches its media and uploads it to the upstream."
)


class Explained(NamedTuple):
    """An error code explained: ``meta`` are the codes of Meta's that end in it."""

    code: int
    title: str
    causes: list[Cause]
    meta: list[tuple[str, str, str]]


class TimelineEntry(NamedTuple):
    """One step. ``after_s`` since the step before that has a time; ``due`` to some seconds."""

    name: str
    words: str
    level: str
    at: str | None
    after_s: float | None = None
    owner: str | None = None
    epoch: str = ""
    why: str = ""
    attempts: int = 0
    due: str | None = None
    callback: Callback | None = None
    callback_level: str = "off"
    callback_due: str | None = None
    explained: tuple[Explained, ...] = ()


def timeline(trace: Trace, now: float) -> list[TimelineEntry]:
    """Every known step, in its order; ``now`` is seconds since 1970."""
    entries: list[TimelineEntry] = []
    before: str | None = None
    for entry in _entries(trace, now):
        after = None
        if entry.at is not None:
            after = seconds_between(before, entry.at) if before is not None else None
            before = entry.at
        entries.append(entry._replace(after_s=after))
    return entries


def explain(code: int) -> Explained | None:
    """Explain a code in a status; None for one that v1 does not have."""
    found = next((known for known in known_codes() if known.code == code), None)
    if found is None:
        return None
    of_status = [cause for cause in found.causes if shown_place(cause).startswith("status")]
    meta = [(each.label, each.words, BECOMES[each.meaning.cls]) for each in found.meta]
    return Explained(code, found.title, of_status or found.causes, meta)


def seconds_between(before: str, after: str) -> float:
    """Never below zero: the clock of the database may have been set back."""
    span = datetime.fromisoformat(after) - datetime.fromisoformat(before)
    return max(0.0, span.total_seconds())


def _entries(trace: Trace, now: float) -> Iterator[TimelineEntry]:
    """The steps in the journals, with what is known of requests to the Cloud API in between."""
    own = [step for step in trace.steps if step.callback is None]
    later = [step for step in trace.steps if step.callback is not None]
    for step in own:
        if step.step != "settled":
            yield _entry(trace, step, now)
    if trace.cloud is not None:
        yield from _of_cloud(trace.cloud)
    for step in own:
        if step.step == "settled":
            yield _entry(trace, step, now)
    for step in later:
        yield _entry(trace, step, now)


def _of_cloud(cloud: Attempts) -> Iterator[TimelineEntry]:
    for each in cloud.evidence:
        words = f"attempt {each.attempt} was taken by the Cloud API"
        yield TimelineEntry(f"taken-{each.attempt}", words, "good", each.at, why=f"as {each.wamid}")
    if cloud.doubt is not None:
        words = "in doubt: nobody knows yet whether the Cloud API took the last request"
        yield TimelineEntry(
            "in-doubt",
            words,
            "warn",
            cloud.doubt.since,
            why=cloud.doubt.cause,
            attempts=cloud.attempts,
        )
    if cloud.held is not None:
        words = "held: an operator is asked what shall become of it"
        yield TimelineEntry("held", words, "warn", cloud.held, attempts=cloud.attempts)


def _entry(trace: Trace, step: Step, now: float) -> TimelineEntry:
    callback = step.callback
    media = _MEDIA if step.step == "accepted" and trace.media else ""
    return TimelineEntry(
        name=step.step,
        words=_words(trace, step),
        level=_LEVELS.get(step.step, "off"),
        at=step.at,
        owner=step.owner,
        epoch="" if step.epoch is None else numbered(step.epoch),
        why=step.reason or media,
        attempts=step.attempts or 0,
        due=_due(step.due_in_s, now),
        callback=callback,
        callback_level="off" if callback is None else _CALLBACKS.get(callback.state, "off"),
        callback_due=None if callback is None else _due(callback.due_in_s, now),
        explained=tuple(found for code in step.codes if (found := explain(code)) is not None),
    )


def _words(trace: Trace, step: Step) -> str:
    statuses = {each.step for each in trace.steps if each.callback is not None}
    if step.step == "settled" and statuses:
        return "ended" if statuses == {"failed"} else "taken by the upstream"
    return _WORDS.get(step.step, step.step)


def _due(due_in_s: float | None, now: float) -> str | None:
    if due_in_s is None or due_in_s <= 0:
        return None
    at = round((now + due_in_s) / _ROUND_SECONDS) * _ROUND_SECONDS
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
