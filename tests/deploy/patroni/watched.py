"""A run: warouter under traffic, one fault of its database after the other, and the judge."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec

from tests.deploy.patroni.faults import FAULTS
from tests.deploy.patroni.member import Member
from tests.deploy.patroni.trio import Trio
from tests.harness import prepared
from tests.harness.business import RECIPIENTS, Business
from tests.harness.facts import Facts
from tests.harness.rights import nothing_refused
from tests.harness.wait import soon
from warouter import message_id
from warouter.local.cluster import Cluster
from warouter.local.options import UpOptions

RATE = 40.0  # messages a second, over forty chains
FLOWS = 80  # 201s after which it flows again
SETTLE_SECONDS = 120.0
# By these the same owner goes on under a new epoch. Any other change is needless: every coreapp is
# well.
GOES_ON = ("timeline", "renew")
_MISSING = """
select count(*) from unnest($1::bytea[]) as acked(id)
 where not exists (select 1 from message m where m.id = acked.id)"""
_DOUBT = re.compile(r"outcome unknown for message (\S+?):")


class Row(NamedTuple):
    """What a fault cost, in seconds and requests."""

    fault: str
    silent: float  # the longest time without a 201
    slowest: float  # the longest that a request waited for its 201
    accepted: int
    refused: int  # with 503
    timeline: int
    fenced: float | None  # until the old primary took no writes any more, where it lived on
    promoted: float | None  # until another one began the new timeline
    first: float | None  # from then to the first 201
    whole: float  # until three members were there again

    @staticmethod
    def head() -> str:
        return (
            f"{'fault':<18} {'no 201 for':>10} {'slowest 201':>11} {'201s':>5} {'503s':>5}"
            f" {'timeline':>8} {'old fenced':>10} {'promoted':>8} {'then 201':>8} {'whole':>7}"
        )

    def __str__(self) -> str:
        fenced, promoted, first = map(_shown, (self.fenced, self.promoted, self.first))
        return (
            f"{self.fault:<18} {_shown(self.silent):>10} {_shown(self.slowest):>11}"
            f" {self.accepted:5} {self.refused:5} {self.timeline:8} {fenced:>10} {promoted:>8}"
            f" {first:>8} {self.whole:5.1f} s"
        )


class Watched:
    """One cluster of warouter on a started trio, from its first message to the verdict."""

    def __init__(self, trio: Trio, cluster: Cluster, business: Business) -> None:
        self.trio = trio
        self.cluster = cluster
        self.business = business
        self.rows: list[Row] = []
        self._first_change = 0

    async def begin(self, recipients: int) -> None:
        """Traffic, and from here on no change of owner is needed."""
        async with Facts(self.cluster) as facts:
            self._first_change = len(await facts.owner_log())
        self.business.start(recipients)
        await self.business.more(FLOWS)

    async def round(self, name: str, *, label: str = "") -> Row:
        """One fault from its begin until all is whole and messages flow; prints what it cost."""
        fault, trio = FAULTS[name], self.trio
        victim = await trio.leader()
        began, wall = time.monotonic(), time.time()
        await self.business.from_new_customers(20)
        promoted = fenced = None
        async with _fence(victim, began) if fault.cut_off else _no_fence() as watch:
            await fault.begin(trio, victim)
            if fault.moves:
                promoted = (await trio.leader(victim)).promoted() - wall
            await self.business.more(FLOWS)
            if watch is not None:
                fenced = await watch  # before it is healed: nobody told it
        await fault.heal(trio, victim)
        timeline = await trio.whole()
        whole = time.monotonic() - began
        await self.business.from_new_customers(20)
        await self.business.more(FLOWS)
        row = self._row(label or name, began, timeline, fenced, promoted, whole)
        self.rows.append(row)
        print(row, flush=True)
        return row

    def _row(
        self,
        name: str,
        began: float,
        timeline: int,
        fenced: float | None,
        promoted: float | None,
        whole: float,
    ) -> Row:
        history = self.business.history
        place = next(n for n, at in enumerate(history.answered) if at >= began)
        times = [began, *history.answered[place:], time.monotonic()]
        first = None
        if promoted is not None:
            first = next(at for at in times if at >= began + promoted) - began - promoted
        return Row(
            fault=name,
            silent=max(later - at for at, later in pairwise(times)),
            slowest=max(wait for _, wait in history.waits()[place:]),
            accepted=len(times) - 2,
            refused=sum(at >= began for at, _, _ in history.errors),
            timeline=timeline,
            fenced=fenced,
            promoted=promoted,
            first=first,
            whole=whole,
        )

    async def lost(self) -> int:
        """How many acknowledged messages the database does not have, once nobody sends."""
        await self.business.stop()
        ids = [message_id.parse(i) for i in self.business.history.number]
        async with Facts(self.cluster) as facts:
            count: int = await facts.connection.fetchval(_MISSING, ids)
            return count

    async def verdict(self) -> list[str]:
        """Everything that is wrong at the end, once all is called back; empty if nothing is."""
        business, history = self.business, self.business.history
        lost = await self.lost()
        await business.all_called_back()
        await business.until(lambda: not history.missing(), SETTLE_SECONDS)
        history.complete = True
        history.doubtful = {
            found for _, _, body in history.errors for found in _DOUBT.findall(body)
        }
        async with Facts(self.cluster) as facts:
            wrong = [str(found) for found in await facts.wrong(business)]
            changes = (await facts.owner_log())[self._first_change :]
        reasons = Counter(row["reason"] for row in changes)
        restarts = {p.name: p.restarts for p in self.cluster.processes.values() if p.restarts}
        wrong += [f"I1: {lost} acknowledged and not stored"] if lost else []
        needless = reasons.keys() - set(GOES_ON)
        wrong += [f"needless changes of owner: {reasons[r]} {r}" for r in needless]
        wrong += [f"restarted: {name} {times} times" for name, times in restarts.items()]
        wrong += [f"no answer: {why}" for _, _, why in history.unknown]
        wrong += _odd_errors(history.errors)
        print(
            f"{history.accepted} acknowledged, {len(history.errors)} answered 503, of these"
            f" {len(history.doubtful)} with an unknown outcome; changes of owner {dict(reasons)}",
            flush=True,
        )
        return wrong


def _shown(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.2f} s"


def _odd_errors(errors: list[tuple[float, int, str]]) -> list[str]:
    """Nothing but 503 with code 1011 is an answer while no database takes writes."""
    odd = Counter()  # type: Counter[str]
    for _, status, body in errors:
        if status != 503 or msgspec.json.decode(body)["errors"][0]["code"] != 1011:
            odd[f"answered {status}: {body[:120]}"] += 1
    return [f"{times} {what}" for what, times in odd.items()]


@asynccontextmanager
async def _fence(victim: Member, began: float) -> AsyncIterator[asyncio.Task[float]]:
    """A task that ends with the seconds after which the victim takes no writes any more."""

    async def fenced() -> bool:
        return not await victim.takes_writes()

    async def until() -> float:
        await soon(fenced)
        return time.monotonic() - began

    task = asyncio.create_task(until())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def _no_fence() -> AsyncIterator[None]:
    yield None


@asynccontextmanager
async def watched(
    trio: Trio,
    database: str,
    environment: Mapping[str, str] = {},
    *,
    recipients: int = RECIPIENTS,
    **more: Any,
) -> AsyncIterator[Watched]:
    """Two masters, three coreapps, two webapps and the simulator, with a business above that writes
    to so many, in a database of their own. ``more`` are Options.
    """
    await trio.create(database)
    folder = prepared.reachable_folder()
    options = UpOptions(
        data_dir=folder,
        port=0,
        tls=False,
        coreapps=3,
        webapps=2,
        environment=trio.environment(database) | dict(environment),
        **more,
    )
    cluster = Cluster(options)
    try:
        await cluster.start()
        async with Business(cluster, cluster.webapp_urls, rate=RATE) as business:
            run = Watched(trio, cluster, business)
            await run.begin(recipients)
            yield run
            await cluster.stop()  # before the receiver that it calls
    finally:
        await cluster.stop()
        nothing_refused(folder)
        shutil.rmtree(folder, ignore_errors=True)
