"""A sender of messages of which some may be in doubt or held: what both upstreams have of that."""

from __future__ import annotations

from collections.abc import Callable

from warouter.flow.lanes import Entry
from warouter.owner.claims import Claims
from warouter.owner.cloud.doubts import Doubts, Going, Proving, Readings
from warouter.owner.cloud.endings import Endings, Rules
from warouter.owner.media.attachments import Attachments
from warouter.owner.ownership import Ownership
from warouter.owner.receipts import Receipts
from warouter.owner.recorder import Recorder
from warouter.owner.sender import Sender
from warouter.owner.slot import OwnedSlot
from warouter.store.journal import Journal
from warouter.upstream.protocol import Upstream


class DoubtingSender(Sender):
    """With the simulator: what the Cloud API may have taken before a switch is held, and never sent
    but by an operator's word.
    """

    def __init__(
        self,
        ownership: Ownership,
        journal: Journal,
        recorder: Recorder,
        receipts: Receipts,
        attachments: Attachments,
        claims: Claims,
        upstream: Upstream,
        clock: Callable[[], float],
        pending: float,
        *,
        rules: Rules,
        readings: Readings,
        proving: Proving,
        going: Going,
    ) -> None:
        super().__init__(
            ownership, journal, recorder, receipts, attachments, claims, upstream, clock, pending
        )
        endings = Endings(self._backlog, self._expiry, recorder, rules, clock)
        self.doubts = Doubts(self._backlog, endings, rules, readings, proving, going, clock)

    def opened(self, slot: OwnedSlot) -> None:
        self.doubts.opened(slot)
        self.handed(slot)
        super().opened(slot)

    def handed(self, slot: OwnedSlot) -> None:
        """What this process knows of its former epoch, before anything of the slot is sent."""

    def unknown(self, slot: OwnedSlot, entry: Entry) -> bool:
        issue = slot.issues.get(entry.id)
        return issue is not None and issue.doubts > 0
