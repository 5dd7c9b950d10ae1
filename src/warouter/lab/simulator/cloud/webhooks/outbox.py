"""Which POSTs leave now, and when a failed one comes again. Pure but for drawn times.

Elements gather for a moment and leave as one POST. A POST that is not answered 200 is repeated as
it was, later than newer ones were sent, with a wait that doubles, until it is answered or given up.
URLs are served in turn, as a proxy before several listeners would.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count
from random import Random

import msgspec

from warouter.lab.simulator.cloud.columns import NONE
from warouter.lab.simulator.cloud.counters import WebhookCounters
from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.webhooks.envelope import MESSAGES, WebhookElement

# Meta's POSTs have at most 3 MB, and an escaped character up to three times as many bytes.
_MOST_BYTES = 900_000

Pack = Callable[[Sequence[WebhookElement]], bytes]
Told = Callable[[Sequence[int], float], None]


def _nobody(_rows: Sequence[int], _at: float) -> None:
    """Nobody asks."""


class WebhookPost(msgspec.Struct, eq=False):
    """One POST; ``first_failed`` is monotonic seconds, None while it has not failed.

    ``rows`` are those of the requests in the record of which it tells. ``of_messages``: all of it
    is of the field that goes to the URLs of numbers and accounts.
    """

    body: bytes
    elements: int
    rows: tuple[int, ...] = ()
    of_messages: bool = True
    tries: int = 0
    first_failed: float | None = None


class Outbox:
    """Elements and POSTs on their way. Times are monotonic seconds."""

    def __init__(
        self,
        pack: Pack,
        counters: Callable[[], WebhookCounters],
        random: Random,
        told: Told = _nobody,
    ) -> None:
        """``told`` is called with the requests of which a POST that was answered has told."""
        self._pack = pack
        self._counters = counters
        self._random = random
        self._told = told
        self._faults = CloudFaults()
        self._waiting: deque[tuple[float, WebhookElement]] = deque()
        self._late: list[tuple[float, int, WebhookElement]] = []
        self._again: list[tuple[float, int, WebhookPost]] = []
        self._numbers = count()
        self._flying = 0
        self.outage_ends = 0.0
        self.hold_ends = 0.0
        self._drawn = 0

    def __len__(self) -> int:
        """Number of elements and POSTs that are not acknowledged."""
        return len(self._waiting) + len(self._late) + len(self._again) + self._flying

    def use(self, faults: CloudFaults) -> None:
        """Apply other switches from now on."""
        self._faults = faults

    def outage(self, until: float) -> None:
        """POSTs fail before they reach anybody, until then; 0 ends it."""
        self.outage_ends = until

    def hold(self, until: float) -> None:
        """No POST leaves until then; 0 ends it."""
        self.hold_ends = until

    def add(self, element: WebhookElement, now: float) -> None:
        """Queue something to tell."""
        faults, random = self._faults, self._random
        if faults.straggle and random.random() < faults.straggle:
            self._later(element, now + random.random() * faults.straggle_ms / 1000)
        else:
            self._waiting.append((now, element))
        if faults.repeat and random.random() < faults.repeat:
            self._later(element, now + faults.repeat_ms / 1000)

    def leaving(self, now: float) -> list[WebhookPost]:
        """The POSTs that leave now. Each must be reported to ``done``."""
        while self._late and self._late[0][0] <= now:
            self._waiting.append((now, heappop(self._late)[2]))
        if self.hold_ends:
            if now < self.hold_ends:
                return []
            self.hold_ends = 0.0
            held = list(self._waiting)
            self._random.shuffle(held)
            self._waiting = deque(held)
        found: list[WebhookPost] = []
        while self._again and self._again[0][0] <= now and self._flying < self._faults.posts:
            self._leave(heappop(self._again)[2], found, now)
        while self._may_pack(now) and self._flying < self._faults.posts:
            self._leave(self._packed(), found, now)
        return found

    def done(self, post: WebhookPost, *, answered: bool, now: float) -> None:
        """A POST was answered 200, or was not."""
        self._flying -= 1
        counters = self._counters()
        if answered:
            counters.acknowledged += 1
            counters.elements += post.elements
            self._told(post.rows, now)
            return
        counters.failed += 1
        self._repeat(post, now)

    def drop(self, post: WebhookPost) -> None:
        """A POST has nowhere to go."""
        self._flying -= 1
        self._counters().dead += 1

    def _leave(self, post: WebhookPost, found: list[WebhookPost], now: float) -> None:
        counters = self._counters()
        counters.retried += post.tries > 0
        counters.sent += not post.tries
        post.tries += 1
        if now < self.outage_ends and self._hit():
            counters.failed += 1
            self._repeat(post, now)
            return
        self._flying += 1
        found.append(post)
        if self._faults.second_app and self._random.random() < self._faults.second_app:
            counters.sent += 1
            self._flying += 1
            found.append(msgspec.structs.replace(post, tries=1, first_failed=None))

    def _hit(self) -> bool:
        self._drawn += 1
        return self._drawn % self._faults.outage_every == 0

    def _repeat(self, post: WebhookPost, now: float) -> None:
        faults = self._faults
        if post.first_failed is None:
            post.first_failed = now
        if now - post.first_failed >= faults.give_up_s:
            self._counters().dead += 1
            return
        wait = min(faults.retry_ms / 1000 * 2 ** min(post.tries - 1, 30), faults.retry_most_s)
        wait *= 0.8 + 0.4 * self._random.random()
        heappush(self._again, (now + wait, next(self._numbers), post))

    def _may_pack(self, now: float) -> bool:
        waiting = self._waiting
        if not waiting:
            return False
        return len(waiting) >= self._faults.batch or (
            now - waiting[0][0] >= self._faults.gather_ms / 1000
        )

    def _packed(self) -> WebhookPost:
        elements: list[WebhookElement] = []
        size = 0
        of_messages = self._waiting[0][1].field == MESSAGES
        while self._waiting and len(elements) < self._faults.batch:
            element = self._waiting[0][1]
            size += len(element.raw) + len(element.contact)
            if (size > _MOST_BYTES and elements) or (element.field == MESSAGES) != of_messages:
                break
            elements.append(element)
            self._waiting.popleft()
        rows = tuple(e.row for e in elements if e.row != NONE)
        return WebhookPost(self._pack(elements), len(elements), rows, of_messages)

    def _later(self, element: WebhookElement, at: float) -> None:
        heappush(self._late, (at, next(self._numbers), element))
