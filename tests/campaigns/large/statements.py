"""What is asked of each table while it is large, and how long it may take."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count as count_up
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import asyncpg

from tests.campaigns.large.tables import EPOCH, SLOT
from tests.harness.cloud_number import some_number
from tests.harness.journals import row
from warouter._hash import slot_of
from warouter.access.token import hash_of
from warouter.config import Settings
from warouter.flow.aside import AsideStretch
from warouter.flow.event import EventRow
from warouter.link.wire import IdempotencyKey, Message
from warouter.message_id import text_of
from warouter.store import history
from warouter.store.account.contacts import ContactStore
from warouter.store.account.keys import Keys, NewKey
from warouter.store.account.logins import Logins
from warouter.store.audit import Audit
from warouter.store.bounded import fetcher
from warouter.store.cloud.receive import WebhookInbox
from warouter.store.dead_letters import Selection, count, find
from warouter.store.election import LeaderSession
from warouter.store.journal import Journal, Stretch
from warouter.store.journal.inbox import Proof
from warouter.store.journal.issues import IssueRequest
from warouter.store.journal.progress import ProgressColumns
from warouter.store.views import backlog, doubts, stats
from warouter.store.views.audit import read_audit
from warouter.store.views.messages.found import LOOKED_AT, Search
from warouter.store.views.messages.newest import place_of_id
from warouter.store.views.messages.read import read_messages
from warouter.store.views.trace import read_trace
from warouter.upstream.cloud.batch import INBOUND, STATUS, Element

ME = UUID(int=6)
OWNED = {SLOT: EPOCH}
DAY = 86_400.0
FLAGGED = AsideStretch(0, 1 << 40, True, 50)
# Seconds: owners and leaders give up after 1 to 2, readers after 5, a person at a shell waits.
OWNER, READER, PERSON = 1.0, 4.0, 9.0
LIVE = 0.3  # of what a console reads again each second
CROWDED = "491400000000"  # the recipient with many rows
FEW = next(str(n) for n in count_up(491600000000) if slot_of(str(n)) == SLOT)
Run = Callable[[], Awaitable[Any]]
Asked = dict[str, tuple[float, Run]]  # statements of a table by name: how long one may take


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
        self.webhooks = WebhookInbox(settings, "webhooks", ME, "alias", {1: some_number()})
        self._seq = rows

    async def close(self) -> None:
        await self.webhooks.close()
        await self.journal.close()
        await self.leader.close()

    def cases(self) -> list[Case]:
        journal, pool, fetch, half = self.journal, self.pool, fetcher(self.pool), self.rows // 2
        contacts, audit, logins = ContactStore(pool), Audit(pool), Logins(pool)
        ids = [str(n) for n in range(half, half + 500)]
        many = [str(491500000000 + n) for n in range(half, half + 500)]
        few = [*many[:19], CROWDED]
        late_rows = [Stretch(SLOT, half, 1 << 40)]
        keys = Keys(pool)
        hashes = [hash_of(str(n)) for n in range(half, half + 100)]
        rows = [_row(half + n) for n in range(100)]
        # Every other one of them is of nobody.
        wamids = [(1 + n % 2, f"wamid.{half + n}") for n in range(100)]
        place = {"slot": SLOT, "attempts": 2, "reason": "r"}
        park = [{**place, "seq": n, "delay_ms": 1000} for n in range(100, 164)]
        park_events = [{**row, "kind": 0} for row in park]
        late = [{**row, "seq": half + n} for n, row in enumerate(park_events)]
        stated = {"slot": SLOT, "attempt": 1, "doubts": 1, "spared": 0, "state": 5, "cause": "c"}
        states = [{**stated, "seq": n, "look_ms": 60_000} for n in range(103, 167)]
        prune = lambda: journal.prune(OWNED, 30.0, 500)  # noqa: E731
        forget = lambda: history.prune_history(fetch, 30.0, 500)  # noqa: E731
        prune_cloud = lambda: history.prune_cloud(fetch, 30.0, 500)  # noqa: E731
        tables: dict[str, Asked] = {
            "message": {
                "open_slots": (OWNER, lambda: journal.open(OWNED)),
                "page": (OWNER, lambda: journal.pages(late_rows, 500, 1 << 20)),
                "aside page": (OWNER, lambda: journal.aside_page(SLOT, 2, FLAGGED, 1 << 16)),
                "append 500": (OWNER, lambda: journal.append(OWNED, self._new(500))),
                "append 500 known": (OWNER, lambda: journal.append(OWNED, self._known())),
                "park 64": (OWNER, lambda: self._record(park=park)),
                "prune 500": (OWNER, prune),
                "trace": (READER, self._trace),
                "backlog": (READER, lambda: pool.fetch(backlog.BACKLOG_SQL)),
                **self._listings(states=("failed",)),
            },
            "parked_message": {
                "page": (OWNER, lambda: journal.parked([SLOT], DAY, 100)),
                "among 500": (OWNER, lambda: journal.parked_among(SLOT, many, DAY)),
                "take up 20": (OWNER, lambda: journal.parked_of(SLOT, few, 4)),
                "park 64": (OWNER, lambda: self._record(park=park)),
                "unpark 64": (OWNER, lambda: self._record(unpark=park)),
                "mend": (OWNER, lambda: journal.mend_parked(OWNED, 500)),
                "status": (READER, lambda: pool.fetch(backlog.PARKED_SQL)),
                **self._listings(states=("parked",)),
                "next seq": (OWNER, lambda: journal.open(OWNED)),
                "prune 500": (OWNER, prune),
            },
            "send_issue": {
                "open": (OWNER, lambda: journal.open_issues(OWNED)),
                "due 1,100": (OWNER, lambda: journal.due_issues({SLOT: 1_100})),
                "page": (OWNER, lambda: journal.pages(late_rows, 500, 1 << 20)),
                "issue 100": (OWNER, lambda: journal.issue(OWNED, self._requests())),
                "state 64": (OWNER, lambda: self._record(issues=states)),
                "end 64": (OWNER, lambda: self._record(unissue=states)),
                "status": (READER, lambda: pool.fetch(doubts.CLOUD_SQL, 1)),
            },
            "event": {
                "page": (OWNER, lambda: journal.event_pages(0, late_rows, 500, 1 << 20)),
                "append 500": (OWNER, self._append_events),
                "with status 500": (OWNER, lambda: journal.with_status(ids)),
                "park 64": (OWNER, lambda: self._record(park_events=park_events)),
                "give up 64": (OWNER, lambda: self._record(dead=late)),
                "prune 500": (OWNER, prune),
                "backlog": (READER, lambda: pool.fetch(backlog.CALLBACKS_SQL)),
                **self._listings(direction="in"),
            },
            "parked_event": {
                "page": (OWNER, lambda: journal.parked_events([(SLOT, 0)], 100)),
                "among 500": (OWNER, lambda: journal.parked_events_among(SLOT, 0, many)),
                "take up one": (OWNER, lambda: journal.parked_events_of(SLOT, CROWDED, 0, 100)),
                "park 64": (OWNER, lambda: self._record(park_events=park_events)),
                "unpark 64": (OWNER, lambda: self._record(unpark_events=park_events)),
                "mend": (OWNER, lambda: journal.mend_parked(OWNED, 500)),
                "status": (READER, lambda: pool.fetch(backlog.PARKED_EVENTS_SQL)),
                "prune 500": (OWNER, prune),
            },
            "dead_letter": {
                "status": (READER, lambda: pool.fetch(backlog.DEAD_SQL)),
                "asked": (OWNER, lambda: journal.asked_letters([SLOT])),
                "take up 500": (OWNER, self._take_up),
                "list 50": (READER, lambda: find(pool, Selection(), 50)),
                "count": (PERSON, lambda: count(pool, Selection())),
                "prune 500": (OWNER, lambda: history.prune_letters(fetch, 365.0, 500)),
            },
            "request_key": {
                "append 100": (OWNER, lambda: journal.append(OWNED, self._keyed())),
                "prune 500": (OWNER, lambda: journal.prune_keys([SLOT], 500)),
            },
            "owner_log": {
                "leader's look": (OWNER, self.leader.look),
                "statistics": (READER, lambda: stats.Statistics(pool).cluster()),
                "prune 500": (OWNER, forget),
            },
            "shard_request": {
                "leader's look": (OWNER, self.leader.look),
                "prune 500": (OWNER, forget),
            },
            "contact": {
                "known": (READER, lambda: contacts.known(1, ["491500000001"])),
                "prune 500": (OWNER, forget),
                "prune the rest": (OWNER, forget),
            },
            "audit": {
                "begin": (READER, lambda: audit.begin("a", "b", "c")),
                "latest": (READER, lambda: read_audit(pool, 50)),
            },
            "api_key": {
                "holders 100": (READER, lambda: keys.holders(hashes)),
                "add": (READER, lambda: keys.add(7, _new_key())),
                "list 1,000": (READER, lambda: keys.listed(8)),
                "used 100": (READER, lambda: keys.used({key_id: 1.0 for key_id in range(1, 101)})),
            },
            "upstream_id": {
                "ids of 100": (OWNER, lambda: journal.ids_of(wamids)),
                "wamids of 100": (OWNER, lambda: journal.wamids_of([(1, m.id) for m in rows])),
                "way": (OWNER, lambda: journal.way(DAY, 60.0)),
                "prove 100": (OWNER, lambda: journal.drained(OWNED, [], self._proofs())),
                "prune 500": (OWNER, prune_cloud),
            },
            "cloud_inbox": {
                "page": (OWNER, lambda: journal.inbox([SLOT], range(1, 1_001), 500)),
                "receive 100": (OWNER, lambda: self._receive(INBOUND, "")),
                "drain 100": (OWNER, lambda: journal.drained(OWNED, range(half, half + 100), [])),
            },
            "cloud_unmatched": {
                "receive 100": (OWNER, lambda: self._receive(STATUS, ":sent")),
                "prune 500": (OWNER, prune_cloud),
            },
            "attempt": {
                "look": (READER, lambda: logins.look("user", "u1", "::1", None)),
                "failed": (READER, lambda: self._fail(logins)),
            },
        }
        return [
            Case(table, name, run, most)
            for table, asked in tables.items()
            for name, (most, run) in asked.items()
        ]

    def _next(self, count: int) -> range:
        first, self._seq = self._seq + 1, self._seq + count
        return range(first, self._seq + 1)

    def _new(self, count: int) -> list[Message]:
        return [_row(seq) for seq in self._next(count)]

    def _known(self) -> list[Message]:
        return [_row(seq, number=n + 1000) for n, seq in enumerate(self._next(500))]

    def _requests(self) -> list[IssueRequest]:
        """Messages whose first request nobody knows of, and which go again."""
        rows = [_row(n) for n in range(self.rows // 2, self.rows // 2 + 100)]
        return [IssueRequest(SLOT, row.seq, row.id, row.recipient, 2, 1) for row in rows]

    def _keyed(self) -> list[Message]:
        return [
            _row(seq, key=IdempotencyKey(uuid4().bytes * 2, bytes(32))) for seq in self._next(100)
        ]

    async def _append_events(self) -> None:
        first, self._seq = self._seq + 1, self._seq + 500
        rows = [
            EventRow(SLOT, n, 0, f"{n}:read:1", "4915", b"{}", None)
            for n in range(first, self._seq + 1)
        ]
        await self.journal.append_events(OWNED, rows)

    async def _receive(self, kind: int, of_status: str) -> None:
        """A webhook of 100 elements, half of which came to this number before."""
        first = self.rows - 100
        names = (f"wamid.{n}" for n in range(first, first + 200, 2))
        elements = [
            Element(kind=kind, key=name + of_status, wamid=name, raw=b"{}", wa_id=FEW)
            for name in names
        ]
        await self.webhooks.write(elements, None)

    def _proofs(self) -> list[Proof]:
        """What another hundred messages were called by Meta, half of which was known before."""
        ids = [_row(n).id for n in range(self.rows - 50, self.rows + 50)]
        return [Proof(f"wamid.of.{n}", SLOT, of, 2) for n, of in enumerate(ids)]

    async def _record(self, **rare: Any) -> None:
        assert await self.journal.write(OWNED, ProgressColumns({}, {}, rare)) == {SLOT}

    async def _trace(self) -> None:
        async with self.pool.acquire() as connection:
            assert await read_trace(connection, text_of(_row(5_000).id))

    def _listings(self, **fields: Any) -> Asked:
        """The list: the newest, of a number that has none, with these fields, and older ones."""
        half = place_of_id(_row(self.rows // 2).id)
        return {
            "list": (LIVE, lambda: self._list(Search())),
            "list of number": (READER, lambda: self._list(Search(number=FEW))),
            "list filtered": (READER, lambda: self._list(Search(**fields))),
            "list older": (LIVE, lambda: self._list(Search(older=half))),
        }

    async def _list(self, search: Search) -> None:
        async with self.pool.acquire() as connection:
            found = await read_messages(connection, search)
            assert found.looked_at <= LOOKED_AT

    async def _take_up(self) -> None:
        ask = "update dead_letter set asked_at = now() where slot = $1 and seq between 1 and 400"
        await self.pool.execute(ask, SLOT)
        await self.journal.take_up_letters(OWNED, 0.0, 500)

    async def _fail(self, logins: Logins) -> None:
        await logins.failed(await logins.look("user", "u1", "::1", None))


def _new_key() -> NewKey:
    return NewKey(uuid4().bytes * 2, "large", "wrk_", 1, "large")


def _row(seq: int, **more: Any) -> Message:
    return row(seq, SLOT, **more)
