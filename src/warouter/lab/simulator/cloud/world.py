"""The simulated WhatsApp behind the Cloud door: messages, statuses and webhooks, without sockets.
Pure but for drawn numbers.

Everything that happens is told as elements of webhooks; whoever calls says what time it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import msgspec

from warouter.lab.simulator.cloud import people
from warouter.lab.simulator.cloud.facts import CloudFacts
from warouter.lab.simulator.cloud.faults import TIMED, CloudFaults
from warouter.lab.simulator.cloud.inbound import GraphMedia, cloud_only, element, with_wamids
from warouter.lab.simulator.cloud.intake import CloudIntake
from warouter.lab.simulator.cloud.message import AskedMessage
from warouter.lab.simulator.cloud.record import CloudRecord
from warouter.lab.simulator.cloud.statuses import CloudTimetable, Due, payload
from warouter.lab.simulator.cloud.templates import Templates
from warouter.lab.simulator.cloud.wamid import Wamids
from warouter.lab.simulator.cloud.webhooks.envelope import WebhookElement, WebhookSubject, body
from warouter.lab.simulator.cloud.webhooks.outbox import Outbox
from warouter.lab.simulator.inbound import InboundMessage
from warouter.message_id import parse

_HIGH = 1000.0


class World:
    """The state of the Cloud side. ``now`` is monotonic seconds, ``wall`` unix seconds.

    ``is_media`` tells if a media id was ever given. Nothing is told while ``heard`` is False.
    ``happened`` is called with the wamid, the event and its unix time, whoever hears of it.
    """

    def __init__(self, facts: CloudFacts, random: Random) -> None:
        self.facts = facts
        self.faults = CloudFaults()
        self.heard = False
        self.is_media: Callable[[str], bool] = _never
        self.happened: Callable[[str, str, int], None] = _unheard
        self._wamids = Wamids(random.getrandbits(32))
        self._sender = WebhookSubject(facts.waba_id, facts.phone_number_id, facts.number)
        self._wall = 0.0
        self._received = 0
        self._upgrade = 0.0
        self.record = CloudRecord(self._wamids)
        self.templates = Templates()
        self.timetable = CloudTimetable()
        self.outbox = Outbox(
            self._packed,
            lambda: self.record.webhooks,
            random,
            lambda *told: self.record.told(*told),
        )
        self.intake = CloudIntake(
            self.record, self.timetable, self.templates, lambda id: self.is_media(id), random
        )
        self.intake.accepted = self._accepted

    def use(self, faults: CloudFaults, now: float) -> None:
        """Apply other switches; `upgrade_s` and `outage_s` begin now. What takes its time is shown
        by ``left``, not by the switch.
        """
        self.faults = msgspec.structs.replace(faults, **dict.fromkeys(TIMED, 0.0))
        self.intake.use(faults, now)
        self.outbox.use(faults)
        if faults.upgrade_s:
            self._upgrade = now + faults.upgrade_s
            self.intake.upgrade(self._upgrade)
        if faults.outage_s:
            self.outbox.outage(now + faults.outage_s)
        if faults.hold_webhooks_s:
            self.outbox.hold(now + faults.hold_webhooks_s)

    def calm(self) -> None:
        """End switches that take their time."""
        self._upgrade = 0.0
        self.intake.upgrade(0.0)
        self.outbox.outage(0.0)
        self.outbox.hold(0.0)

    def left(self, now: float) -> dict[str, float]:
        """Seconds that are left of what takes its time."""
        ends = {
            "upgrade_s": self._upgrade,
            "outage_s": self.outbox.outage_ends,
            "hold_webhooks_s": self.outbox.hold_ends,
        }
        return {name: round(end - now, 3) for name, end in ends.items() if end > now}

    def tick(self, now: float, wall: float) -> None:
        """Issue the statuses that are due; to be called every few milliseconds."""
        self._wall = wall
        if self._upgrade and now >= self._upgrade:
            self._upgrade = 0.0
            self.use(self.faults.changed({"level": _HIGH}), now)
            self.tell(self._upgraded(), now)
        for due in self.timetable.due(now):
            self.record.statuses[due.status] += 1
            self.happened(due.taken.wamid, due.status, int(wall + self.faults.clock_s))
            if self.heard:
                self.outbox.add(self._status(due), now)

    def tell(self, element: WebhookElement, now: float) -> None:
        """Queue an element for the webhooks, if anybody listens."""
        if self.heard:
            self.outbox.add(element, now)

    def new_id(self, customer: str) -> str:
        """A wamid of a message from a customer: a number or a user id."""
        self._received += 1
        return self._wamids.incoming(customer, self._received)

    def inject(
        self, message: InboundMessage, media: dict[str, GraphMedia], now: float, wall: float
    ) -> None:
        """A customer wrote; ``media`` by their place in the message."""
        number = message.wa_id
        self.record.counters.inbound += 1
        identity = None
        shown = people.ShownCustomer("", "", "")
        if number:
            self.intake.wrote(number, now, wall)
            shown = self.intake.people.shown(number)
            if message.new_identity:
                identity = self.intake.identities.change(number, wall)
        hash = self._identity(number)
        self.tell(element(message, media, shown, identity, self._our_wamid, hash), now)

    def is_own(self, asked: dict[str, Any]) -> bool:
        """True for what only the Cloud API has; ValueError if it is not well formed."""
        return cloud_only(asked, lambda _: "wamid.", 0, self.intake.people) is not None

    def inject_own(self, asked: dict[str, Any], now: float, wall: float) -> str:
        """Inject a webhook of the Cloud API's own; returns its id."""
        found = cloud_only(asked, self.new_id, int(wall), self.intake.people)
        if found is None:
            raise ValueError("this is no webhook of the Cloud API's own")
        self.record.counters.inbound += 1
        if found.number:
            self.intake.wrote(found.number, now, wall)
            raw: dict[str, Any] = msgspec.json.decode(found.element.raw)
            said = msgspec.json.encode(with_wamids(raw, self._our_wamid))
            self.tell(msgspec.structs.replace(found.element, raw=said), now)
        else:
            self.tell(found.element, now)
        return found.id

    def _accepted(self, _asked: AskedMessage, wamid: str, at: float) -> None:
        self.happened(wamid, "accepted", int(at))

    def _status(self, due: Due) -> WebhookElement:
        taken, faults = due.taken, self.faults
        if taken.number:
            shown = self.intake.people.shown(taken.number)
        else:
            shown = people.ShownCustomer("", taken.user, "")
        contact, hash = b"", self._identity(taken.number)
        if faults.contacts and due.status in _WITH_CONTACT:
            contact = people.contact(shown, shown.username or taken.number, hash)
        return WebhookElement("statuses", payload(due, shown, faults, hash), contact, row=taken.row)

    def _identity(self, number: str) -> str:
        """The hash of a customer's identity, if the number asks for it."""
        if not self.intake.checks_identity or not number:
            return ""
        identity = self.intake.identities.of(number)
        return identity.hash if identity is not None else ""

    def _packed(self, elements: Sequence[WebhookElement]) -> bytes:
        faults = self.faults
        now = int(self._wall + faults.clock_s)
        return body(elements, self._sender, faults.entries, faults.changes, now)

    def _upgraded(self) -> WebhookElement:
        value = {
            "display_phone_number": self.facts.number,
            "event": "THROUGHPUT_UPGRADE",
            "current_limit": "TIER_UNLIMITED",
            "max_daily_conversations_per_business": "TIER_UNLIMITED",
        }
        return WebhookElement("", msgspec.json.encode(value), b"", "phone_number_quality_update")

    def _our_wamid(self, id: str) -> str | None:
        try:
            return self.record.wamid(parse(id))
        except ValueError:
            return None


_WITH_CONTACT = frozenset({"sent", "delivered", "read"})


def _never(_id: str) -> bool:
    return False


def _unheard(_wamid: str, _event: str, _at: int) -> None:
    """Nobody asks."""
