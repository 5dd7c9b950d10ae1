"""What is slow or too much holds up nobody else: a recipient, the webhook, a shard, a flood (I16).

No time is a gate here: it is counted what the others have got while the slow one is still slow.
How much slower they become is what ``bench/fairness.py`` measures.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from itertools import chain, count, cycle, islice
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import pytest_asyncio

from tests.cluster.conftest import PAIR, running
from tests.harness import form
from tests.harness.business import Business
from tests.harness.facts import Facts
from tests.harness.frozen import frozen
from tests.harness.lines import Answer, Line, Lines
from tests.harness.receiver import Post, Receiver
from warouter._hash import slot_of
from warouter.local.process import Process

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("fairness")]

AT_ONCE = 64
EVENTS = "select count(*) from event where kind = 1"  # inbound messages
HOT = "4915300000000"
HOT_SLOT = slot_of(HOT)
LARGE = {"filler": "." * 500_000}
HELD = 64 * 1024 * 1024 // 500_000  # as many of those are held
SHARE = HELD // 2 + 1  # and so many for one of two shards: what makes it half, and one more
ENVIRONMENT = {
    "WAROUTER_LEASE": "9",
    "WAROUTER_HOLD": "300",
    "WAROUTER_JSON_LIMIT": str(512 * 1024),
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def business() -> AsyncIterator[Business]:
    """Two shards with an owner each."""
    async with running(**{**PAIR, "shards": 2, "environment": ENVIRONMENT}) as (_, business):
        yield business


@pytest_asyncio.fixture(loop_scope="module")
async def facts(business: Business) -> AsyncIterator[Facts]:
    """All is well with the upstream afterwards, whatever has become of a test."""
    async with Facts(business.cluster) as facts:
        yield facts
    async with business.http.delete(f"{business.cluster.control_url}/faults") as answer:
        assert answer.status == 200


@pytest_asyncio.fixture(loop_scope="module")
async def fresh(business: Business, facts: Facts) -> Process:
    """The owner of ``HOT_SLOT``, started anew: its memory is that of no test before."""
    owner = await facts.process_of((await facts.map()).slots[HOT_SLOT].owner)
    await owner.stop()
    await business.cluster.again(owner)
    settled = await facts.until(
        lambda m: m.settled and len({slot.owner for slot in m.slots} - {None}) == 2
    )
    return await facts.process_of(settled.slots[HOT_SLOT].owner)


def recipients(number: int, holds: Callable[[int], bool] = lambda _slot: True) -> list[str]:
    """So many numbers of slots for which it holds."""
    numbers: Iterator[str] = (f"49154{n:07d}" for n in count())
    return list(islice((r for r in numbers if holds(slot_of(r))), number))


def text(to: str, **more: Any) -> dict[str, Any]:
    return {"to": to, "type": "text", "text": {"body": "x"}, **more}


def keep(business: Business, to: str, message_id: str, began: float) -> str:
    """To the account of what was acknowledged."""
    business.history.on_answer(to, message_id, began, monotonic())
    return message_id


async def burst(
    business: Business, to: Iterable[str], of: Mapping[str, dict[str, Any]] = {}, **more: Any
) -> list[str]:
    """Messages to these, many at once and in about this order; their ids. ``of`` a recipient they
    have other fields.
    """
    left = enumerate(to)
    ids: dict[int, str] = {}

    async def worker() -> None:
        for number, recipient in left:
            began = monotonic()
            message_id = await business.message(**text(recipient, **of.get(recipient, more)))
            ids[number] = keep(business, recipient, message_id, began)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return [ids[number] for number in sorted(ids)]


async def arrived(business: Business, ids: Iterable[str]) -> int:
    """How many of them the upstream has taken."""
    there = {i for some in (await business.record())["ids"].values() for i in some}
    return len(there.intersection(ids))


async def all_right(business: Business, facts: Facts) -> None:
    """Everything acknowledged is sent, once, and called back."""
    await business.all_called_back()
    assert await facts.wrong(business) == []
    assert business.history.errors == business.history.unknown == []


def resident_mib(process: Process) -> int:
    """Its memory at this moment."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


Waiting = tuple[list[Line], list[asyncio.Task[Answer]]]


async def first(asked: dict[asyncio.Task[Answer], Line], held: int) -> Waiting:
    """Wait until all but so many are refused: their connections, and the requests that are held."""
    done: set[asyncio.Task[Answer]] = set()
    waiting = set(asked)
    while len(waiting) > held:
        some, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        done |= some
    assert Counter(task.result().error for task in done) == {(503, 1016, True): len(done)}
    return [asked[task] for task in done], list(waiting)


class TestOverload:
    """More than may be held, on keep-alive connections: refused at once, with flat memory."""

    async def test_more_bytes_than_are_held(self, business: Business, facts: Facts) -> None:
        """Owners are frozen; requests of half a megabyte wait for them until there is no room. One
        of two shards leaves room for the other.
        """
        cluster = business.cluster
        webapp = cluster.processes["webapp-1"]
        token = business.headers["Authorization"]
        even, odd = (recipients(500, lambda slot, n=n: slot % 2 == n) for n in (0, 1))
        to = {0: iter(even), 1: iter(odd)}

        async def ask(line: Line, shard: int) -> Answer:
            recipient, began = next(to[shard]), monotonic()
            answer = await line.ask(token, text(recipient, **LARGE))
            if answer.status == 201:
                keep(business, recipient, answer.id, began)
            return answer

        async def more_than(held: int, shard: int, lines: Lines) -> Waiting:
            asked = {asyncio.create_task(ask(line, shard)): line for line in lines.all}
            return await first(asked, held)

        owners = [await facts.process_of((await facts.map()).slots[n].owner) for n in (0, 1)]
        masters = [p.pid for p in cluster.processes.values() if p.role == "master"]
        url = cluster.webapp_urls[0]
        async with AsyncExitStack() as stack:
            thawed = stack.enter_context(ExitStack())
            # Nobody takes over, however long it lasts.
            thawed.enter_context(frozen([owners[0].pid, *masters]))
            lines = await stack.enter_async_context(Lines(url, SHARE + 15))
            _, held = await more_than(SHARE, 0, lines)
            others = await burst(business, (next(to[1]) for _ in range(30)), **LARGE)
            await business.called_back("read", *others)
            assert not any(task.done() for task in held)
            thawed.enter_context(frozen([owners[1].pid]))
            lines = await stack.enter_async_context(Lines(url, HELD - SHARE + 30))
            refused, more = await more_than(HELD - SHARE, 1, lines)
            sizes = []  # after each round; the first one may find that there is more room
            for n in range(10):
                again = await asyncio.gather(*(ask(line, n % 2) for line in refused))
                assert {a.error for a in again} == {(503, 1016, True)}
                sizes.append(resident_mib(webapp))
            before, after = sizes[0], sizes[-1]
            assert not any(task.done() for task in held + more)
            thawed.close()
            answers = await asyncio.gather(*held, *more)
            assert {a.status for a in answers} == {201}
            answers = await asyncio.gather(*(ask(line, 0) for line in refused))
            assert {a.status for a in answers} == {201}
            await all_right(business, facts)
        more_asked = (len(sizes) - 1) * len(refused)
        print(f"webapp {before} MiB, after {more_asked} refused requests {after} MiB")
        # A webapp that kept what it refuses would grow by all of it, nearly half a MiB a request.
        # The bodies of a round are in memory together, and 25 MiB of them may not be given back.
        assert after - before < 40  # of some 129 MiB that were refused

    async def test_more_messages_than_an_owner_has_in_memory(
        self, business: Business, facts: Facts, fresh: Process
    ) -> None:
        """The upstream is paused: what comes beyond 2,000 or 2 MiB a slot stays in the journal."""
        to = recipients(300, lambda slot: slot == HOT_SLOT)
        await business.faults(pause=True)
        before = resident_mib(fresh)
        await burst(business, islice(cycle(to), 2_200))
        small = resident_mib(fresh)
        await burst(business, islice(cycle(to), 500), filler="." * 60_000)
        large = resident_mib(fresh)
        print(f"coreapp {before} MiB, of small ones {small} MiB, of 30 MB more {large} MiB")
        assert small - before < 12
        assert large - small < 12
        await business.faults(pause=False)
        await all_right(business, facts)


async def test_a_shard_with_more_than_its_connection_takes(
    business: Business, facts: Facts
) -> None:
    """Of two shards one is slow."""
    await business.faults(rate=2.0)  # messages a second and connection
    slow = await burst(business, recipients(100, lambda slot: slot % 2 == 0))
    others = await burst(business, recipients(10, lambda slot: slot % 2 == 1))
    await business.called_back("read", *others)
    assert await arrived(business, slow) < len(slow)
    await business.faults(rate=0.0)
    await all_right(business, facts)


class TestRecipient:
    """One recipient has a large backlog; each message of it costs a round trip to the upstream."""

    async def test_others_that_come_between_its_messages_and_behind_them(
        self, business: Business, facts: Facts
    ) -> None:
        """It takes up neither the ranges of the cursor nor the memory of its slot, where 7 MB of
        it would have no room, and its order holds, also when the owner dies while it is parked.
        """
        await business.faults(latency_ms=500)
        others = recipients(300, lambda slot: slot == HOT_SLOT)
        others += recipients(100, lambda slot: slot != HOT_SLOT)
        between = chain.from_iterable(zip([HOT] * 200, others[:200], strict=True))
        to = [*between, *[HOT] * 400, *others[200:]]
        ids = await burst(business, to, {HOT: {"filler": "." * 12_000}})
        theirs = ids[1:400:2] + ids[-200:]
        await business.called_back("read", *theirs)
        # Had they waited for it, it would be through, or down to what fits into memory.
        assert await arrived(business, set(ids).difference(theirs)) < 150
        assert await facts.connection.fetchval("select count(*) from parked_message")
        await business.faults(latency_ms=0)
        owner = await facts.process_of((await facts.map()).slots[HOT_SLOT].owner)
        owner.kill(signal.SIGKILL)
        await all_right(business, facts)


class SlowHook(Receiver):
    """Lets POSTs hang while ``hangs``, until ``released`` is set."""

    def __init__(self) -> None:
        super().__init__(self._answer, form=form.check)
        self.hangs = False
        self.released = asyncio.Event()

    async def _answer(self, _post: Post) -> int:
        if self.hangs:
            await self.released.wait()
        return 200


class TestWebhook:
    """It lets callbacks hang, for less than the 15 s after which they count as failed."""

    @asynccontextmanager
    async def hook(self, business: Business) -> AsyncIterator[SlowHook]:
        """The receiver of all callbacks."""
        async with SlowHook() as hook:
            await business.settings(webhooks={"url": hook.url, "message": {"sent": True}})
            while not hook.messages:  # until the owner goes by the new settings
                await business.inject(1)
                await asyncio.sleep(0.05)
            try:
                yield hook
            finally:
                hook.released.set()
                await business.settings(webhooks={"url": business.receiver.url})

    async def test_a_hung_receiver_fills_memory_up_to_a_limit(
        self, business: Business, facts: Facts, fresh: Process
    ) -> None:
        """30 MB of one slot, and as much again, which stays in the journal and comes from there."""
        senders = iter(recipients(1_000, lambda slot: slot == HOT_SLOT))
        ids: list[str] = []
        stored = await facts.connection.fetchval(EVENTS)

        async def come(count: int) -> int:
            while some := list(islice(senders, min(10, count))):
                ids.extend(await business.inject(len(some), some, "." * 60_000))
                count -= len(some)
            # A commit of events sends no signal.
            await facts.until_some(f"select 1 where ({EVENTS}) >= {stored + len(ids)}")
            return resident_mib(fresh)

        async with self.hook(business) as hook:
            hook.hangs = True
            before = await come(500)
            after = await come(500)
            print(f"coreapp {before} MiB, with 30 MB more that wait {after} MiB")
            assert after - before < 20  # its buffers are large, too
            hook.released.set()
            await hook.until(lambda: all(i in hook.messages for i in ids))
            assert hook.wrong == []
