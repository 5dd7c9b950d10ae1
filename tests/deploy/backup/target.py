"""The time to which the database goes back, and what of the history was before and after it."""

from __future__ import annotations

import asyncio
import time
from typing import Any, NamedTuple

import asyncpg

from tests.deploy.backup.server import Server
from tests.harness.history import History
from warouter import message_id

_STORED = """
select array_agg(id) from unnest($1::bytea[]) as given(id)
 where exists (select from message m where m.id = given.id)"""


class Target(NamedTuple):
    """``text`` is the time as the database's clock showed it, between ``asked`` and ``answered`` of
    this one's.
    """

    text: str
    asked: float
    answered: float


class Sides(NamedTuple):
    """Ids that were acknowledged, by when. Those that were under way at the target are in neither:
    what became of them depends on which of two commits came first.
    """

    before: set[str]
    after: set[str]


async def now(server: Server) -> Target:
    asked = time.monotonic()
    text = await asyncio.to_thread(server.sql, "select clock_timestamp()")
    return Target(text, asked, time.monotonic())


def sides(history: History, target: Target, disaster: float) -> Sides:
    """``disaster`` is when the database died: what was not answered by then may be tried again."""
    before, after = set(), set()
    for name, number in history.number.items():
        if history.answered[number] < target.asked:
            before.add(name)
        elif history.began[number] > target.answered and history.answered[number] < disaster:
            after.add(name)
    return Sides(before, after)


async def stored(connection: asyncpg.Connection, ids: set[str]) -> set[str]:
    """Those of them that the database has."""
    found: Any = await connection.fetchval(_STORED, [message_id.parse(i) for i in ids])
    return {message_id.text_of(i) for i in found or ()}
