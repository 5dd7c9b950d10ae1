"""A number that is paused goes aside: the others go on, and so does it where it was once it may."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from tests.harness.owned import EPOCH, ME, Granting, Slots, ended, session_of
from tests.harness.wait import soon
from warouter.cluster.role import SlotEvent
from warouter.config import Settings
from warouter.link.wire import Message
from warouter.message_id import mint, text_of
from warouter.store.beats import Beat
from warouter.store.journal.slots import FROM_FIRST
from warouter.upstream.protocol import Answer, Send

SLOT = 3
FEW = 8  # recipients of each number


def beat_of(*inactive: int) -> Beat:
    """A beat that says which numbers are paused."""
    return Beat({}, {}, 0, 0, 0, inactive=frozenset(inactive))


def id_of(number: int, n: int) -> bytes:
    return mint(SLOT, 1, number.to_bytes(4, "big") + n.to_bytes(8, "big"))


def place_of(sent: Send) -> tuple[int, int]:
    return _PLACES[sent.id]


_PLACES = {text_of(id_of(number, n)): (number, n) for number in (1, 2) for n in range(6_000)}


class Owner(Slots):
    """An owner of slot 3 that takes messages of two numbers."""

    def offer_all(self, number: int, ns: Iterable[int], epoch: int = EPOCH) -> None:
        for n in ns:
            recipient = f"49{n % FEW}"
            message = Message(SLOT, epoch, id_of(number, n), 0, recipient, b"{}", number=number)
            self.appender.on_messages(self, [message])

    async def take(self, epoch: int) -> None:
        self.hold_leases()
        await self.moves.open({SLOT: epoch})


@pytest.fixture
def upstream() -> Granting:
    return Granting()


@pytest_asyncio.fixture
async def owner(settings: Settings, pool: asyncpg.Pool, upstream: Granting) -> AsyncIterator[Owner]:
    await pool.execute("insert into number (id, name) values (2, 'two')")
    await pool.execute("update slot set owner = $1, epoch = $2 where slot = $3", ME, EPOCH, SLOT)
    owner = Owner(settings, upstream=upstream)
    loops = owner.loops()
    await owner.take(EPOCH)
    yield owner
    await ended(loops)
    await owner.journal.close()


def sent_of(upstream: Granting, number: int) -> list[int]:
    return [n for of, n in map(place_of, upstream.sent) if of == number]


def in_order(ns: list[int]) -> bool:
    """Each recipient's in their order, each once."""
    return len(set(ns)) == len(ns) and all(
        lane == sorted(lane) for lane in ([n for n in ns if n % FEW == k] for k in range(FEW))
    )


async def asides(pool: asyncpg.Pool) -> list[int]:
    """The numbers that are aside in slot 3."""
    return [row["consumer"] for row in await pool.fetch("select consumer from aside")]


async def all_settled(pool: asyncpg.Pool) -> bool:
    """Nobody is aside, nothing is parked, and the cursor covers each row."""
    return bool(await pool.fetchval(_SETTLED, SLOT))


_SETTLED = """
select not exists (select from aside) and not exists (select from parked_message)
   and (select c.mark from send_cursor c where c.slot = $1)
       >= (select max(m.seq) from message m where m.slot = $1)"""


async def test_a_paused_number_is_passed_over_and_goes_on_later(
    owner: Owner, upstream: Granting, pool: asyncpg.Pool
) -> None:
    owner.asides.beaten(beat_of(2))
    owner.offer_all(2, range(2_500))
    owner.offer_all(1, range(300))
    await soon(lambda: len(sent_of(upstream, 1)) == 300)
    assert sent_of(upstream, 2) == []
    await soon(lambda: asides(pool))
    assert await pool.fetchval("select count(*) from message where aside") == 2_500
    owner.asides.beaten(beat_of())
    await soon(lambda: len(sent_of(upstream, 2)) == 2_500)
    assert in_order(sent_of(upstream, 2))
    await soon(lambda: all_settled(pool))
    owner.offer_all(2, range(2_500, 2_510))
    await soon(lambda: len(sent_of(upstream, 2)) == 2_510)
    assert await pool.fetchval("select count(*) from message where aside") == 2_500
    assert in_order(sent_of(upstream, 2))


async def test_a_number_with_a_backlog_goes_aside_and_what_is_out_ends(
    owner: Owner, upstream: Granting, pool: asyncpg.Pool
) -> None:
    """Both have more than memory holds; the upstream says nothing yet."""
    upstream.answers = False
    for n in range(0, 3_000, 100):
        owner.offer_all(2, range(n, n + 100))
        owner.offer_all(1, range(n, n + 100))
    await soon(lambda: len(upstream.sent) == 2 * FEW)  # a head of each recipient
    owner.asides.beaten(beat_of(2))
    out = list(upstream.sent)
    upstream.answers = True
    owner.hearing.on_upstream([Answer(sent.slot, sent.id) for sent in out])
    await soon(lambda: len(sent_of(upstream, 1)) == 3_000)
    assert sent_of(upstream, 2) == [*range(FEW)]
    assert in_order(sent_of(upstream, 1))
    owner.asides.beaten(beat_of())
    await soon(lambda: all_settled(pool))
    assert in_order(sent_of(upstream, 2))
    assert len(sent_of(upstream, 2)) == 3_000


async def test_a_message_that_was_out_and_is_to_go_again_waits_parked(
    owner: Owner, upstream: Granting, pool: asyncpg.Pool
) -> None:
    upstream.answers = False
    owner.offer_all(2, range(2 * FEW))
    await soon(lambda: len(upstream.sent) == FEW)
    owner.asides.beaten(beat_of(2))
    again = [Answer(sent.slot, sent.id, 1, "later", retry_ms=1) for sent in upstream.sent]
    upstream.answers = True
    owner.hearing.on_upstream(again)
    await soon(lambda: pool.fetchval("select count(*) = $1 from parked_message", FEW))
    assert len(upstream.sent) == FEW
    owner.asides.beaten(beat_of())
    await soon(lambda: all_settled(pool))
    assert sent_of(upstream, 2)[FEW:] == [*range(2 * FEW)]


async def test_a_number_that_stops_while_it_is_read_goes_on_once_more(
    owner: Owner, upstream: Granting, pool: asyncpg.Pool
) -> None:
    owner.asides.beaten(beat_of(2))
    owner.offer_all(2, range(1_000))
    await soon(lambda: owner.ownership.slots[SLOT].messages.cursor.mark == 1_000)
    owner.asides.beaten(beat_of())
    await soon(lambda: len(sent_of(upstream, 2)) >= 100)
    owner.asides.beaten(beat_of(2))
    before = len(upstream.sent)
    owner.offer_all(1, range(100))
    await soon(lambda: len(sent_of(upstream, 1)) == 100)
    assert len(upstream.sent) == before + 100
    owner.asides.beaten(beat_of())
    await soon(lambda: all_settled(pool))
    assert in_order(sent_of(upstream, 2))
    assert len(sent_of(upstream, 2)) == 1_000


@pytest.mark.parametrize("paused", [True, False], ids=["while paused", "while it is read"])
async def test_a_successor_finds_who_is_aside(
    settings: Settings, owner: Owner, upstream: Granting, pool: asyncpg.Pool, paused: bool
) -> None:
    owner.asides.beaten(beat_of(2))
    owner.offer_all(2, range(1_000))
    owner.offer_all(1, range(50))
    await soon(lambda: len(sent_of(upstream, 1)) == 50)
    await soon(lambda: asides(pool))
    if not paused:
        owner.asides.beaten(beat_of())
        await soon(lambda: len(sent_of(upstream, 2)) >= 100)
    owner.ownership.close(owner.ownership.slots[SLOT], SlotEvent.FENCED)
    await pool.execute("update slot set epoch = $1 where slot = $2", EPOCH + 1, SLOT)
    await owner.take(EPOCH + 1)
    before = len(sent_of(upstream, 2))
    if paused:
        owner.offer_all(1, range(50, 60), EPOCH + 1)
        await soon(lambda: len(sent_of(upstream, 1)) >= 60)
        assert len(sent_of(upstream, 2)) == before == 0
        owner.asides.beaten(beat_of())
    owner.offer_all(2, range(1_000, 1_100), EPOCH + 1)
    await soon(lambda: all_settled(pool))
    sent = sent_of(upstream, 2)
    first = list(dict.fromkeys(sent))
    assert sorted(first) == [*range(1_100)]
    assert in_order(first)
    assert len(sent) - len(first) <= 64  # what was out, or not recorded


async def test_retention_keeps_what_is_aside_and_gets_past_it(
    owner: Owner, upstream: Granting, pool: asyncpg.Pool
) -> None:
    owner.asides.beaten(beat_of(2))
    owner.offer_all(2, range(30))
    owner.offer_all(1, range(30))
    await soon(lambda: len(sent_of(upstream, 1)) == 30)
    await owner.recorder.flush()
    await pool.execute("update message set accepted_at = now() - interval '1 hour'")

    async def pruned() -> int:
        gone, after = 0, FROM_FIRST
        while True:
            step = await owner.journal.prune({SLOT: EPOCH}, 0.0, 7, after)
            assert step is not None
            gone += step.gone
            if step.after is None:
                return gone
            after = step.after

    assert await pruned() == 30  # those of number 1, which lie behind the others
    left = await pool.fetch("select distinct number from message")
    assert [row["number"] for row in left] == [2]
    assert await pruned() == 0
    owner.asides.beaten(beat_of())
    await soon(lambda: all_settled(pool))
    assert sent_of(upstream, 2) == [*range(30)]
    assert await pruned() == 30


async def test_a_cluster_with_one_active_number_has_nobody_aside(
    owner: Owner, upstream: Granting, pool: asyncpg.Pool
) -> None:
    owner.offer_all(1, range(3_000))
    await soon(lambda: len(sent_of(upstream, 1)) == 3_000)
    await soon(lambda: all_settled(pool))
    assert not await pool.fetchval("select exists (select from message where aside)")
    assert owner.asides.rests(owner.ownership.slots[SLOT])


async def test_a_beat_says_which_numbers_are_not_active(
    settings: Settings, owner: Owner, pool: asyncpg.Pool
) -> None:
    session = session_of(settings, "coreapp", uuid4())
    try:
        assert (await session.beat(True, 5.0)).inactive == frozenset()
        await pool.execute("update number set state = 'paused' where id = 2")
        assert (await session.beat(True, 5.0)).inactive == {2}
    finally:
        session.terminate()
