"""What evidence has ended does not end by its age as well."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from warouter.flow.issues import Issue, Issues
from warouter.flow.lanes import Entry
from warouter.owner.expiry import Expiry

LATE = Entry(7, bytes(20), "4915100000000", 0, b"{}", parked=True, expires=1.0, timed=True)


def _ended(issues: Issues) -> tuple[list[Any], list[Entry]]:
    """The events that say so, and what was settled without one."""
    said: list[Any] = []
    settled: list[Entry] = []

    async def with_status(_names: object) -> set[str]:
        return set()

    expiry = Expiry(
        SimpleNamespace(with_status=with_status),  # type: ignore[arg-type]
        SimpleNamespace(store=lambda _slot, event, _ending: said.append(event)),  # type: ignore[arg-type]
        lambda: 10.0,
        3600.0,
    )
    slot: Any = SimpleNamespace(slot=3, open=True, opened_at=0.0, issues=issues)
    settling = SimpleNamespace(ended=lambda _slot, entry: settled.append(entry))
    asyncio.run(expiry.end(slot, [LATE], settling))
    return said, settled


def test_a_message_that_was_proven_taken_is_settled_and_not_said_to_have_expired() -> None:
    issues = Issues()
    issues.prove(LATE.id)
    assert _ended(issues) == ([], [LATE])


def test_one_that_was_issued_counts_as_failed_while_that_is_being_written() -> None:
    """A status of it that is read meanwhile is not shown behind the failure."""
    issues = Issues()
    issues[LATE.id] = Issue(LATE.seq, LATE.id, LATE.recipient)
    said, settled = _ended(issues)
    assert (len(said), settled) == (1, [])
    assert LATE.id in issues.failed
