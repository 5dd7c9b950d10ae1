"""Decides if the Cloud API takes a message, and what follows. Pure but for drawn numbers.

Every request that is judged is judged alone: the Cloud API has no fence and knows no repeats. Who
is refused for what is decided below the doors (``simulator.refusals``); the limits of rate are of
this door.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

import msgspec

from warouter.lab.simulator.cloud.faults import CloudFaults
from warouter.lab.simulator.cloud.graph.errors import (
    HELD_BACK,
    LATE,
    PAIR,
    RATE,
    UNDELIVERABLE,
    GraphError,
    from_v1,
)
from warouter.lab.simulator.cloud.limits import PairLimit, Throughput
from warouter.lab.simulator.cloud.message import AskedMessage
from warouter.lab.simulator.cloud.people import People
from warouter.lab.simulator.cloud.record import CloudRecord
from warouter.lab.simulator.cloud.statuses import AcceptedMessage, CloudTimetable, planned, spread
from warouter.lab.simulator.cloud.templates import HELD, Templates
from warouter.lab.simulator.identity import Identities
from warouter.lab.simulator.refusals import RefusalJudge
from warouter.lab.simulator.statuses import ALL, drawn

UPGRADE = 131057
IDENTITY = 137000
NO_TEMPLATE = 132001


class Accepted(NamedTuple):
    """A message that was taken: its id, and the body of the answer."""

    wamid: str
    body: bytes


class CloudIntake:
    """Takes messages. ``is_media`` tells if a media id was ever given; ``accepted`` is called with
    what was asked, the wamid and the unix time of each.
    """

    def __init__(
        self,
        record: CloudRecord,
        timetable: CloudTimetable,
        templates: Templates,
        is_media: Callable[[str], bool],
        random: Random,
    ) -> None:
        self._record = record
        self._timetable = timetable
        self._templates = templates
        self._is_media = is_media
        self._random = random
        self.identities = Identities()
        self.checks_identity = False
        self.accepted: Callable[[AskedMessage, str, float], None] = _unheard
        self.refusals = RefusalJudge(self.identities, random)
        self.throughput = Throughput(0)
        self._pairs = PairLimit(0, 1)
        self._upgrade = 0.0
        self.use(CloudFaults(), 0.0)

    def use(self, faults: CloudFaults, now: float) -> None:
        """Apply other switches from now on."""
        self._faults = faults
        self._plain = faults.all_statuses and not faults.contradict
        self.people = People(
            faults.withheld, faults.withhold, respell=faults.respell, ids=faults.user_ids
        )
        self.refusals.use(faults)
        self.throughput.set(faults.level, now)
        self._pairs.set(faults.pair_s, faults.pair_depth)

    def upgrade(self, until: float) -> None:
        """The number is in maintenance until then."""
        self._upgrade = until

    def wrote(self, number: str, now: float, wall: float) -> None:
        """A customer wrote: counts for the rate, and opens the window of 24 hours."""
        self.throughput.take(now)
        self.identities.meet(number, wall)
        self.refusals.wrote(number, now)

    def take(
        self, asked: AskedMessage, row: int, now: float, wall: float, held: float = 0.0
    ) -> Accepted:
        """Take a message or raise GraphError. ``row`` is its request's in the record; ``held``
        seconds later than usual its statuses are told.
        """
        self._check_limits(asked, now)
        failure = self._failure(asked, now)
        self.throughput.take(now)
        self._pairs.take(asked.number or asked.written, now)
        wamid = self._record.accepted(row, asked.number or asked.written, now)
        self.accepted(asked, wamid, wall + self._faults.clock_s)
        if asked.media:
            self._record.attached(row, asked.media)
        if asked.number:
            self.identities.meet(asked.number, wall)
        user = asked.written if asked.by_user else ""
        category = self._category(asked)
        taken = AcceptedMessage(
            wamid, asked.number, user, asked.reference, category, now, wall, row=row
        )
        is_held = asked.template in self._faults.held_templates and asked.template is not None
        self._plan(taken, asked, failure, held, is_held=is_held)
        return Accepted(wamid, self._answer(asked, wamid, is_held=is_held))

    def _check_limits(self, asked: AskedMessage, now: float) -> None:
        faults = self._faults
        if now < self._upgrade:
            raise GraphError(UPGRADE)
        if faults.code and self._random.random() < faults.code_share:
            raise GraphError(faults.code)
        if faults.throttle and self._random.random() < faults.throttle:
            raise GraphError(self._random.choice(faults.throttle_as))
        if not self.throughput.may_take(now):
            raise GraphError(RATE)
        if not self._pairs.may_take(asked.number or asked.written, now):
            raise GraphError(PAIR)

    def _failure(self, asked: AskedMessage, now: float) -> int:
        """The code of the `failed` status that the message will get, 0 for none; raises GraphError
        for what is refused in the answer.
        """
        faults = self._faults
        self._check_identity(asked)
        if asked.template is not None and faults.defined_only and not self._defined(asked.template):
            raise GraphError(NO_TEMPLATE)
        if any(not self._is_media(handle) for handle in asked.media):
            self._record.counters.media_unknown += 1
            raise GraphError(faults.unknown_media)
        refusal = self.refusals.judged(asked.number, asked.template, now)
        code = from_v1(refusal) if refusal else 0 if asked.number else UNDELIVERABLE
        late = faults.errors == "status" or (faults.errors == "usual" and code in LATE)
        if code and not late:
            raise GraphError(code)
        return code

    def _check_identity(self, asked: AskedMessage) -> None:
        if not asked.identity:
            return
        identity = self.identities.of(asked.number)
        if identity is None:
            return
        if identity.hash == asked.identity:
            self.identities.acknowledge(asked.number, asked.identity)
        elif self.checks_identity or self._faults.identity_check:
            raise GraphError(IDENTITY)

    def _plan(
        self,
        taken: AcceptedMessage,
        asked: AskedMessage,
        failure: int,
        held: float,
        *,
        is_held: bool,
    ) -> None:
        faults, random = self._faults, self._random
        if is_held and random.random() < faults.held_drop:
            failure = failure or HELD_BACK
        names: Sequence[str] = ALL if self._plain else drawn(faults, random)
        taken.code = failure or faults.failed_code
        if failure:
            names = ("failed", "", "")
        statuses = planned(names, faults, voice=asked.voice and random.random() < faults.played)
        if faults.contradict and random.random() < faults.contradict:
            statuses.append(("failed", random.choice(faults.delays)))
        if faults.spread_ms:
            statuses = spread(statuses, faults.spread_ms / 1000, random)
        if is_held:
            statuses = [(name, after + faults.held_s) for name, after in statuses]
        taken.priced = next((n for n in ("delivered", "read") if n in names), "")
        self._timetable.add(taken, statuses, held)

    def _category(self, asked: AskedMessage) -> str:
        if asked.template is None:
            return "service"
        return self._templates.category(asked.template, self._faults.categories) or "utility"

    def _defined(self, template: str) -> bool:
        return self._templates.category(template, self._faults.categories) is not None

    def _answer(self, asked: AskedMessage, wamid: str, *, is_held: bool) -> bytes:
        contact: dict[str, str] = {"input": asked.written}
        if asked.number:
            shown = self.people.shown(asked.number)
            if shown.wa_id:
                contact["wa_id"] = shown.wa_id
            if shown.user_id:
                contact["user_id"] = shown.user_id
        elif asked.by_user:
            contact["user_id"] = asked.written
        message = {"id": wamid}
        if asked.template is not None:
            message["message_status"] = HELD if is_held else "accepted"
        return _encode(
            {"messaging_product": "whatsapp", "contacts": [contact], "messages": [message]}
        )


def _unheard(_asked: AskedMessage, _wamid: str, _at: float) -> None:
    """Nobody asks."""


_encode = msgspec.json.Encoder().encode
