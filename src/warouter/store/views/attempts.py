"""The requests of one message to the Cloud API: how many, and what is known of each."""

from __future__ import annotations

from typing import Any

import msgspec

from warouter.flow.causes import word_of
from warouter.store.database import Source
from warouter.store.journal.issues import IN_DOUBT, KEPT
from warouter.store.views.doubts import STATES, iso

ISSUE_SQL = "select attempt, state, cause, at from send_issue where id = $1"
EVIDENCE_SQL = """
select wamid, attempt, at from upstream_id where id = $1 order by attempt, at, wamid"""


class OpenDoubt(msgspec.Struct, frozen=True):
    """A doubt whether the Cloud API took the last request; ``since`` is UTC."""

    cause: str
    since: str


class Evidence(msgspec.Struct, frozen=True):
    """A request that was taken: the id that it was given, recorded ``at`` (UTC)."""

    wamid: str
    attempt: int
    at: str


class Attempts(msgspec.Struct, frozen=True, omit_defaults=True):
    """``attempts`` have been made. ``state``: one of STATES, or settled.

    ``held`` is since when an operator is asked. ``duplicates`` were taken beside the first.
    """

    attempts: int
    state: str
    doubt: OpenDoubt | None = None
    held: str | None = None
    evidence: list[Evidence] = []
    duplicates: int = 0


async def read_attempts(connection: Source, message_id: bytes) -> Attempts | None:
    """Read the requests for a message; None if none is on record."""
    issue = await connection.fetchrow(ISSUE_SQL, message_id)
    taken = [
        Evidence(row["wamid"], row["attempt"], iso(row["at"]))
        for row in await connection.fetch(EVIDENCE_SQL, message_id)
    ]
    if issue is None and not taken:
        return None
    made = [each.attempt for each in taken]
    return Attempts(
        max([issue["attempt"], *made] if issue else made),
        STATES[issue["state"]] if issue else "settled",
        doubt=_doubt(issue),
        held=iso(issue["at"]) if issue and issue["state"] == KEPT else None,
        evidence=taken,
        duplicates=max(0, len(taken) - 1),
    )


def _doubt(issue: Any) -> OpenDoubt | None:
    if issue is None or issue["state"] not in IN_DOUBT:
        return None
    return OpenDoubt(word_of(issue["cause"] or ""), iso(issue["at"]))
