"""The list of messages: newest first, page by page, by any field, and bounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import asyncpg
import pytest

from warouter._hash import SLOTS, slot_of
from warouter.message_id import mint, text_of
from warouter.store.views.messages.found import FoundMessage, MessageListing, Search
from warouter.store.views.messages.newest import place_of
from warouter.store.views.messages.rate import read_rate
from warouter.store.views.messages.read import read_messages
from warouter.store.views.trace import read_trace

NOON = 1_700_000_000_000
HOSTILE = "<img src=x onerror=alert(1)> \"'\u202e" + "x" * 10_000
NUMBERS = [str(4915100000000 + n) for n in range(60)]
FAILED = b'{"timestamp":"5","errors":[{"code":%d,"title":"Message expired","details":"late"}]}'


class Journals:
    """What is in the database, written as it would be, of 300 messages of both ways."""

    def __init__(self, pool: asyncpg.Pool, random: Random) -> None:
        self.pool = pool
        self.random = random
        self.made: list[tuple[int, int, int, object, str]] = []  # in the order of places
        self._seqs: dict[tuple[int, int], int] = {}
        self._keys = 0

    async def fill(self, count: int = 300) -> None:
        random = self.random
        for _ in range(count):
            ms = NOON + random.randrange(20_000)
            number = random.choice(NUMBERS)
            slot = slot_of(number)
            if random.random() < 0.3:
                self.made.append((ms, 0, slot, None, number))
            else:
                raw = mint(slot, ms, random.randbytes(12))
                self.made.append((ms, 1, slot, raw, number))
        self.made.sort(key=lambda m: (m[0], m[1], m[2], m[3] or b""))
        for ms, _, slot, raw, number in self.made:
            if isinstance(raw, bytes):
                await self.outgoing(raw, number, random.choice((0, 1, 2, 42)))
            else:
                await self.inbound(f"wamid.{ms}.{slot}.{self._keys}", slot, number, ms)
                self._keys += 1

    async def outgoing(self, raw: bytes, number: str, kind: int = 0) -> int:
        seq = self._next(raw[1], 9)
        await self.pool.execute(
            "insert into message (slot, seq, id, recipient, kind, body) values"
            " ($1,$2,$3,$4,$5,'secret')",
            *(raw[1], seq, raw, number, kind),
        )
        return seq

    async def inbound(self, key: str, slot: int, number: str, ms: int) -> None:
        await self.event(slot, 1, key, number, b"secret", at=ms)

    async def status(self, raw: bytes, number: str, name: str, payload: bytes = b"{}") -> None:
        await self.event(raw[1], 0, f"{text_of(raw)}:{name}", number, payload)

    async def event(
        self, slot: int, kind: int, key: str, number: str, payload: bytes, at: int = NOON
    ) -> None:
        await self.pool.execute(
            "insert into event (slot, seq, kind, key, recipient, payload, recorded_at)"
            " values ($1,$2,$3,$4,$5,$6,$7)",
            *(slot, self._next(slot, kind), kind, key, number, payload),
            datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=at),
        )

    def _next(self, slot: int, kind: int) -> int:
        seq = self._seqs[slot, kind] = self._seqs.get((slot, kind), 0) + 1
        return seq


@pytest.fixture
def journals(pool: asyncpg.Pool) -> Journals:
    return Journals(pool, Random(5))


async def listed(pool: asyncpg.Pool, search: Search | None = None, **bounds: int) -> MessageListing:
    async with pool.acquire() as connection:
        return await read_messages(connection, search or Search(), **bounds)


async def walked(
    pool: asyncpg.Pool, limit: int, looked_at: int, **fields: object
) -> list[FoundMessage]:
    """All pages, one after the other."""
    found: list[FoundMessage] = []
    older = None
    for _ in range(2_000):
        search = Search(limit=limit, older=None if older is None else place_of(older), **fields)  # type: ignore[arg-type]
        page = await listed(pool, search, looked_at=looked_at)
        found += page.messages
        older = page.older
        if older is None:
            return found
    raise AssertionError("the pages have no end")


@pytest.mark.parametrize(("limit", "looked_at"), [(1000, 100_000), (7, 100_000), (20, 70), (5, 1)])
async def test_every_page_goes_on_where_the_last_one_ended(
    pool: asyncpg.Pool, journals: Journals, limit: int, looked_at: int
) -> None:
    await journals.fill()
    expected = [
        text_of(raw) if isinstance(raw, bytes) else None for *_, raw, _ in reversed(journals.made)
    ]
    found = await walked(pool, limit, looked_at)
    assert len({one.id for one in found}) == len(found) == len(expected)
    outgoing = [one.id if one.direction == "outgoing" else None for one in found]
    assert outgoing == expected
    assert [one.at for one in found] == sorted((one.at for one in found), reverse=True)
    shown = repr(found)
    assert "secret" not in shown


async def test_each_filter_finds_what_it_says(pool: asyncpg.Pool, journals: Journals) -> None:
    await journals.fill()
    every = await walked(pool, 1000, 100_000)
    number = every[0].recipient
    since, until = NOON + 4_000, NOON + 9_000
    low, high = "2023-11-14T22:13:24.000Z", "2023-11-14T22:13:29.000Z"
    cases = [
        ({"number": number}, lambda m: m.recipient == number),
        ({"direction": "in"}, lambda m: m.direction == "incoming"),
        ({"direction": "out"}, lambda m: m.direction == "outgoing"),
        ({"states": ("received",)}, lambda m: m.direction == "incoming"),
        ({"states": ("waiting",)}, lambda m: m.state == "waiting"),
        ({"kinds": ("media",)}, lambda m: m.kind == "media"),
        ({"kinds": ("read mark",)}, lambda m: m.kind == "read mark"),
        ({"since": since}, lambda m: m.at >= low),
        ({"until": until}, lambda m: m.at < high),
        (
            {"since": since, "until": until, "number": number},
            lambda m: low <= m.at < high and m.recipient == number,
        ),
        ({"direction": "in", "states": ("failed",)}, lambda m: False),
    ]
    for fields, fits in cases:
        for limit, looked_at in ((1000, 100_000), (3, 60)):
            found = await walked(pool, limit, looked_at, **fields)  # type: ignore[arg-type]
            assert [m.id for m in found] == [m.id for m in every if fits(m)], fields


async def prepared(pool: asyncpg.Pool, journals: Journals) -> dict[str, str]:
    """A message of each state, in slots of their own."""
    number = NUMBERS[0]
    slot = slot_of(number)
    ids = {}
    names = [
        "waiting",
        "parked",
        "in_doubt",
        "held",
        "taken",
        "sent",
        "delivered",
        "read",
        "failed",
        "later",
    ]
    seqs = {}
    for n, name in enumerate(names):
        raw = mint(slot, NOON + n, bytes(12))
        ids[name] = text_of(raw)
        seqs[name] = await journals.outgoing(raw, number)
        for said in ("sent", "delivered", "read"):
            if name in names[5:8] and names.index(name) >= names.index(said):
                await journals.status(raw, number, f"{said}:17")
        if name == "failed":
            await journals.status(raw, number, "sent:17")
            await journals.status(raw, number, "failed", FAILED % 410)
        table = {"parked": "parked", "in_doubt": 2, "held": 3}.get(name)
        if table == "parked":
            await pool.execute(
                "insert into parked_message (slot, seq, id, recipient, attempts, due_at, reason)"
                " select slot, seq, id, recipient, 2, now(), $2 from message where id = $1",
                *(raw, HOSTILE),
            )
        elif table is not None:
            await pool.execute(
                "insert into send_issue (slot, seq, id, recipient, attempt, state, cause)"
                " values ($1,$2,$3,$4,1,$5,'silence')",
                *(slot, seqs[name], raw, number, table),
            )
    mark, last = seqs["waiting"] - 1, seqs["failed"]
    await pool.execute(
        "update send_cursor set mark = $2, ranges = $3 where slot = $1",
        *(slot, mark, [mark + 2, last]),
    )
    return ids


async def test_a_state_is_that_of_the_trace(pool: asyncpg.Pool, journals: Journals) -> None:
    ids = await prepared(pool, journals)
    found = {one.id: one for one in (await listed(pool)).messages}
    assert len(found) == len(ids)
    async with pool.acquire() as connection:
        for name, message_id in ids.items():
            trace = await read_trace(connection, message_id)
            assert trace is not None
            assert found[message_id].state == trace.state
            assert trace.state == ("waiting" if name == "later" else name)
    assert found[ids["failed"]].error == "410 Message expired: late"
    assert found[ids["parked"]].error == HOSTILE


async def test_each_state_can_be_looked_for(pool: asyncpg.Pool, journals: Journals) -> None:
    ids = await prepared(pool, journals)
    for name in set(ids) - {"waiting", "later"}:
        page = await listed(pool, Search(states=(name,)))
        assert [one.id for one in page.messages] == [ids[name]], name
        assert page.older is None
    page = await listed(pool, Search(states=("waiting",)))
    assert [one.id for one in page.messages] == [ids["later"], ids["waiting"]]
    page = await listed(pool, Search(states=("held", "in_doubt", "read")))
    assert {one.id for one in page.messages} == {ids["held"], ids["in_doubt"], ids["read"]}


async def test_an_error_code_can_be_looked_for(pool: asyncpg.Pool, journals: Journals) -> None:
    ids = await prepared(pool, journals)
    assert [m.id for m in (await listed(pool, Search(code=410))).messages] == [ids["failed"]]
    assert (await listed(pool, Search(code=470))).messages == []
    assert (await listed(pool, Search(code=410, states=("read",)))).messages == []
    for garbage in (b"\xff", b"[]", b'{"errors":[{"code":"<b>"}]}', b'{"errors":null}', b""):
        await pool.execute("update event set payload = $1 where key like '%:failed'", garbage)
        assert (await listed(pool, Search(code=410))).messages == []
        assert (await listed(pool, Search(states=("failed",)))).messages[0].error is None


async def test_one_message_by_its_id(pool: asyncpg.Pool, journals: Journals) -> None:
    ids = await prepared(pool, journals)
    await journals.inbound(HOSTILE[:200], 3, NUMBERS[1], NOON)
    for message_id in (ids["failed"], HOSTILE[:200].replace("\u202e", "")):
        page = await listed(pool, Search(message_id=message_id))
        every = (await listed(pool)).messages
        assert page.messages == [one for one in every if one.id == message_id]
    assert (await listed(pool, Search(message_id="' or 1=1 --"))).messages == []


async def test_a_search_says_how_far_it_looked(pool: asyncpg.Pool, journals: Journals) -> None:
    await journals.fill()
    page = await listed(pool, Search(states=("failed",)), looked_at=100)
    assert page.messages == []
    assert page.looked_at <= 100
    assert page.looked_down_to is not None
    assert page.older is not None
    page = await listed(pool, Search(states=("failed",)))
    assert (page.looked_at, page.older, page.looked_down_to) == (
        sum(way for _, way, *_ in journals.made),
        None,
        None,
    )
    page = await listed(pool, Search(states=("failed",)), seconds=0)
    assert page.looked_down_to is not None


async def test_the_rate_of_the_last_seconds(pool: asyncpg.Pool, journals: Journals) -> None:
    async with pool.acquire() as connection:
        rate = await read_rate(connection)
        assert (rate.outgoing, rate.incoming) == (0, 0)
        now = int((await connection.fetchval("select clock_timestamp()")).timestamp() * 1000)
        for n in range(10):
            raw = mint(n % SLOTS, now - 1000, bytes([n] * 12))
            await journals.outgoing(raw, NUMBERS[n])
            await journals.inbound(f"old {n}", n % 4, NUMBERS[n], now - 60_000)
        for n in range(5):
            await journals.inbound(f"new {n}", n % 4, NUMBERS[n], now - 500)
        rate = await read_rate(connection)
        assert (rate.outgoing, rate.incoming) == (2, 1)
