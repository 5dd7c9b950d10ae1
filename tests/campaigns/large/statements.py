"""What is asked of each table while it is large, and how long it may take."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import asyncpg

from tests.campaigns.large.tables import EPOCH, SLOT
from warouter.config import Settings
from warouter.flow.parking import LEAD_ROWS
from warouter.link.wire import Key
from warouter.message_id import text_of
from warouter.store import history
from warouter.store.account.contacts import ContactStore
from warouter.store.account.logins import Logins
from warouter.store.audit import Audit, read_audit
from warouter.store.bounded import fetcher
from warouter.store.dead_letters import Selection, count, find
from warouter.store.election import LeaderSession
from warouter.store.journal import EventRow, Journal, Row
from warouter.store.journal.progress import Wire
from warouter.store.views import stats, status
from warouter.store.views.trace import read_trace

ME = UUID(int=6)
OWNED = {SLOT: EPOCH}
DAY = 86_400.0
# Seconds: owners and leaders give up after 1 to 2, readers after 5, a person at a shell waits.
OWNER, READER, PERSON = 1.0, 4.0, 9.0
Run = Callable[[], Awaitable[Any]]


class Case(NamedTuple):
    """One statement, or one function of the store."""

    table: str
    name: str
    run: Run
    most: float


class Bench:
    """Everything that is asked, as whom it is asked."""

    def __init__(self, settings: Settings, pool: asyncpg.Pool, rows: int) -> None:
        self.rows = rows
        self.pool = pool
        self.journal = Journal(settings, ME, "large")
        self.leader = LeaderSession(settings, ME, "leader")
        self._seq = rows

    async def close(self) -> None:
        await self.journal.close()
        await self.leader.close()

    def cases(self) -> list[Case]:
        return [*self._messages(), *self._events(), *self._rest()]

    def _messages(self) -> list[Case]:
        journal, half = self.journal, self.rows // 2
        recipients = [str(491500000000 + n) for n in range(half, half + 500)]
        few = [*recipients[:19], "491400000000"]
        place = {"slot": SLOT, "attempts": 2, "reason": "r"}
        park = [{**place, "seq": n, "delay_ms": 1000} for n in range(100, 164)]
        return [
            Case("message", "open_slots", lambda: journal.open(OWNED), OWNER),
            Case("message", "page", lambda: journal.page(SLOT, half, 1 << 40, 500, 1 << 20), OWNER),
            Case("message", "append 500", lambda: journal.append(OWNED, self._new(500)), OWNER),
            Case(
                "message", "append 500 known", lambda: journal.append(OWNED, self._known()), OWNER
            ),
            Case("message", "prune 500", lambda: journal.prune(OWNED, 30.0, 500), OWNER),
            Case("message", "trace", self._trace, READER),
            Case("message", "backlog", lambda: self.pool.fetch(status.BACKLOG_SQL), READER),
            Case("parked_message", "page", lambda: journal.parked([SLOT], DAY, 100), OWNER),
            Case(
                "parked_message",
                "among 500",
                lambda: journal.parked_among(SLOT, recipients, DAY),
                OWNER,
            ),
            Case("parked_message", "take up 20", lambda: journal.parked_of(SLOT, few, 4), OWNER),
            Case("parked_message", "park 64", lambda: self._record(park=park), OWNER),
            Case("parked_message", "unpark 64", lambda: self._record(unpark=park), OWNER),
            Case("parked_message", "lead 1000", self._lead, OWNER),
            Case("parked_message", "mend", lambda: journal.mend_parked(OWNED, 500), OWNER),
            Case("parked_message", "status", lambda: self.pool.fetch(status.PARKED_SQL), READER),
            Case("parked_message", "next seq", lambda: journal.open(OWNED), OWNER),
        ]

    def _events(self) -> list[Case]:
        journal, half = self.journal, self.rows // 2
        ids = [str(n) for n in range(half, half + 500)]
        recipients = [str(491500000000 + n) for n in range(half, half + 500)]
        place = {"slot": SLOT, "kind": 0, "attempts": 2, "reason": "r"}
        park = [{**place, "seq": n, "delay_ms": 1000} for n in range(100, 164)]
        return [
            Case(
                "event",
                "page",
                lambda: journal.event_page(SLOT, 0, half, 1 << 40, 500, 1 << 20),
                OWNER,
            ),
            Case("event", "append 500", lambda: self._append_events(), OWNER),
            Case("event", "with status 500", lambda: journal.with_status(ids), OWNER),
            Case("event", "prune 500", lambda: journal.prune(OWNED, 30.0, 500), OWNER),
            Case("event", "backlog", lambda: self.pool.fetch(status.CALLBACKS_SQL), READER),
            Case("parked_event", "page", lambda: journal.parked_events([(SLOT, 0)], 100), OWNER),
            Case(
                "parked_event",
                "among 500",
                lambda: journal.parked_events_among(SLOT, 0, recipients),
                OWNER,
            ),
            Case(
                "parked_event",
                "take up one",
                lambda: journal.parked_events_of(SLOT, "491400000000", 0, 100),
                OWNER,
            ),
            Case("parked_event", "park 64", lambda: self._record(park_events=park), OWNER),
            Case("parked_event", "unpark 64", lambda: self._record(unpark_events=park), OWNER),
            Case("parked_event", "lead 1000", self._lead, OWNER),
            Case("parked_event", "mend", lambda: journal.mend_parked(OWNED, 500), OWNER),
            Case(
                "parked_event",
                "status",
                lambda: self.pool.fetch(status.PARKED_EVENTS_SQL),
                READER,
            ),
            Case("dead_letter", "status", lambda: self.pool.fetch(status.DEAD_SQL), READER),
            Case("dead_letter", "asked", lambda: journal.asked_letters([SLOT]), OWNER),
            Case("dead_letter", "take up 500", self._take_up, OWNER),
            Case("dead_letter", "list 50", lambda: find(self.pool, Selection(), 50), READER),
            Case("dead_letter", "count", lambda: count(self.pool, Selection()), PERSON),
            Case(
                "dead_letter",
                "prune 500",
                lambda: history.prune_letters(fetcher(self.pool), 365.0, 500),
                OWNER,
            ),
        ]

    def _rest(self) -> list[Case]:
        journal, fetch = self.journal, fetcher(self.pool)
        forget = lambda: history.prune_history(fetch, 30.0, 500)  # noqa: E731
        contacts, audit, logins = ContactStore(self.pool), Audit(self.pool), Logins(self.pool)
        return [
            Case("request_key", "append 100", lambda: journal.append(OWNED, self._keyed()), OWNER),
            Case("request_key", "prune 500", lambda: journal.prune_keys([SLOT], 500), OWNER),
            Case("owner_log", "leader's look", self.leader.look, OWNER),
            Case("owner_log", "statistics", self._statistics, READER),
            Case("owner_log", "prune 500", forget, OWNER),
            Case("shard_request", "leader's look", self.leader.look, OWNER),
            Case("shard_request", "prune 500", forget, OWNER),
            Case("contact", "known", lambda: contacts.known(["491500000001"]), READER),
            Case("contact", "prune 500", forget, OWNER),
            Case("contact", "prune the rest", forget, OWNER),
            Case("audit", "begin", lambda: audit.begin("a", "b", "c"), READER),
            Case("audit", "latest", lambda: read_audit(self.pool, 50), READER),
            Case("attempt", "look", lambda: logins.look("user", "u1", "::1", None), READER),
            Case("attempt", "failed", lambda: self._fail(logins), READER),
        ]

    def _new(self, count: int) -> list[Row]:
        first, self._seq = self._seq + 1, self._seq + count
        return [_row(n) for n in range(first, self._seq + 1)]

    def _known(self) -> list[Row]:
        return [row._replace(id=_row(n + 1000).id) for n, row in enumerate(self._new(500))]

    def _keyed(self) -> list[Row]:
        return [row._replace(key=Key(uuid4().bytes * 2, bytes(32))) for row in self._new(100)]

    async def _append_events(self) -> None:
        first, self._seq = self._seq + 1, self._seq + 500
        rows = [
            EventRow(SLOT, n, 0, f"{n}:read:1", "4915", b"{}", None)
            for n in range(first, self._seq + 1)
        ]
        await self.journal.append_events(OWNED, rows)

    async def _record(self, **rare: Any) -> None:
        assert await self.journal.write(OWNED, Wire({}, {}, rare)) == {SLOT}

    async def _trace(self) -> None:
        async with self.pool.acquire() as connection:
            assert await read_trace(connection, text_of(_row(5_000).id))

    async def _take_up(self) -> None:
        ask = "update dead_letter set asked_at = now() where slot = $1 and seq between 1 and 400"
        await self.pool.execute(ask, SLOT)
        await self.journal.take_up_letters(OWNED, 0.0, 500)

    async def _lead(self) -> None:
        assert await self.journal.lead_parked(OWNED, LEAD_ROWS, 0.0)

    async def _statistics(self) -> None:
        await stats.Statistics(self.pool).cluster()

    async def _fail(self, logins: Logins) -> None:
        await logins.failed(await logins.look("user", "u1", "::1", None))


def _row(seq: int) -> Row:
    return Row(SLOT, seq, bytes((1, SLOT)) + seq.to_bytes(18, "big"), "4915112345678", 0, b"{}")
