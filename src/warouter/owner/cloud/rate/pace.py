"""When the next request of this owner may begin: the number's rate, each recipient's, and stops.

Four things hold it back. The number's budget, of which this owner has a share; the rate of one
recipient; a stop of the number, for a moment or until an operator has acted; and the brake, while
none is taken.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

from warouter.cloud_number import NumberCloud
from warouter.flow.budget import Budget
from warouter.flow.pairs import Pairs
from warouter.owner.cloud.rate.brake import Brake, Key
from warouter.owner.cloud.rate.strange import Strange
from warouter.upstream.cloud.answers import Class, Judged

log = logging.getLogger(__name__)

THROTTLED_MS = (500, 1_500)  # after 130429: back to the head of its lane for so long
PAUSE_SECONDS = 5.0  # an upgrade, a maintenance: the number answers nothing meanwhile
UNREACHED_SECONDS = (0.2, 5.0)  # no connection: tried again after so long, and at most
LEAST_WAIT = 0.001
_NEVER = float("-inf")
_VAIN = (Class.DOUBT, Class.NOT_TAKEN, Class.PAUSE)
# A message that was refused so often for the moment waits longer each time: it has 999 attempts,
# and a trouble of the other side may last a day.
USUAL_TRIES, MOST_WAIT_MS = 12, 120_000


class Pace:
    """The budget of one owner for number ``of``. ``quota`` in messages/s, ``clock`` in seconds.
    ``room`` is called when there is room again for somebody who was refused.
    """

    def __init__(
        self,
        of: NumberCloud,
        quota: float,
        clock: Callable[[], float],
        room: Callable[[], None] = lambda: None,
    ) -> None:
        self.of = of
        self._clock = clock
        self.budget = Budget(quota, clock())
        self.pairs = Pairs()
        self.brake = Brake()
        self._strange = Strange()
        self._room = room
        self._timer: asyncio.TimerHandle | None = None
        self._paused_until = _NEVER
        self._unreached = 0
        self.stop: int | None = None  # Meta's code for which an operator must act
        self.throttled = self.pair_waits = 0
        self.begun = 0  # tokens taken

    @property
    def stopped(self) -> bool:
        """True while no request of this number may begin."""
        if self.stop is not None:
            return True
        if self._paused_until == _NEVER and not self.brake.on:  # nearly always
            return False
        now = self._clock()
        return now < self._paused_until or self.brake.shut(now)

    def may_begin(self, request: Key) -> bool:
        """True if this request may begin; asked last thing before the write, and after it."""
        if self.stop is not None:
            return False
        if self._paused_until == _NEVER and not self.brake.on:
            return True
        now = self._clock()
        return now >= self._paused_until and self.brake.begins(request, now)

    def places(self, room: int, waiting: int) -> int:
        """How many requests may be issued: there is ``room`` for so many, and ``waiting`` of them
        are being issued already.
        """
        if self.stopped:
            return 0
        return (min(room, 1) if self.brake.on else room) - waiting

    @property
    def rate(self) -> float:
        return self.budget.rate

    @property
    def braked(self) -> bool:
        """True while messages wait, as requests go one at a time."""
        return self.brake.felt(self._clock())

    def grant(self, quota: float) -> None:
        """The share of this owner changed."""
        self.budget.grant(quota, self._clock())

    def take(self, recipient: str, now: float) -> bool:
        """Take the tokens of one request; False, and none is taken, if it must wait."""
        if not self.budget.has(now) or self.pairs.take(recipient, now) > 0.0:
            return False
        self.budget.take(now)
        self.begun += 1
        return True

    def call_in(self, seconds: float) -> None:
        """Call ``room`` after so long, or when the number goes on after that."""
        loop, after = asyncio.get_running_loop(), max(seconds, LEAST_WAIT)
        if self._timer is not None:
            if self._timer.when() <= loop.time() + after:
                return
            self._timer.cancel()
        self._timer = loop.call_later(after, self._has_room)

    def heard(
        self,
        judged: Judged,
        recipient: str | None,
        now: float,
        request: Key,
        *,
        proven: bool = False,
    ) -> Judged:
        """Heed what an answer says of the rate; return what it means after those before it.

        That to a read mark, with attempt 0, says nothing of whether messages are taken; nor does
        an unclear one to what is ``proven`` to be taken: a status of it came first.
        """
        probe = self.brake.ended(request)
        judged = self._strange.judged(judged) if request[1] else judged
        if judged.rest_ms and not judged.limited:
            self._pause(judged.rest_ms / 1000, now)
        if judged.cls is Class.PAUSE:
            self._pause(PAUSE_SECONDS, now)
        elif judged.cls is Class.LANE and recipient is not None:
            self.pairs.refused(recipient, now)
        elif judged.cls is Class.TAKEN and recipient is not None:
            self.pairs.taken(recipient)
        elif judged.slower:
            self.throttled += 1
            self.budget.throttled(now)
        says_nothing = proven and judged.cls is Class.DOUBT
        if (request[1] and not says_nothing) or judged.limited:
            self._braked(judged, request, now, probe=probe)
        if judged.cls is not Class.NOT_TAKEN or judged.code:
            self._unreached = 0
        elif judged.wait_ms and now >= self._paused_until:  # only the first of several at once
            first, most = UNREACHED_SECONDS
            self._pause(min(most, first * 2.0**self._unreached), now)
            self._unreached = min(self._unreached + 1, 10)
        return judged

    def proven(self, request: Key) -> None:
        """A status of this request has come."""
        if self.brake.proven(request):
            self._released()

    def _released(self) -> None:
        log.info("brake released", extra=self.of.logged)
        self.call_in(LEAST_WAIT)

    def _braked(self, judged: Judged, request: Key, now: float, *, probe: bool) -> None:
        brake = self.brake
        if judged.cls is Class.TAKEN:
            if brake.took():
                self._released()
            return
        if judged.limited:
            begins = brake.limited(now, judged.wait_ms / 1000, probe=probe)
        elif judged.cls in _VAIN and (judged.code or judged.cls is Class.DOUBT):
            begins = not judged.slower and brake.in_vain(request, now, probe=probe)
        else:
            begins = False
        if begins:
            said = {"code": judged.meta_code, "details": judged.details, **self.of.logged}
            log.warning("brake set: messages go one at a time", extra=said)
        if brake.on:
            self.call_in(brake.wait(now))

    def again_ms(self, judged: Judged, recipient: str, attempts: int) -> int:
        """Milliseconds until a message that was not taken goes again; it was sent so often.

        For its recipient's rate only such refusals count: other troubles would make it an hour.
        """
        if judged.strange:
            return judged.wait_ms
        if judged.cls is Class.LANE:
            return int(self.pairs.backoff(recipient) * 1000)
        if judged.slower and not judged.limited:
            return random.randint(*THROTTLED_MS)
        longer = 2.0 ** min(max(0, attempts - USUAL_TRIES), 20)
        return int(max(1, judged.wait_ms, min(judged.wait_ms * longer, MOST_WAIT_MS)))

    def resumed(self) -> None:
        """The number may send again: one message finds out whether it may."""
        self.stop = None
        self.brake.set(self._clock())
        self.call_in(LEAST_WAIT)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _pause(self, seconds: float, now: float) -> None:
        self._paused_until = max(self._paused_until, now + seconds)
        self.call_in(seconds)

    def _has_room(self) -> None:
        self._timer = None
        if self.stopped and self.stop is None:
            now = self._clock()
            self.call_in(max(self._paused_until - now, self.brake.wait(now)))
        else:
            self._room()
