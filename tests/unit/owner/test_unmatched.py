"""For how long an owner looks for statuses of nobody."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from tests.harness.patch import patched
from warouter.cluster.role import SlotEvent
from warouter.flow.doubt import DoubtState
from warouter.flow.issues import Issue
from warouter.flow.windows import BASE_SECONDS, Wait, Windows
from warouter.owner.cloud import unmatched
from warouter.owner.cloud.unmatched import REST_SECONDS, Unmatched
from warouter.owner.slot import OwnedSlot
from warouter.store.journal.inbox import Nobodys


def looks(*, slots: int, seconds: float, base: float = BASE_SECONDS) -> int:
    """How often an owner that has nothing out looks within so long after it took over."""
    now, found = [100.0], []

    async def match(owned: Any, _seconds: float, _limit: int) -> list[Any]:
        found.append(owned)
        return []

    async def sleep(pause: float) -> None:
        now[0] += pause
        if now[0] > 100.0 + seconds:
            raise asyncio.CancelledError

    owned = {n: OwnedSlot(n, 1) for n in range(slots)}
    for slot in owned.values():
        slot.happened(SlotEvent.OPENED)
    ownership: Any = SimpleNamespace(slots=owned)
    journal: Any = SimpleNamespace(match=match)
    clock, windows = lambda: now[0], Windows(base)
    looking = Unmatched(ownership, journal, lambda at: at, lambda: 0, clock, windows)
    slept = [(unmatched, "asyncio", SimpleNamespace(sleep=sleep))]
    with patched(slept), suppress(asyncio.CancelledError):
        asyncio.run(looking.run())
    return len(found)


def test_a_new_owner_looks_for_what_those_before_it_had_out() -> None:
    assert looks(slots=1, seconds=10.0)


def test_the_search_rests_when_no_request_is_out() -> None:
    assert looks(slots=1, seconds=10 * REST_SECONDS) <= REST_SECONDS / unmatched.LOOK_SECONDS + 1
    assert not looks(slots=0, seconds=10.0)


def test_the_search_looks_twice_before_the_shortest_window_ends() -> None:
    """A failure is of somebody at the second look: with short windows that came too late."""
    for base in (2.0, 10.0, BASE_SECONDS, 600.0):
        window = Windows(base).of(Wait.AUTHENTICATION).ends
        assert looks(slots=1, seconds=window / 5, base=base) >= 2


@pytest.mark.parametrize(
    ("left", "recorded", "on_disk", "found"),
    [
        (False, 0, False, True),
        (True, 0, False, False),  # an earlier message ended, and that is not on disk yet
        (True, 1, True, False),
        (True, 1, False, True),  # it was, and it is over
    ],
)
async def test_a_failure_that_may_be_of_a_message_that_has_ended_is_of_nobody(
    *, left: bool, recorded: int, on_disk: bool, found: bool
) -> None:
    to, matched = "4915100000000", []
    failure = Nobodys("key", "wamid.1", to, b'{"timestamp":"4000000000"}')

    async def match(*_: Any) -> list[Nobodys]:
        return [failure]

    async def unheard(_recipients: Any) -> bool:
        return on_disk

    async def note(_owned: Any, key: str, *_place: Any) -> None:
        matched.append(key)

    slot = OwnedSlot(3, 1)
    slot.happened(SlotEvent.OPENED)
    issue = slot.issues[bytes(20)] = Issue(7, bytes(20), to)
    issue.state, issue.begun = DoubtState.DOUBT, 90.0
    if left:
        slot.leave_unheard(Issue(6, bytes(20), to), 1)
    slot.recorded = recorded
    ownership: Any = SimpleNamespace(slots={3: slot})
    journal: Any = SimpleNamespace(match=match, unheard=unheard, matched=note)
    looking = Unmatched(ownership, journal, lambda at: at, lambda: 0, lambda: 100.0, Windows())
    for _ in range(2):
        await looking.look()
    assert bool(matched) is found
