"""An owner whose upstream is the Cloud API, on a real PostgreSQL; what the Graph says is scripted.

A test sees every request that begins, answers it (or never does), puts webhooks into the inbox, and
moves the owner's clock. Everything between is the product's.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import asyncpg
import msgspec
from msgspec.structs import replace

from tests.harness import posting
from tests.harness.owned import EPOCH, ME, RECIPIENT, Slots, ended
from tests.harness.patch import patched
from tests.harness.wait import soon
from warouter.cloud_number import NumberCloud
from warouter.cluster.role import SlotEvent
from warouter.config import Settings
from warouter.link import wire
from warouter.link.wire import Message
from warouter.message_id import mint, text_of
from warouter.node import end_cloud
from warouter.node.end_cloud import CloudEnd
from warouter.owner.cloud.rows import ASKED
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import Journal
from warouter.upstream.cloud.batch import STATUS
from warouter.upstream.cloud.graph.connections import AHEAD
from warouter.upstream.cloud.graph.exchange import HELD_BACK, Exchanged, ExchangeOutcome, OnEnd
from warouter.upstream.cloud.reference import parse_reference

NUMBER = "105954558954427"
SLOT = 3
TOKEN_HASH = hashlib.sha256(b"token").digest()
STAMP = "1764000000"  # of each status
TEMPLATES, LANGUAGE = ("marketing", "authentication", "utility"), "en"
_numbers = itertools.count(1)


class Request:
    """One request that has begun. ``ref`` is (message id, attempt), as its reference says."""

    def __init__(self, body: bytes) -> None:
        self.body: dict[str, Any] = msgspec.json.decode(body)
        named = parse_reference(self.body.get("biz_opaque_callback_data", ""))
        self.ref: tuple[bytes, int] = named or (b"", 0)
        self.answer: asyncio.Future[Exchanged] = asyncio.get_running_loop().create_future()

    @property
    def id(self) -> bytes:
        return self.ref[0]

    @property
    def attempt(self) -> int:
        return self.ref[1]

    @property
    def wamid(self) -> str:
        """The id that the Graph gives it."""
        return f"wamid.{text_of(self.id)}.{self.attempt}"


Script = Callable[[Request], Exchanged | None]


def taken(request: Request) -> Exchanged:
    """200 with the wamid."""
    said = {"messages": [{"id": request.wamid}], "contacts": [{"wa_id": RECIPIENT}]}
    return _answered(200, said)


def held(request: Request) -> Exchanged:
    """200, and Meta waits with it."""
    status = "held_for_quality_assessment"
    return _answered(200, {"messages": [{"id": request.wamid, "message_status": status}]})


def success(_request: Request) -> Exchanged:
    """200, as a read mark is answered."""
    return _answered(200, {"success": True})


def refused(code: int, status: int = 400) -> Script:
    """An error of the Graph API with this code of Meta's."""
    return lambda _request: _answered(status, {"error": {"message": "no", "code": code}})


def cut(_request: Request) -> Exchanged:
    """The connection breaks before the answer: nobody knows."""
    return Exchanged(ExchangeOutcome.UNKNOWN, cause="connection lost")


def silent(_request: Request) -> None:
    """No answer before the test gives one by ``request.answer``."""


def _answered(status: int, said: Any) -> Exchanged:
    body = msgspec.json.encode(said)
    return Exchanged(ExchangeOutcome.ANSWERED, status, body, token_hash=TOKEN_HASH)


class ScriptedGraph:
    """Stands for ``GraphExchange``; ``script`` gives the answer to each request that has begun.

    While ``room`` is not set there is no connection; while it is ``unreachable`` none can be made.
    """

    late_writes = 0

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[Request] = []
        self.asked = 0  # posts, begun or not
        self.room = asyncio.Event()
        self.room.set()
        self.unreachable = False
        self.connections = SimpleNamespace(close=lambda: None, limit=AHEAD)

    def begin(
        self,
        _of: NumberCloud,
        body: bytes,
        may_begin: Callable[[], bool],
        on_end: OnEnd,
        edge: str = "messages",
    ) -> None:
        """As ``GraphExchange.begin``."""
        posting.begin(self._post(body, may_begin), on_end)

    async def _post(self, body: bytes, may_begin: Callable[[], bool]) -> Exchanged:
        self.asked += 1
        await asyncio.sleep(0)
        await self.room.wait()
        if self.unreachable:
            return Exchanged(ExchangeOutcome.UNBEGUN, cause="Connection refused")
        if not may_begin():
            return Exchanged(ExchangeOutcome.UNBEGUN, cause=HELD_BACK)
        request = Request(body)
        self.requests.append(request)
        answer = self.script(request)
        return answer if answer is not None else await request.answer

    def refs(self, of: bytes | None = None) -> list[tuple[bytes, int]]:
        """What has begun, in order; of one message only, if told."""
        return [r.ref for r in self.requests if of is None or r.id == of]

    def size(self, rate: float) -> None:
        """There are connections for any rate."""

    def warm_up(self, rate: float) -> None:
        """They are there when they are needed."""

    def cut(self) -> None:
        """Nothing is in any buffer here."""


class CloudSlots(Slots):
    """A coreapp for the Cloud API whose link, beats and share of the number nobody runs.

    ``proven`` is what is said of the way of webhooks.
    """

    end: CloudEnd

    def __init__(self, settings: Settings, graph: ScriptedGraph, journal: Any = None) -> None:
        self._ahead = 0.0
        self.graph = graph
        with patched([(end_cloud, "GraphExchange", lambda *_: graph)]):
            super().__init__(settings, journal=journal or Journal(settings, ME, "test"))
        self.proven = True
        vars(self.end._proving)["proven_at"] = lambda at: at if self.proven else math.inf
        self.end.pace.grant(10_000.0)
        self.hold_leases()

    def now(self) -> float:
        return super().now() + self._ahead

    def skip(self, seconds: float) -> None:
        """So much later by the owner's clock. Rows keep their ages by the database's."""
        self._ahead += seconds

    def loops(self) -> list[asyncio.Task[None]]:
        self.end._straight.hearing = self.hearing
        runs = [
            self.upstream.run(self.hearing),
            self.end.sender.requests.issuer.run(),
            self.end.sender.looks.run(self.ownership),
            self.end.drain.run(self.hearing),
        ]
        return [*super().loops(), *(asyncio.create_task(run) for run in runs)]

    @property
    def slot(self) -> OwnedSlot:
        """The one of the table, as it is open now."""
        return self.ownership.slots[SLOT]

    def message(self, recipient: str = RECIPIENT, **more: Any) -> bytes:
        """Offer a text, as a webapp does; returns its id. ``kind``, ``ttl`` and ``number`` as the
        link has them, ``body`` instead of a text.
        """
        text = {"to": recipient, "type": "text", "text": {"body": "hi"}}
        body = memoryview(msgspec.json.encode(more.get("body", text)))
        message_id = mint(SLOT, 1, next(_numbers).to_bytes(12, "big"))
        epoch, kind, ttl = self.slot.epoch, more.get("kind", 0), more.get("ttl")
        number = more.get("number", 1)
        row = Message(SLOT, epoch, message_id, kind, recipient, body, ttl, None, number)
        self.appender.on_messages(self, [row])
        return message_id

    async def begun(self, count: int) -> list[Request]:
        """The first so many requests, once they have begun."""
        await soon(lambda: len(self.graph.requests) >= count)
        return self.graph.requests

    async def renew(self, pool: asyncpg.Pool) -> OwnedSlot:
        """This process goes on under a new epoch, as after a commit of unknown outcome."""
        old = self.ownership.slots.get(SLOT)
        epoch = await own(pool)
        if old is not None:
            self.ownership.close(old, SlotEvent.DOUBTED)
        await self.moves.open({SLOT: epoch})
        return self.slot


async def own(pool: asyncpg.Pool) -> int:
    """The slot of the table is ours under the next epoch, which is returned."""
    sql = "update slot set owner = $1, epoch = greatest(epoch + 1, $2) where slot = $3"
    return int(await pool.fetchval(f"{sql} returning epoch", ME, EPOCH, SLOT))


def cloud_settings(settings: Settings, **more: Any) -> Settings:
    """These settings, for the Cloud API."""
    secrets = {f"cloud_{name}": name for name in ("token", "app_secret", "verify_token")}
    given = {"cloud_phone_number_id": NUMBER, "cloud_waba_id": "1"} | secrets | more
    return replace(settings, upstream="cloud", **given)


@asynccontextmanager
async def owning_cloud(
    settings: Settings,
    pool: asyncpg.Pool,
    script: Script = taken,
    journal: Any = None,
    **more: Any,
) -> AsyncIterator[CloudSlots]:
    """One that runs, and has the slot of the table. It ends as by a crash: nothing is recorded.

    Entered once more it is the next owner; ``more`` are settings.
    """
    slots = CloudSlots(cloud_settings(settings, **more), ScriptedGraph(script), journal)
    slots.end._templates.use({(name, LANGUAGE): name.upper() for name in TEMPLATES})
    loops = slots.loops()
    try:
        await slots.moves.open({SLOT: await own(pool)})
        await soon(lambda: slots.slot.claimed)
        slots.end.pace.grant(10_000.0)  # and not the slot's part of the number's rate
        yield slots
    finally:
        if (slot := slots.ownership.slots.get(SLOT)) is not None:
            slot.open = False  # whatever answers come now, nobody hears them
            slots.ownership.slots.clear()
        await ended(loops)
        await slots.end.close()
        await slots.media.close()
        await slots.journal.close()


def template(name: str) -> dict[str, Any]:
    """A message of a template whose name is its category, too."""
    said = {"name": name, "language": {"code": LANGUAGE, "policy": "deterministic"}}
    return {"to": RECIPIENT, "type": "template", "template": said | {"components": []}}


async def ask(slots: CloudSlots, message_id: bytes, word: str = "resend") -> None:
    """An operator's word for a message."""
    place = SLOT, ASKED, f"asked:{next(_numbers)}", message_id, 1
    await slots.journal.say(*place, None, word.encode())


async def hear(
    pool: asyncpg.Pool,
    ref: tuple[bytes, int],
    status: str = "sent",
    wamid: str = "",
    errors: list[Any] | None = None,
) -> None:
    """A webhook with this status of an attempt is in the inbox."""
    message_id, attempt = ref
    wamid = wamid or f"wamid.{text_of(message_id)}.{attempt}"
    said = _status(wamid, status)
    if status == "failed":
        said["errors"] = errors or [{"code": 131026, "title": "undeliverable"}]
    await pool.execute(
        "insert into cloud_inbox (slot, kind, key, id, attempt, wamid, recipient, payload)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (key, number) do nothing",
        *(SLOT, STATUS, f"{wamid}:{status}:{STAMP}", message_id, attempt, wamid, RECIPIENT),
        msgspec.json.encode(said),
    )


class OfferingWebapp:
    """Offers statuses over a link that nobody cuts; ``left`` has the places that an answer left, by
    the offer's number.
    """

    def __init__(self, slots: CloudSlots) -> None:
        self._slots = slots
        self.left: dict[int, list[int]] = {}

    def offer(
        self, *refs: tuple[bytes, int], status: str = "sent", epoch: int = 0, came_to: int = 1
    ) -> int:
        """Offer this status of each, which came to a number of ours; the offer's number."""
        number = next(_numbers)
        offered = [
            replace(self._offered(ref, status, epoch or self._slots.slot.epoch), number=came_to)
            for ref in refs
        ]
        webapp: Any = self
        self._slots.end._straight.on_statuses(webapp, wire.StatusOffer(number, offered))
        return number

    async def answered(self, number: int) -> list[int]:
        """The places that are left, once the offer is answered."""
        await soon(lambda: number in self.left)
        return self.left[number]

    def send(self, frame: bytes) -> None:
        """An answer."""
        outcome = wire.parse(memoryview(frame))
        assert isinstance(outcome, wire.StatusOutcome)
        self.left[outcome.number] = outcome.left

    def _offered(self, ref: tuple[bytes, int], status: str, epoch: int) -> wire.OfferedStatus:
        message_id, attempt = ref
        wamid = f"wamid.{text_of(message_id)}.{attempt}"
        said = _status(wamid, status)
        key = f"{wamid}:{status}:{STAMP}"
        ids = key, message_id, attempt, wamid, RECIPIENT
        return wire.OfferedStatus(SLOT, epoch, *ids, msgspec.json.encode(said))


def _status(wamid: str, status: str) -> dict[str, Any]:
    return {"id": wamid, "status": status, "timestamp": STAMP, "recipient_id": RECIPIENT}


async def issues(pool: asyncpg.Pool) -> list[tuple[bytes, int, int, int]]:
    """Id, attempt, doubts and state of each issue row."""
    rows = await pool.fetch("select id, attempt, doubts, state from send_issue order by seq")
    return [tuple(row) for row in rows]


async def shown(pool: asyncpg.Pool, message_id: bytes) -> list[str]:
    """The names of the statuses that v1 hears of a message, in order."""
    name = text_of(message_id)
    sql = "select split_part(key, ':', 2) from event where starts_with(key, $1 || ':') order by seq"
    return [row[0] for row in await pool.fetch(sql, name)]


async def settled(pool: asyncpg.Pool, messages: int = 1) -> None:
    """Wait until so many messages are in the journal, and nothing of the slot is open on disk: no
    issue row, none parked, all settled.
    """
    await soon(lambda: pool.fetchval(_SETTLED, SLOT, messages))


_SETTLED = """
select (select count(*) >= $2 from message)
   and not exists (select from send_issue) and not exists (select from parked_message)
   and not exists (select from message m where m.slot = $1 and m.seq > c.mark
                      and not exists (select from generate_series(1, cardinality(c.ranges), 2) i
                                       where m.seq between c.ranges[i] and c.ranges[i + 1]))
  from send_cursor c where c.slot = $1"""
