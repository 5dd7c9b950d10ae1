"""POSTs of webhooks that wait for a commit: while one is in flight they gather, and the next one
takes them all. Statuses that their owners store need none of ours.

Each is answered after its commit, and only then. The listener's state is written beside them, at
most once a second, and alone while nothing comes.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import asyncpg

from warouter.background import wait_for
from warouter.errors import OutcomeUnknown
from warouter.flow.statuses import RANKS
from warouter.link.offers import StatusOffers
from warouter.link.wire import OfferedStatus
from warouter.log import Outage
from warouter.message_id import slot_of_id
from warouter.store.cloud.receive import ListenerState, WebhookInbox
from warouter.upstream.cloud import listener
from warouter.upstream.cloud.batch import ERROR, INBOUND, STATUS, Batch, Element, Notice
from warouter.upstream.cloud.reference import parse_reference

log = logging.getLogger(__name__)

TOUCH_SECONDS = 1.0
# What tells of users alone, of statuses that owners store, gathers for so long: only Meta waits.
GATHER_SECONDS = 0.05
AVERAGE_SECONDS = 10.0  # of the rate of inbound messages
MOST_ROWS = 4_000  # of one commit; a POST has up to 1,000
MOST_BYTES = 32 << 20  # of what waits
# What PostgreSQL can never take: data exceptions, broken constraints, what a function or trigger
# refuses, and values above its limits.
_UNFIT = ("22", "23", "P0", "54")
_NAMES = {STATUS: "status", INBOUND: "inbound", ERROR: "error"}


class _Post(NamedTuple):
    batch: Batch
    elements: list[Element]  # to be written
    learned: list[Element]  # written by owners, and telling of users
    written: asyncio.Future[bool]


class Posts(listener.WebhookStore):
    """The queue of POSTs before the ``inbox``. ``counts`` has events by kind."""

    def __init__(self, inbox: WebhookInbox, owners: StatusOffers | None = None) -> None:
        self._inbox = inbox
        self._owners = owners
        self._clock = asyncio.get_running_loop().time
        self._waiting: list[_Post] = []
        self._bytes = 0
        self._wake = asyncio.Event()
        self._outage = Outage()
        self._touched = self._clock()
        self._breaks = self._telling = self._told = 0
        self._vain: float | None = None  # since when, in the loop's time
        self._vain_told: float | None = None
        self._newest = 0
        self._came = 0  # inbound messages since the last touch
        self._rate = 0.0
        self.counts: Counter[str] = Counter()

    async def take(self, batch: Batch) -> bool:
        """True once what a webhook holds is committed, and what Meta said was passed on to the
        other processes; False if it is not, or may not be.
        """
        self.counts.update(batch.counted)
        if not await self._passed_on(batch.notices):
            return False
        size = sum(len(element.raw) + len(element.contact) for element in batch.elements)
        size += sum(len(kept.raw) for kept in batch.kept)
        if self._bytes + size > MOST_BYTES:
            return False
        self._bytes += size
        try:
            return await self._stored(batch, size)
        finally:
            self._bytes -= size

    async def _stored(self, batch: Batch, size: int) -> bool:
        by_owners = await self._by_owners(batch.elements)
        rest = [element for element in batch.elements if element.unique not in by_owners]
        learned = [element for element in by_owners.values() if self._inbox.is_news(element)]
        self._newest = max(self._newest, batch.newest)
        if not rest and not learned and not batch.left_out:
            return True
        written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Post(batch, rest, learned, written))
        self._wake.set()
        return await written

    async def _by_owners(self, elements: Sequence[Element]) -> dict[tuple[int, str], Element]:
        """The statuses that are in the journals of their owners now, by number and key."""
        if self._owners is None:
            return {}
        offered = [status for element in elements if (status := _offered(element)) is not None]
        if not offered:
            return {}
        stored = await self._owners.offer(offered)
        found = {element.unique: element for element in elements if element.unique in stored}
        self._count(found.values())
        return found

    async def keep(self, app: int, reason: str, body: bytes) -> bool:
        """True once a body of an app that nobody can read is committed to where such are kept."""
        try:
            await self._inbox.keep(app, reason, body)
        except (OutcomeUnknown, asyncpg.PostgresError):
            return False
        return True

    def broken(self) -> None:
        """A webhook was answered otherwise than with 200: what it held comes later."""
        self._breaks += 1

    def in_vain(self, *, lasts: bool) -> None:
        """Requests were refused that may be Meta's; no longer ``lasts``: something rightly signed
        has followed.
        """
        self._vain = self._clock() if lasts else None
        self._wake.set()

    async def run(self) -> None:
        """Write what waits, until cancelled."""
        while True:
            await wait_for(self._wake, TOUCH_SECONDS)
            self._wake.clear()
            if not self._waiting:
                await self._touch()
            while self._waiting:
                await self._gathered()
                await self._commit(self._next())
            await self._tell_vain()

    async def close(self) -> None:
        """Say that the listener stopped in order; nothing waits any more."""
        for post in self._waiting:
            post.written.cancel()
        try:
            await self._inbox.leave()
        except (OutcomeUnknown, asyncpg.PostgresError) as error:
            log.warning("webhook listener deregistration failed", extra={"error": str(error)})
        await self._inbox.close()

    async def _gathered(self) -> None:
        """Wait for more while there is nothing but news of users."""
        until = self._clock() + GATHER_SECONDS
        while all(_is_news_alone(post) for post in self._waiting):
            rest = until - self._clock()
            if rest <= 0:
                return
            await wait_for(self._wake, rest)
            self._wake.clear()

    def _next(self) -> list[_Post]:
        """The posts of the next commit."""
        rows = count = 0
        for post in self._waiting:
            if count and rows + len(post.elements) > MOST_ROWS:
                break
            rows += len(post.elements)
            count += 1
        posts, self._waiting = self._waiting[:count], self._waiting[count:]
        return posts

    async def _commit(self, posts: Sequence[_Post]) -> None:
        elements = [element for post in posts for element in post.elements]
        learned = [element for post in posts for element in post.learned]
        try:
            await self._inbox.leave_out([post.batch for post in posts if post.batch.left_out])
            left = await self._write(elements, learned) if elements or learned else set()
            if not left and self._outage.ends():
                log.info("webhook commits resumed")
        except Exception as error:  # a defect, too, costs these posts and no others
            left = None
            if self._outage.begins():
                log.error("webhook commit failed", extra={"error": str(error) or repr(error)})
        for post in posts:
            if not post.written.done():  # the caller may have gone
                keys = {element.unique for element in (*post.elements, *post.learned)}
                post.written.set_result(left is not None and left.isdisjoint(keys))

    async def _write(
        self, elements: Sequence[Element], learned: Sequence[Element]
    ) -> set[tuple[int, str]]:
        """Write them, and what others tell of users; what cannot be written is kept apart from the
        rest. Returns, by number and key, what a defect of ours has kept from being stored: a later
        build may take it, if it comes again.
        """
        said = self._said()
        try:
            written = await self._inbox.write(elements, said, learned)
        except OutcomeUnknown:
            raise
        except Exception as error:
            if isinstance(error, asyncpg.PostgresError) and not _is_unfit(error):
                raise
            return await self._write_apart(elements, learned, error)
        self._is_said(said)
        self._count(elements)
        left = len(elements) - written.inserted - written.unmatched - written.dropped
        self.counts["unmatched"] += written.unmatched
        self.counts["dropped"] += written.dropped
        self.counts["repeated"] += max(0, left)
        return set()

    async def _write_apart(
        self, elements: Sequence[Element], learned: Sequence[Element], error: Exception
    ) -> set[tuple[int, str]]:
        if len(elements) + len(learned) > 1:
            left: set[tuple[int, str]] = set()
            for some, others in _halves(elements, learned):
                left |= await self._write(some, others)
            return left
        [element] = (*elements, *learned)
        if not isinstance(error, asyncpg.PostgresError):
            if self._outage.begins():
                log.error("webhook commit failed", extra={"error": repr(error)})
            return {element.unique}
        log.error("webhook element rejected", extra={"error": str(error)})
        self.counts["unfit"] += 1
        await self._inbox.keep_apart(element, str(error))
        return set()

    async def _passed_on(self, notices: Sequence[Notice]) -> bool:
        try:
            for notice in notices:
                await self._inbox.pass_on(notice)
        except (OutcomeUnknown, asyncpg.PostgresError) as error:
            log.warning("notice storage failed", extra={"error": str(error)})
            return False
        return True

    async def _tell_vain(self) -> None:
        """Tell the database of refusals that last: strangers alone cost no statement."""
        since = self._vain
        if since == self._vain_told:
            return
        lasted = None if since is None else self._clock() - since
        if self._vain_told is None and (lasted is None or lasted < TOUCH_SECONDS):
            return
        try:
            await self._inbox.tell_vain(lasted)
        except (OutcomeUnknown, asyncpg.PostgresError):
            return  # at the next turn
        self._vain_told = since

    async def _touch(self) -> None:
        said = self._said()
        if said is None:
            return
        try:
            await self._inbox.touch(said)
        except (OutcomeUnknown, asyncpg.PostgresError) as error:
            if self._outage.begins():
                log.error("webhook commit failed", extra={"error": str(error)})
            return
        self._is_said(said)

    def _said(self) -> ListenerState | None:
        """The listener's next word about itself; None if the last one was a moment ago."""
        took = self._clock() - self._touched
        if took < 0.9 * TOUCH_SECONDS and self._breaks == self._told:
            return None
        self._telling = self._breaks
        rate = self._rate
        if took > 0:
            rate += (self._came / took - rate) * (1 - math.exp(-took / AVERAGE_SECONDS))
        return ListenerState(self._breaks > self._told, self._newest, rate)

    def _is_said(self, said: ListenerState | None) -> None:
        if said is not None:
            self._touched, self._rate, self._came = self._clock(), said.inbound, 0
            self._told = self._telling

    def _count(self, elements: Iterable[Element]) -> None:
        kinds = Counter(element.kind for element in elements)
        self._came += kinds[INBOUND]
        self.counts.update({_NAMES[kind]: count for kind, count in kinds.items()})


def _is_news_alone(post: _Post) -> bool:
    """True if it only tells of users."""
    return not post.elements and not post.batch.left_out


def _offered(element: Element) -> OfferedStatus | None:
    """A status that the owner of its message may store; a failure is none."""
    if element.kind != STATUS or element.status not in RANKS:
        return None
    found = parse_reference(element.reference)
    if found is None:
        return None
    message_id, attempt = found
    slot = slot_of_id(message_id)
    ids = element.key, message_id, attempt, element.wamid, element.wa_id
    return OfferedStatus(slot, 0, *ids, element.raw, element.number)


def _halves(
    elements: Sequence[Element], learned: Sequence[Element]
) -> Iterator[tuple[Sequence[Element], Sequence[Element]]]:
    """Two parts of both: each list by itself, or the only one in halves."""
    if elements and learned:
        yield elements, ()
        yield (), learned
        return
    middle = (len(elements) + len(learned)) // 2
    yield elements[:middle], learned[:middle]
    yield elements[middle:], learned[middle:]


def _is_unfit(error: asyncpg.PostgresError) -> bool:
    """True if it is these elements that PostgreSQL cannot take, whenever they come."""
    return (error.sqlstate or "").startswith(_UNFIT)
