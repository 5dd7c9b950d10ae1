"""Statuses that webapps hand to the owner over the link, without the inbox.

Only of what the owner knows by heart: messages whose first and only request it made under this
epoch. Their event, and what it proves, are on disk in one commit, and then the webhook is answered.
Whatever else comes is left to the webapp, which writes it into the inbox.
"""

from __future__ import annotations

import logging

from warouter.cluster.role import SlotState
from warouter.flow.doubt.states import REQUESTED
from warouter.link import wire
from warouter.link.listen import StatusOwner
from warouter.log import of_number
from warouter.owner.cloud.rows import NotYet, Rows
from warouter.owner.cloud.straight_answers import OfferOrigin, OpenOffer, Place, StraightAnswers
from warouter.owner.ownership import Ownership
from warouter.owner.slot import OwnedSlot
from warouter.store.journal.inbox import InboxRow
from warouter.upstream.cloud.batch import STATUS
from warouter.upstream.protocol import Event, Hearing

log = logging.getLogger(__name__)

FIRST = 1  # the attempt


class StraightStatuses(StatusOwner):
    """Reads what is offered as ``rows`` of the inbox; events go on to ``hearing``, once set."""

    def __init__(self, ownership: Ownership, rows: Rows, answers: StraightAnswers) -> None:
        self._ownership = ownership
        self._rows = rows
        self._answers = answers
        self.hearing: Hearing | None = None

    def on_statuses(self, webapp: OfferOrigin, offer: wire.StatusOffer) -> None:
        """Take what may be taken, in its order."""
        hearing = self.hearing
        takes = hearing is not None and not hearing.congested()
        open_offer = OpenOffer(webapp, offer)
        events: list[Event] = []
        for n, status in enumerate(offer.statuses):
            slot = self._slot_of(status) if takes else None
            recipient = _recipient(slot, status) if slot is not None else None
            if slot is None or recipient is None:
                open_offer.ended(n, stored=False)
            else:
                self._take(slot, status, recipient, Place(open_offer, n), events)
        if events and hearing is not None:
            hearing.on_upstream(events)

    def _slot_of(self, status: wire.OfferedStatus) -> OwnedSlot | None:
        slot = self._ownership.slots.get(status.slot)
        if slot is None or slot.epoch != status.epoch or not slot.claimed:
            return None
        return slot if slot.state is SlotState.ACTIVE else None

    def _take(
        self,
        slot: OwnedSlot,
        status: wire.OfferedStatus,
        recipient: str,
        place: Place,
        events: list[Event],
    ) -> None:
        answers = self._answers
        row = _row(answers.next_number(), status, recipient)
        try:
            event = self._rows.event(slot, row, {})
        except NotYet:
            place.ended(stored=False)
            return
        except Exception:
            extra = {"key": row.key, **of_number(row.number)}
            log.exception("status conversion failed", extra=extra)
            place.ended(stored=False)
            return
        message = slot.recent.get(status.id)
        if event is not None:
            answers.wait_for_event(slot, row.n, place)
            events.append(event)
            if message is not None:
                message.event = row.n
        elif message is None or not answers.wait(slot, message.event, place):
            answers.wait_for_record(slot, place)


def _recipient(slot: OwnedSlot, status: wire.OfferedStatus) -> str | None:
    """The recipient of a message that the owner knows by heart."""
    if status.attempt != FIRST:
        return None
    message = slot.recent.get(status.id)
    if message is not None:
        known = message.wamid == status.wamid and message.number == status.number
        return message.recipient if known else None
    issue = slot.issues.get(status.id)
    if issue is None or issue.state not in REQUESTED or issue.attempt != FIRST or issue.doubts:
        return None
    return issue.recipient if issue.number == status.number else None


def _row(n: int, status: wire.OfferedStatus, recipient: str) -> InboxRow:
    return InboxRow(
        n,
        status.slot,
        STATUS,
        status.key,
        status.id,
        status.attempt,
        status.wamid,
        status.wa_id or None,
        status.payload,
        None,
        recipient,
        None,
        number=status.number,
        sent_by=status.number,
    )
