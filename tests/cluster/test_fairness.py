"""What is slow or too much holds up nobody else: a recipient, the webhook, a shard, a flood (I16).

No time is a gate here: it is counted what the others have got while the slow one is still slow.
How much slower they become is what ``bench/fairness.py`` measures.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from itertools import chain, count, cycle, islice
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from tests.cluster.conftest import ONE, PAIR, Start
from tests.harness import form
from tests.harness.business import Business
from tests.harness.facts import Facts
from tests.harness.frozen import frozen
from tests.harness.lines import Answer, Line, Lines
from tests.harness.receiver import Post, Receiver
from warouter._hash import slot_of
from warouter.local.process import Process

AT_ONCE = 64
HOT = "4915300000000"
HOT_SLOT = slot_of(HOT)
LONG_LEASE = {"WAROUTER_LEASE": "9", "WAROUTER_HOLD": "60"}


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


async def burst(business: Business, to: Iterable[str], **more: Any) -> list[str]:
    """Messages to these, many at once and in about this order; their ids."""
    left = enumerate(to)
    ids: dict[int, str] = {}

    async def worker() -> None:
        for number, recipient in left:
            began = monotonic()
            message_id = await business.message(**text(recipient, **more))
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


async def on_disk(facts: Facts, events: int) -> None:
    """A commit of events sends no signal."""
    while True:
        if await facts.connection.fetchval("select count(*) from event") >= events:
            return
        await asyncio.sleep(0.02)


class TestRecipient:
    """One recipient has a large backlog; each message of it costs a round trip to the upstream."""

    @pytest.mark.parametrize("hot", [300, 2_500])
    async def test_others_that_come_between_its_messages_and_behind_them(
        self, start: Start, hot: int
    ) -> None:
        """It takes up neither the ranges of the cursor nor the memory of its slot, and its order
        holds, also when the owner dies while it is parked.
        """
        cluster, business = await start(**PAIR)
        async with Facts(cluster) as facts:
            await business.faults(latency_ms=300)
            others = recipients(300, lambda slot: slot == HOT_SLOT)
            others += recipients(100, lambda slot: slot != HOT_SLOT)
            between = chain.from_iterable(zip([HOT] * 200, others[:200], strict=True))
            ids = await burst(business, [*between, *[HOT] * (hot - 200), *others[200:]])
            theirs = ids[1:400:2] + ids[-200:]
            await business.called_back("read", *theirs)
            # Had they waited for it, it would be through, or down to what fits into memory.
            assert await arrived(business, set(ids).difference(theirs)) < 150
            assert await facts.connection.fetchval("select count(*) from parked_message")
            await business.faults(latency_ms=0)
            (await facts.process_of((await facts.map()).slots[0].owner)).kill(signal.SIGKILL)
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

    async def test_what_waits_for_a_receiver_that_hangs_is_in_memory_up_to_a_limit(
        self, start: Start
    ) -> None:
        """60 MB of one slot, and as much again, which stays in the journal and comes from there."""
        cluster, business = await start(**ONE)
        coreapp = cluster.processes["coreapp-1"]
        senders = iter(recipients(1_900, lambda slot: slot == HOT_SLOT))
        ids: list[str] = []

        async def come(count: int) -> int:
            while some := list(islice(senders, min(10, count))):
                ids.extend(await business.inject(len(some), some, "." * 60_000))
                count -= len(some)
            await on_disk(facts, len(ids))
            return resident_mib(coreapp)

        async with Facts(cluster) as facts, self.hook(business) as hook:
            hook.hangs = True
            before = await come(1_000)
            after = await come(900)
            print(f"coreapp {before} MiB, with 54 MB more that wait {after} MiB")
            assert after - before < 30  # its buffers are large, too
            hook.released.set()
            await hook.until(lambda: all(i in hook.messages for i in ids))
            assert hook.wrong == []


async def test_a_shard_with_more_than_its_connection_takes(start: Start) -> None:
    """Two shards with an owner each, of which one is slow."""
    cluster, business = await start(coreapps=2)
    async with Facts(cluster) as facts:
        await business.faults(rate=20.0)  # messages a second and connection
        slow = await burst(business, recipients(400, lambda slot: slot % 2 == 0))
        others = await burst(business, recipients(60, lambda slot: slot % 2 == 1))
        await business.called_back("read", *others)
        assert await arrived(business, slow) < len(slow)
        await business.faults(rate=0.0)
        await all_right(business, facts)


def resident_mib(process: Process) -> int:
    """Its memory at this moment."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


async def first(
    asked: dict[asyncio.Task[Answer], Line], refused: int
) -> tuple[list[Line], list[asyncio.Task[Answer]]]:
    """Wait until so many are refused: their connections, and the requests that are held."""
    done: set[asyncio.Task[Answer]] = set()
    waiting = set(asked)
    while len(done) < refused:
        some, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        done |= some
    assert Counter(task.result().error for task in done) == {(503, 1016, True): len(done)}
    return [asked[task] for task in done], list(waiting)


class TestOverload:
    """More than may be held, on keep-alive connections: refused at once, with flat memory."""

    async def test_more_bytes_than_are_held(self, start: Start) -> None:
        """The owner is frozen; requests of half a megabyte wait for it until there is no room."""
        cluster, business = await start(
            **ONE, environment={**LONG_LEASE, "WAROUTER_JSON_LIMIT": str(512 * 1024)}
        )
        webapp, coreapp = (cluster.processes[f"{role}-1"] for role in ("webapp", "coreapp"))
        token = business.headers["Authorization"]
        sender = recipients(1_000).__iter__()

        async def ask(line: Line) -> Answer:
            to, began = next(sender), monotonic()
            answer = await line.ask(token, text(to, filler="." * 500_000))
            if answer.status == 201:
                keep(business, to, answer.id, began)
            return answer

        async with Facts(cluster) as facts, Lines(cluster.webapp_urls[0], 240) as lines:
            with frozen([coreapp.pid]):
                asked = {asyncio.create_task(ask(line)): line for line in lines.all}
                refused, held = await first(asked, 240 - 64 * 1024 * 1024 // 500_000)
                before = resident_mib(webapp)
                for _ in range(3):
                    again = await asyncio.gather(*(ask(line) for line in refused))
                    assert {a.error for a in again} == {(503, 1016, True)}
                after = resident_mib(webapp)
                assert not any(task.done() for task in held)
            answers = await asyncio.gather(*held)
            assert {a.status for a in answers} == {201}
            answers = await asyncio.gather(*(ask(line) for line in refused))
            assert {a.status for a in answers} == {201}
            await all_right(business, facts)
        print(f"webapp {before} MiB, after {3 * len(refused)} refused requests {after} MiB")
        assert after - before < 24  # of 150 MiB that were refused

    async def test_one_shard_leaves_room_for_the_others(self, start: Start) -> None:
        """The owner of one of two shards is frozen, and there is more for it than may be held."""
        cluster, business = await start(
            coreapps=2, environment={**LONG_LEASE, "WAROUTER_JSON_LIMIT": str(512 * 1024)}
        )
        token = business.headers["Authorization"]
        async with Facts(cluster) as facts, Lines(cluster.webapp_urls[0], 200) as lines:
            to = recipients(200, lambda slot: slot % 2 == 0)

            async def ask(line: Line, recipient: str) -> Answer:
                began = monotonic()
                answer = await line.ask(token, text(recipient, filler="." * 500_000))
                if answer.status == 201:
                    keep(business, recipient, answer.id, began)
                return answer

            owner = await facts.process_of((await facts.map()).slots[0].owner)
            masters = [p.pid for p in cluster.processes.values() if p.role == "master"]
            with frozen([owner.pid, *masters]):  # so that nobody takes over, however long it lasts
                pairs = zip(lines.all, to, strict=True)
                asked = {asyncio.create_task(ask(*pair)): pair[0] for pair in pairs}
                _, held = await first(asked, 200 - 64 * 1024 * 1024 // 500_000)
                to = recipients(200, lambda slot: slot % 2 == 1)
                others = await burst(business, to, filler="." * 200_000)
                await business.called_back("read", *others)
                assert any(not task.done() for task in held)
            await asyncio.gather(*held)
            await all_right(business, facts)

    async def test_more_messages_than_an_owner_has_in_memory(self, start: Start) -> None:
        """The upstream is paused: what comes beyond 2,000 or 2 MiB a slot stays in the journal."""
        cluster, business = await start(**ONE)
        coreapp = cluster.processes["coreapp-1"]
        to = recipients(300, lambda slot: slot == HOT_SLOT)
        async with Facts(cluster) as facts:
            await business.faults(pause=True)
            before = resident_mib(coreapp)
            await burst(business, islice(cycle(to), 2_500))
            small = resident_mib(coreapp)
            await burst(business, islice(cycle(to), 1_000), filler="." * 60_000)
            large = resident_mib(coreapp)
            print(f"coreapp {before} MiB, of small ones {small} MiB, of 60 MB more {large} MiB")
            assert small - before < 12
            assert large - small < 12
            await business.faults(pause=False)
            await all_right(business, facts)
