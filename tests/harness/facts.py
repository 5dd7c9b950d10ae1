"""What a test waits for and reads from the database of a running cluster."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import asyncpg

from tests.harness.business import Business
from tests.harness.history import Violation
from tests.harness.invariants import violations
from tests.harness.wait import soon
from warouter.cluster.shardmap import ShardMap
from warouter.local.cluster import Cluster
from warouter.local.process import Process
from warouter.store import database
from warouter.store.nodes import read_map, read_nodes, read_term

# Slots whose cursors do not reach the end of their journals.
OPEN_CURSORS = """
select count(*) from (
    select 1 from send_cursor c
     where c.mark < (select max(m.seq) from message m where m.slot = c.slot)
    union all
    select 1 from event_cursor c
     where c.mark < (select max(e.seq) from event e where e.slot = c.slot and e.kind = c.kind)) o"""

_BEATS = """
select incarnation, counter from beat join node using (incarnation)
 where role = 'coreapp' and pid = any($1)"""

_LETTERS = "select count(*) from dead_letter"
_SEVEN_DAYS = """
update parked_event set first_at = first_at - interval '7 days'
 where first_at > now() - interval '7 days'"""


class Facts:
    """A connection of the test's own; it waits by LISTEN, never by sleeping."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Facts:
        self.connection: asyncpg.Connection = await database.connect(self.cluster.settings, "test")
        await database.listen(self.connection, lambda _what: self._changed.set())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()

    async def map(self) -> ShardMap:
        return await read_map(self.connection)

    async def until(self, holds: Any) -> ShardMap:
        """The first map for which ``holds(map)``; a lost hint is made good within 100 ms."""
        while True:
            self._changed.clear()
            current = await self.map()
            if holds(current):
                return current
            await self.hint(0.1)

    async def hint(self, seconds: float) -> None:
        """Until something may have changed, or for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    async def until_some(self, count: str) -> None:
        """Until the query counts something; what it counts sends no hint."""
        await soon(lambda: self.connection.fetchval(count))

    async def until_none(self, count: str) -> None:
        """Until the query counts nothing."""
        await self.until_some(f"select 1 where ({count}) = 0")

    async def until_letters(self, wanted: int) -> None:
        """Until there are so many dead letters, as if seven days had passed for what is parked.

        One that was being tried meanwhile is parked again with the times that its owner remembers:
        they are set back once more.
        """

        async def aged() -> bool:
            await self.connection.execute(_SEVEN_DAYS)
            letters: int = await self.connection.fetchval(_LETTERS)
            return letters == wanted

        await soon(aged)

    async def process_of(self, incarnation: UUID | None) -> Process:
        names = {n.incarnation: n.name for n in await read_nodes(self.connection)}
        return self.cluster.processes[names[incarnation].partition(":")[2]]

    async def leader(self) -> Process:
        return await self.process_of(await read_term(self.connection))

    async def wrong(self, business: Business) -> list[Violation]:
        """What breaks an invariant, once all has been called back."""
        history = business.history
        history.on_record(await business.record())
        history.on_owner_log(await self.owner_log())
        found = violations(history)
        if not found:
            await self.until_none(OPEN_CURSORS)  # or a journal could never be pruned
        return found

    async def owner_log(self) -> list[Any]:
        rows: list[Any] = await self.connection.fetch("select * from owner_log order by id")
        return rows


async def followed(facts: Facts) -> None:
    """Each coreapp hears of a change with its next beat, which may be on its way; none says so."""

    async def beats() -> dict[UUID, int]:
        # The row of one that was killed stays for a minute.
        pids = [p.pid for p in facts.cluster.processes.values() if p.alive]
        return dict(await facts.connection.fetch(_BEATS, pids))

    before = await beats()

    async def beaten() -> bool:
        now = await beats()
        # One that has begun meanwhile has read what is in force.
        return all(now[i] >= counter + 4 for i, counter in before.items() if i in now)

    await soon(beaten)


def handed_out_twice(*logs: list[Any]) -> list[tuple[int, int]]:
    """(slot, epoch) pairs that two incarnations were given."""
    holders: dict[tuple[int, int], set[UUID | None]] = {}
    for row in (row for log in logs for row in log):
        holders.setdefault((row["slot"], row["epoch"]), set()).add(row["to_incarnation"])
    return [pair for pair, owners in holders.items() if len(owners) > 1]
