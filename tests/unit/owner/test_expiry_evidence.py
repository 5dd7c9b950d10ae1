"""What evidence has ended does not end by its age as well."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tests.harness.patch import patched
from warouter.flow.issues import Issue, Issues
from warouter.flow.lanes import Entry
from warouter.message_id import minted_at, text_of
from warouter.owner import expiry as module
from warouter.owner.expiry import Expiry, Waiting

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


@pytest.mark.parametrize(
    ("age", "minted", "asked"),
    [(31, 31, False), (31, 5, True), (5, 31, False), (5, 5, False)],
)
def test_an_end_that_another_node_has_written_counts_where_this_clock_is_behind(
    age: int, minted: int, asked: bool
) -> None:
    """``age`` by the database's clock, ``minted`` by this node's; the ttl is 30 s."""
    looked: list[str] = []

    async def with_status(names: list[str]) -> set[str]:
        looked.extend(names)
        return set(names)

    journal: Any = SimpleNamespace(with_status=with_status)
    receipts: Any = None  # nothing is said
    expiry = Expiry(journal, receipts, lambda: 1000.0, 3600.0)
    slot: Any = SimpleNamespace(issues=Issues())
    with patched([(module, "wall", lambda: minted_at(LATE.id) + minted)]):
        asyncio.run(expiry.prove_disputed(slot, [Waiting(0, 30, age, LATE.id)]))
    assert looked == ([text_of(LATE.id)] if asked else [])
    assert (LATE.id in slot.issues.proven) == asked
