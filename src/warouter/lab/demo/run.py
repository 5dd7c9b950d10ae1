"""The demo: sends messages through a failover and a change of shards, and counts everything.

The traffic is spread evenly over the slots, so that each one is seen at a known spacing and what
stands still can be measured. It is offered at a steady rate whether answers come or not: messages
to slots without an owner must not slow down the others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from warouter._hash import SHARD_COUNTS, SLOTS
from warouter.errors import CommandError
from warouter.lab.demo import seen
from warouter.lab.demo.business import Business, DemoWebhook
from warouter.lab.demo.doubts import Doubted
from warouter.lab.demo.gaps import Failover, failover, longest_gap, unseen
from warouter.lab.demo.scene import Scene, kill
from warouter.lab.demo.seen import RunRecord
from warouter.lab.demo.tally import Observations, Tally, complete, judge
from warouter.lab.demo.traffic import Offered, TrafficLane, draw_recipients, even_turns, inbound
from warouter.lab.demo.watch import DoubtWatch

MOVE_SECONDS = 20.0  # a failover or a change of shards that takes longer has failed
CALLBACK_SECONDS = 20.0  # after so long without a new callback none is expected any more
LOOK_SECONDS = 0.1
KILL_AT, GROW_AT, WAIT_AT = 1 / 3, 2 / 3, 0.8
# After a wait for the new coreapps the slots are seen again before anything moves.
WARM_SECONDS = 0.5
NEW_COREAPPS = 2


class DemoPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The amount of the demo's traffic; ``rate`` is in messages a second.

    ``webhook_host`` is where coreapps reach the demo's webhook.
    """

    messages: int = 2_000
    recipients: int = 500
    inbound: int = 200
    rate: float = 150.0
    webhook_host: str = "127.0.0.1"


class DemoReport(msgspec.Struct, frozen=True, kw_only=True):
    """The results of a run, times in seconds; None could not be measured.

    ``spacing`` is how far apart the messages of a slot are: no pause can be told more finely.
    ``doubted`` is None where nothing can be in doubt.
    """

    tally: Tally
    doubted: Doubted | None
    failover: Failover
    lost_slots: int
    moved_slots: int
    moved_gap: float | None
    moved_unseen: int
    unmoved_gap: float | None
    change_seconds: float
    shards: tuple[int, int]
    spacing: float
    sending_seconds: float
    answers: tuple[float, float]  # the median and the slowest
    first_sent_at: float | None  # monotonic


class Demo:
    """One run against a scene. ``say`` is called with a sentence for each intervention."""

    def __init__(self, scene: Scene, plan: DemoPlan, say: Callable[[str], None]) -> None:
        self._scene = scene
        self._plan = plan
        self._say = say
        self._described = dict(scene.describe())
        self._control = control_url(self._described)
        self._lanes = {to: TrafficLane() for to in draw_recipients(plan.recipients)}
        self._injected: list[tuple[str, str]] = []
        self._may_finish = asyncio.Event()
        self._waits = False
        self._offered = Offered()
        self._sending = (0.0, 0.0)
        self._began_at = time.monotonic()
        self._killed: tuple[float, dict[int, int]] = (0.0, {})
        self._change = _Change()
        self._webhook = DemoWebhook(plan.webhook_host)
        self._simulator = aiohttp.ClientSession(self._control, raise_for_status=True)
        self._doubts: DoubtWatch | None = None

    # what a progress bar shows

    @property
    def accepted(self) -> int:
        return sum(len(lane.accepted) for lane in self._lanes.values())

    @property
    def called_back(self) -> int:
        return len(self._webhook.different_statuses)

    @property
    def received(self) -> int:
        return len(self._webhook.different_inbound)

    # the run

    async def run(self) -> DemoReport:
        """Run all steps in order; raises CommandError if a step of the demo itself fails."""
        d = self._described
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._simulator)
            await stack.enter_async_context(self._webhook)
            business = Business(d["url"], d["user"], d["password"])
            await stack.enter_async_context(business)
            await business.login()
            await self._check_simulator()
            await stack.enter_async_context(self._webhook_set(business))
            if self._scene.window is not None:
                self._doubts = await stack.enter_async_context(self._scene.doubts())
            await self._act(business)
            await self._callbacks()
            return await self._report()

    async def _act(self, business: Business) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send_all(business))
                group.create_task(self._inject_all())
                group.create_task(self._trouble(business))
        except ExceptionGroup as errors:
            # The first one is the cause; the other tasks were only cancelled for it.
            raise errors.exceptions[0] from errors

    @asynccontextmanager
    async def _webhook_set(self, business: Business) -> AsyncIterator[None]:
        """Use our webhook, with all statuses on; the former settings are restored afterwards."""
        before = (await business.settings())["webhooks"]
        wanted = {"sent": True, "delivered": True, "read": True}
        await business.change_settings({"webhooks": {"url": self._webhook.url, "message": wanted}})
        # An owner acts no longer than a lease without a beat, and a beat brings news of settings.
        await asyncio.sleep(self._scene.lease)
        shards = (await self._scene.map()).shards
        try:
            yield
        finally:
            if self._scene.lasting:
                back = {"url": before["url"], "message": before["message"]}
                await business.change_settings({"webhooks": back})
                if (await self._scene.map()).shards != shards:
                    await self._set_shards(business, shards)

    # the business

    async def _send_all(self, business: Business) -> None:
        plan = self._plan
        begun = due = time.monotonic()
        turns = even_turns(self._lanes)
        async with asyncio.TaskGroup() as group:
            for number in range(plan.messages):
                if number >= plan.messages * WAIT_AT and not self._may_finish.is_set():
                    self._waits = True
                    await self._may_finish.wait()
                due = max(due + 1 / plan.rate, time.monotonic() - 1.0)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                to = next(turns)
                lane = self._lanes[to]
                lane.waiting.append(f"message {number} to {to}")
                self._offered.advance()
                if not lane.busy:
                    lane.busy = True
                    group.create_task(lane.send(business, to))
        self._sending = (begun, time.monotonic())

    async def _inject_all(self) -> None:
        """Inject inbound messages of several types, spread over the time of sending."""
        senders = list(self._lanes)
        for number in range(self._plan.inbound):
            await self._offered.reached(self._plan.messages * number // self._plan.inbound)
            sender = senders[number * 7 % len(senders)]
            async with self._simulator.post("/inbound", json=inbound(sender, number)) as answer:
                self._injected.append((sender, (await answer.json())["id"]))

    # the trouble

    async def _trouble(self, business: Business) -> None:
        await self._until(KILL_AT)
        if self._scene.local:
            await self._kill_an_owner()
        await self._until(0.5)
        if self._scene.local:
            new = await self._scene.add_coreapps(NEW_COREAPPS)
            self._say(f"started {' and '.join(new)}")
        await self._grow(business)

    async def _kill_an_owner(self) -> None:
        victim = await self._scene.victim()
        self._killed = (time.monotonic(), victim.owned)
        kill(victim)
        self._say(
            f"killed {victim.name} (pid {victim.pid}), the owner of {len(victim.owned)} slots"
        )
        await self._scene.settled(MOVE_SECONDS, beyond=victim.owned)

    async def _grow(self, business: Business) -> None:
        await self._until(GROW_AT)
        waited = self._waits
        self._may_finish.set()
        if waited:
            await asyncio.sleep(WARM_SECONDS)
        before = await self._scene.map()
        shards = next_shards(before.shards)
        begun = time.monotonic()
        await self._set_shards(business, shards)
        done = time.monotonic()
        after = await self._scene.settled(MOVE_SECONDS)
        moved = {s.slot for s in after.slots if s.epoch != before.slots[s.slot].epoch}
        self._change = _Change(begun, done, (before.shards, shards), moved)
        self._say(f"set shards {before.shards} to {shards} in {done - begun:.2f} s")

    async def _set_shards(self, business: Business, shards: int) -> None:
        d = self._described
        await business.set_shards(d["cc"], d["phone_number"], shards, d["cert"])

    async def _until(self, part: float) -> None:
        await self._offered.reached(int(self._plan.messages * part))

    # the judgement

    async def _callbacks(self) -> None:
        """Wait for every promised callback, or until none has come for a while."""
        last = (-1, -1)
        patience = CALLBACK_SECONDS + (self._scene.window or 0.0)
        quiet_since = time.monotonic()
        while not complete(self._evidence({}, 0)):
            had = (self.called_back, self.received)
            if had != last:
                last, quiet_since = had, time.monotonic()
            elif time.monotonic() - quiet_since > patience:
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _evidence(self, arrived: dict[str, list[str]], in_doubt: int) -> Observations:
        lanes = self._lanes
        return Observations(
            accepted={to: lane.accepted for to, lane in lanes.items()},
            doubtful=set().union(*(lane.doubtful for lane in lanes.values())),
            unanswered=sum(lane.unanswered for lane in lanes.values()),
            refused=sum(lane.refused for lane in lanes.values()),
            statuses=self._webhook.statuses,
            injected=self._injected,
            inbound=self._webhook.inbound,
            arrived=arrived,
            in_doubt=in_doubt,
        )

    async def _report(self) -> DemoReport:
        doubted = await self._doubts.counted(CALLBACK_SECONDS) if self._doubts else None
        record = await self._seen()
        tally = judge(self._evidence(record.ids, doubted.open if doubted else 0))
        ours = {id for lane in self._lanes.values() for id in lane.accepted}
        arrivals = [a for a in record.arrivals if a.id in ours]
        killed_at, owned = self._killed
        change = self._change
        unmoved = set(range(SLOTS)) - change.moved
        seconds = sorted(t for lane in self._lanes.values() for t in lane.seconds)
        return DemoReport(
            tally=tally,
            doubted=doubted,
            failover=failover(arrivals, killed_at, owned),
            lost_slots=len(owned),
            moved_slots=len(change.moved),
            moved_gap=longest_gap(arrivals, change.moved, change.begun, change.done),
            moved_unseen=unseen(arrivals, change.moved, change.done),
            unmoved_gap=longest_gap(arrivals, unmoved, change.begun, change.done),
            change_seconds=change.done - change.begun,
            shards=change.shards,
            spacing=min(SLOTS, len(self._lanes)) / self._plan.rate,
            sending_seconds=self._sending[1] - self._sending[0],
            answers=(seconds[len(seconds) // 2], seconds[-1]),
            first_sent_at=min((a.at for a in arrivals), default=None),
        )

    async def _seen(self) -> RunRecord:
        """The simulator's record since the beginning."""
        query = f"/record?ids=1&since={self._began_at!r}"
        async with self._simulator.get(query) as answer:
            record = msgspec.json.decode(await answer.read())
        if self._scene.window is None:
            return seen.native(record)
        return seen.cloud(record, await self._scene.owners(self._began_at))

    async def _check_simulator(self) -> None:
        """Refuse to judge a simulator whose fault switches are set:
        it loses statuses on purpose.
        """
        async with self._simulator.get("/faults") as answer:
            faults = await answer.json()
        told_all = all(faults[status] == 1 for status in ("sent", "delivered", "read"))
        if not told_all or faults["failed"] or faults["unknown"]:
            raise CommandError(
                "Fault switches of the simulator are set:"
                " clear them by `warouter simulator faults --clear`."
            )


class _Change(msgspec.Struct):
    """The change of shards: its time, both counts, and the slots that got another owner."""

    begun: float = 0.0
    done: float = 0.0
    shards: tuple[int, int] = (0, 0)
    moved: set[int] = set()


def control_url(described: Mapping[str, Any]) -> str:
    """Where the simulator of this cluster is asked; CommandError if it has none."""
    if "simulator" not in described:
        raise CommandError(
            "This cluster has no simulator that could be asked what arrived: the demo sends to none"
            " but simulated recipients."
        )
    return str(described["simulator"]["control_url"])


def next_shards(shards: int) -> int:
    """The next greater count, or the next smaller one from the greatest."""
    counts = sorted(SHARD_COUNTS)
    place = counts.index(shards)
    return counts[place + 1] if place + 1 < len(counts) else counts[place - 1]
