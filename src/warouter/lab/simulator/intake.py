"""The upstream's answers to valid sends, and their effects. Pure.

An id that was taken is known for good: it is answered as it was the first time and changes nothing
else. The memory of ids lives as long as the process; a restarted simulator knows none.
"""

from __future__ import annotations

from random import Random

import msgspec

from warouter import codes
from warouter._hash import slot_of
from warouter.lab.simulator.faults import Faults
from warouter.lab.simulator.identity import Identities
from warouter.lab.simulator.record import Record
from warouter.lab.simulator.refusals import RefusalJudge
from warouter.lab.simulator.statuses import ALL, TakenMessage, Timetable, drawn
from warouter.upstream.protocol import Answer, Send

NOT_VALID = 1009
# Both are asked to come again, so no status ever shows them.
RATE_LIMIT = 429
PAIR_RATE = 131056


class Intake:
    """Takes messages in the order in which they are offered."""

    def __init__(
        self, record: Record, timetable: Timetable, identities: Identities, random: Random
    ) -> None:
        self._record = record
        self._timetable = timetable
        self._identities = identities
        self._random = random
        self._faults = Faults()
        self._plain = True
        self.refusals = RefusalJudge(identities, random)
        self._codes: dict[str, int] = {}
        self._marks: set[str] = set()
        self._pair_free: dict[str, float] = {}

    def use(self, faults: Faults) -> None:
        """Apply other faults from now on."""
        self._faults = faults
        self._plain = faults.all_statuses
        self.refusals.use(faults)
        if not faults.pair_rate:
            self._pair_free.clear()

    def answer(self, send: Send, now: float, wall: float) -> Answer:
        """The answer to one Send; ``now`` monotonic and ``wall`` unix seconds."""
        if send.kind == "read":
            return self._mark(send)
        code = self._codes.get(send.id)
        if code is not None:
            self._record.repeated()
            return _settled(send, code)
        return self._held_off(send, now) or self._take(send, now, wall)

    def _mark(self, send: Send) -> Answer:
        marked = _marked(send)
        if marked not in self._marks:
            self._marks.add(marked)
            self._record.marked(marked)
        return Answer(send.slot, send.id)

    def _held_off(self, send: Send, now: float) -> Answer | None:
        faults = self._faults
        if faults.throttle and self._random.random() < faults.throttle:
            return self._later(send, RATE_LIMIT, "Rate limit hit", faults.throttle_ms)
        if faults.pair_rate:
            free = self._pair_free.get(send.to, now)
            if free > now:
                wait = max(1, round((free - now) * 1000))
                return self._later(send, PAIR_RATE, "Pair rate limit hit", wait)
            self._pair_free[send.to] = now + 1 / faults.pair_rate
        return None

    def _later(self, send: Send, code: int, title: str, retry_ms: int) -> Answer:
        self._record.counters.throttled += 1
        return Answer(send.slot, send.id, code, title, "try again later", retry_ms)

    def _take(self, send: Send, now: float, wall: float) -> Answer:
        self._record.arrived(now, send.slot, send.epoch, send.seq, send.id, send.to)
        if send.media:
            self._record.attached(send.id, send.media)
        code = self._judged(send, now)
        self._codes[send.id] = code
        if code:
            self._record.counters.rejected += 1
        else:
            statuses = ALL if self._plain else drawn(self._faults, self._random)
            self._timetable.add(TakenMessage(send.slot, send.id, send.to, now, wall, statuses))
            self._identities.meet(send.to, wall)
        return _settled(send, code)

    def _judged(self, send: Send, now: float) -> int:
        try:
            slot = slot_of(send.to)
        except ValueError:
            return NOT_VALID
        if slot != send.slot:
            self._record.counters.misrouted += 1
        return self.refusals.code(send, now)


class _ReadMark(msgspec.Struct):
    message_id: str = ""


_mark = msgspec.json.Decoder(_ReadMark)


def _marked(send: Send) -> str:
    """The id of the inbound message that was read. The mark itself has another id."""
    try:
        return _mark.decode(send.body).message_id or send.id
    except msgspec.DecodeError:
        return send.id


def _settled(send: Send, code: int) -> Answer:
    if not code:
        return Answer(send.slot, send.id)
    details = "the recipient is not a wa_id" if code == NOT_VALID else codes.details(code)
    return Answer(send.slot, send.id, code, codes.title(code), details)
