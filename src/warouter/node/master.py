"""The master: campaigns, and as leader polls, plans and writes. It carries no messages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from uuid import UUID

import asyncpg

from warouter.background import wait_for
from warouter.cluster.membership import Liveness, Member, Membership
from warouter.cluster.plan import (
    Planner,
    Takeover,
    View,
    changes,
    marks,
    onto_timeline,
    plan,
    plan_request,
)
from warouter.cluster.quiesce import to_be_quiet
from warouter.cluster.shardmap import ShardMap
from warouter.cluster.term import Term
from warouter.config import Settings, Timing
from warouter.errors import FencedError, OutcomeUnknown
from warouter.log import Outage
from warouter.metrics import Sample
from warouter.node.reporter import Reporter
from warouter.node.runtime import (
    ProcessIdentity,
    boottime,
    cancel,
    check_database,
    health_of,
    run_until,
)
from warouter.store.beats import NodeSession
from warouter.store.election import LeaderSession, Poll
from warouter.store.nodes import LINK_GONE, ShardRequest
from warouter.systemd import Notifier

log = logging.getLogger(__name__)

T = TypeVar("T")
SPEAK_SECONDS = 1.0  # a lock holder that is silent for three of them is shown as dead
SOON = 0.04  # seconds to the next look when somebody seems to be gone: enough to connect anew
ALERT = 0.01  # … when a link has gone: the sessions of a dead process end within a few of them
ALERT_LOOKS = 10
FORGET_SECONDS = 60.0  # a dead incarnation's row is kept so long for whoever looks


class Master:
    """One master process. ``term`` is None while it does not lead."""

    def __init__(
        self,
        incarnation: UUID,
        timing: Timing,
        session: LeaderSession,
        node: NodeSession,
        notifier: Notifier,
        clock: Callable[[], float] = boottime,
    ) -> None:
        self._incarnation = incarnation
        self._timing = timing
        self._session = session
        self._node = node
        self._notifier = notifier
        self._clock = clock
        self._wake = asyncio.Event()
        self._alert = 0  # looks that follow each other quickly
        self._planner = Planner(timing.lease)
        # Who leads looks with each poll and may miss some; who follows looks with each beat.
        most = max(timing.poll * 3, timing.beat)
        self._membership = Membership(timing.lease, most, timing.join)
        self._term: Term | None = None
        self._led = 0  # the last term that this master has led in
        self._won_maybe = False  # a win is in doubt
        self._members: dict[UUID, Member] = {}
        self._named_since: dict[tuple[int, int, UUID], float] = {}
        self._marked_since: dict[tuple[int, UUID | None], float] = {}  # a renewal is no new mark
        self._dead_since: dict[UUID, float] = {}
        self._outage = Outage()
        self._locked = Outage()
        self._next_beat = 0.0
        self._spoken = 0.0  # when the last beat was through the node's own connection

    @property
    def term(self) -> int | None:
        """The term in which this master leads."""
        return self._term.number if self._term is not None else None

    def wake(self, what: str = "") -> None:
        """Poll now, because something may have changed; after LINK_GONE a few more times soon."""
        if what == LINK_GONE:
            self._alert = ALERT_LOOKS
        self._wake.set()

    async def run(self) -> None:
        """Poll until cancelled; a failure ends the term, never the process."""
        while True:
            self._wake.clear()
            started = self._clock()
            try:
                await self._round(started)
                self._outage.ends()
            except (OutcomeUnknown, FencedError, asyncpg.PostgresError) as error:
                self._resign(str(error))
            await self._pause(started)

    async def close(self) -> None:
        self._node.terminate()
        await self._session.close()

    async def _round(self, started: float) -> None:
        if self._term is None:
            await self._follow(started)
            return
        picture = await self._session.look(self._beat_due(started))
        self._observe(picture, started, self._clock())
        await self._beat(started, picture.beaten)
        if not self._still_leads(picture, started):
            self._resign("the term is another's, or was not confirmed in time")
            return
        try:
            await self._lead(picture, started)
            self._locked.ends()
        except asyncpg.LockNotAvailableError as error:
            # The write failed, which is no reason to stop leading: the next round tries again.
            if self._locked.begins():
                log.warning("leader write postponed", extra={"reason": str(error)})

    async def _follow(self, started: float) -> None:
        picture, locked = await self._session.contend(self._beat_due(started))
        self._observe(picture, started, self._clock())
        await self._beat(started, picture.beaten)
        leader = self._members.get(picture.leader) if picture.leader else None
        if not locked and leader is not None and leader.verdict is Liveness.DEAD:
            await self._session.depose_holder(self._rivals())
            locked = await self._session.try_lock()
        if locked:
            await self._campaign(picture)
            self._wake.set()  # look at all of it, and lead

    def _rivals(self) -> set[UUID]:
        """The other masters that live: one of them may hold the lock and be about to win."""
        masters = {i: m for i, m in self._members.items() if m.node.role == "master"}
        living = {i for i, m in masters.items() if m.verdict is not Liveness.DEAD}
        return living - {self._incarnation}

    def _observe(self, picture: Poll, began: float, now: float) -> None:
        """Observe the cluster. Followers do so too, so that a new leader starts warm."""
        self._members = self._membership.observe(
            began, now, picture.nodes, picture.sessions, picture.server
        )
        named = {
            (s.slot, s.epoch, s.successor) for s in picture.map.slots if s.successor is not None
        }
        self._named_since = {key: self._named_since.get(key, now) for key in named}
        marked = {(s.slot, s.owner) for s in picture.map.slots if to_be_quiet(s)}
        self._marked_since = {key: self._marked_since.get(key, now) for key in marked}
        dead = {inc for inc, m in self._members.items() if m.verdict is Liveness.DEAD}
        self._dead_since = {inc: self._dead_since.get(inc, now) for inc in dead}

    def _still_leads(self, picture: Poll, started: float) -> bool:
        """True if this poll confirms the term in time."""
        assert self._term is not None
        self._term = self._term.confirm(started)
        mine = (self._term.number, self._incarnation) == (picture.term, picture.leader)
        return mine and self._term.holds(self._clock())

    async def _campaign(self, picture: Poll) -> None:
        """Win the term: its holder has lost the lock."""
        sent = self._clock()
        if self._won_maybe:  # with the lock held, a look tells whether that win was committed
            picture = await self._session.look()
        if picture.leader == self._incarnation and picture.term > self._led:
            # Won, but the answer did not come. Nothing was written in this term that may be late.
            number = picture.term
        else:
            self._won_maybe = True
            number = await self._beating(self._session.win())
        self._won_maybe = False
        self._term, self._led = Term(number, sent, self._timing.trust), number
        log.info("became leader", extra={"term": number})
        self._notifier.status(f"primary, term {number}")

    def _resign(self, why: str) -> None:
        news = self._outage.begins()
        if self._term is not None:
            log.warning("lost leadership", extra={"term": self._term.number, "reason": why})
            self._notifier.status("secondary")
        elif news:
            log.warning("cluster poll failed", extra={"reason": why})
        self._term = None
        self._session.terminate()  # the lock goes with the connection

    async def _lead(self, picture: Poll, now: float) -> None:
        assert self._term is not None
        term = self._term.number
        current, timeline = picture.map, picture.server[1]
        if takeovers := onto_timeline(current, timeline):
            await self._take_over(term, takeovers)
            self._wake.set()
            return  # the picture's epochs are old now
        if picture.request is not None and picture.request.state == "waiting":
            await self._begin_request(term, picture, picture.request, now)
            return
        planned = self._planner.plan(self._view(current, now))
        if planned is not None:
            # Only now: a later look can only keep slots where they are.
            moved = await self._session.moved_lately()
            planned = plan(self._view(current, now, moved=moved), self._timing.lease)
        if planned is not None:
            await self._write(term, current, planned)
        elif picture.request is not None and current.settled:
            await self._beating(self._session.end_request(term, picture.request.id, "done", ""))
        await self._forget(term, picture, now)

    def _view(self, current: ShardMap, now: float, *, moved: frozenset[int] = frozenset()) -> View:
        ages = {slot: now - since for (slot, _, _), since in self._named_since.items()}
        marked = {slot: now - since for (slot, _), since in self._marked_since.items()}
        coreapps = {i: m for i, m in self._members.items() if m.node.role == "coreapp"}
        return View(current, coreapps, ages, moved=moved, marked_age=marked)

    async def _begin_request(
        self, term: int, picture: Poll, request: ShardRequest, now: float
    ) -> None:
        """Write the new count and the successors of every moving slot in one transaction; before
        that, which of them have to be quiet first.
        """
        current, lease = picture.map, self._timing.lease
        planned, begins = plan_request(self._view(current, now), request.shards, lease)
        if not begins:
            await self._write(term, current, planned, request)
            return
        _, successions = changes(current, planned, self._members)
        said = {"shards": request.shards, "moving": len(successions)}
        if await self._beating(self._session.begin_request(term, successions, request)):
            log.info("shards set", extra=said)
        else:
            log.info("set-shards skipped: its request was withdrawn", extra=said)
        self._wake.set()

    async def _write(
        self, term: int, current: ShardMap, planned: ShardMap, request: ShardRequest | None = None
    ) -> None:
        """Write what leads from one map to the next, and that a ``request`` waits for it."""
        takeovers, successions = changes(current, planned, self._members)
        marked = marks(current, planned)
        news = request is not None and not request.taken_up
        if not (takeovers or successions or marked or news):
            return
        if takeovers:
            await self._take_over(term, takeovers)
        if marked or news:
            asked = request.id if request is not None else None
            await self._beating(self._session.mark_slots(term, marked, asked))
            log.info("slots marked", extra={"slots": {m.slot: m.moving for m in marked}})
        if successions:
            await self._beating(self._session.name_successors(term, successions))
            log.info("successors named", extra={"slots": {s.slot: s.reason for s in successions}})
        self._wake.set()

    async def _take_over(self, term: int, takeovers: list[Takeover]) -> None:
        dead = {t.old for t in takeovers if t.old is not None and t.reason == "dead"}
        if dead:
            await self._session.end_sessions(sorted(dead))
        ages, slots = [self._age_ms(t) for t in takeovers], [t.slot for t in takeovers]
        if not await self._locking(slots, self._session.take_over(term, takeovers, ages)):
            self._wake.set()
            return
        log.warning(
            "slots taken over", extra={"slots": {t.slot: t.reason for t in takeovers}, "term": term}
        )

    async def _locking(self, slots: list[int], write: Coroutine[Any, Any, None]) -> bool:
        """Write under the locks of these slots. False, and nothing is written, if one cannot be
        had: a statement that hangs, or whose commit is slow, holds it. The sessions of such are
        ended, so that the next round can write.
        """
        try:
            await self._beating(write)
        except asyncpg.LockNotAvailableError:
            await self._session.end_lock_holders(slots)
            return False
        return True

    def _age_ms(self, takeover: Takeover) -> int:
        member = self._members.get(takeover.old) if takeover.old is not None else None
        return int(member.silence * 1000) if member is not None else 0

    async def _forget(self, term: int, picture: Poll, now: float) -> None:
        old = {inc for inc, since in self._dead_since.items() if now - since > FORGET_SECONDS}
        if not old:
            return
        owners = {s.owner for s in picture.map.slots} | {s.successor for s in picture.map.slots}
        gone = [inc for inc in old if inc not in owners and inc not in picture.sessions]
        if gone:
            await self._beating(self._session.forget_nodes(term, gone))

    def _beat_due(self, started: float) -> bool:
        """True if the poll is to beat as well: two statements cost twice as much.

        Once a second the beat goes through the node's own connection, which is made anew if it was
        lost, and by whose last word onlookers know that this master lives.
        """
        spoken = self._node.connected and started < self._spoken + SPEAK_SECONDS
        return spoken and started >= self._next_beat

    async def _beat(self, started: float, beaten: bool = False) -> None:
        """Beat only with an answered poll: a leader that cannot read must fall silent."""
        if started >= self._next_beat:
            if not beaten:
                await self._node.beat(True, self._timing.trust)
                self._spoken = started
            self._next_beat = started + self._timing.beat
            self._notifier.alive()

    async def _beating(self, write: Coroutine[Any, Any, T]) -> T:
        """Keep beating while a commit is awaited, which may take longer than a lease."""
        answer = asyncio.ensure_future(write)
        try:
            while True:
                remaining = self._next_beat - self._clock()
                done, _ = await asyncio.wait({answer}, timeout=max(remaining, 0.0))
                if done:
                    return answer.result()
                await self._beat(self._clock())
        finally:
            if not answer.done():
                self._session.terminate()  # nobody waits for its answer any more
                await asyncio.wait({answer})
            if not answer.cancelled():
                answer.exception()  # retrieved, or asyncio logs it when a beat failed as well

    async def _pause(self, started: float) -> None:
        """Wait until the next poll.

        A follower looks with each beat: a hint wakes it earlier when an owner may be dead, and
        without one only the leader's seat is empty for a moment longer. A beat that is overdue,
        since the database does not answer, has nobody look more often.
        """
        until = started + self._timing.poll
        if self._term is None:
            until = max(until, self._next_beat)
        if self._membership.doubtful:
            until = started + SOON
        elif self._alert:
            until = started + ALERT
        self._alert = max(0, self._alert - 1)
        await wait_for(self._wake, max(until - self._clock(), 0.005))


async def main(settings: Settings, stop: asyncio.Event, notifier: Notifier) -> None:
    """Run a master until ``stop``."""
    identity = ProcessIdentity(settings, "master")
    await check_database(settings, identity)
    node = NodeSession(settings, identity.registration("", 0), lambda what: master.wake(what))
    session = LeaderSession(settings, identity.incarnation, identity.application)
    master = Master(identity.incarnation, settings.timing, session, node, notifier)
    reporter = Reporter(node, identity, lambda: _figures(master))
    tasks = [
        asyncio.create_task(master.run(), name="master"),
        asyncio.create_task(reporter.run(), name="reports"),
    ]
    notifier.ready("secondary")
    with health_of(identity, notifier, lambda: node.beat_age):
        try:
            await run_until(stop, tasks)
        finally:
            notifier.stopping()
            await cancel(tasks)
            await reporter.close()
            await master.close()


def _figures(master: Master) -> list[Sample]:
    leads = Sample("warouter_master_leads", int(master.term is not None))
    return [leads] if master.term is None else [leads, Sample("warouter_term", master.term)]
