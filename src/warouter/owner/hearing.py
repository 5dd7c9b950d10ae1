"""Passes each message of the upstream on to the part of the owner that it concerns."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from typing import assert_never

from warouter.message_id import parse
from warouter.owner.claims import Claims
from warouter.owner.media.downloads import Downloads
from warouter.owner.ownership import Ownership
from warouter.owner.receipts import Receipts
from warouter.owner.sender import Sender
from warouter.owner.slot import GRANTED, OwnedSlot
from warouter.upstream.broken import ANSWER, EVENT, Broken
from warouter.upstream.protocol import (
    Answer,
    Claimed,
    Event,
    Heard,
    Refused,
    Revoked,
    UpstreamHandler,
    encode,
)

log = logging.getLogger(__name__)


class UpstreamListener(UpstreamHandler):
    """Statuses go to Receipts, inbound to Downloads, answers to Sender, the rest to Claims."""

    def __init__(
        self,
        ownership: Ownership,
        claims: Claims,
        downloads: Downloads,
        receipts: Receipts,
        sender: Sender,
    ) -> None:
        self._ownership = ownership
        self._claims = claims
        self._downloads = downloads
        self._receipts = receipts
        self._sender = sender
        self.broken: Counter[str] = Counter()  # frames that could not be read, by what they were

    def may_send(self) -> bool:
        return self._ownership.all_hold()

    def congested(self) -> bool:
        return self._receipts.full or self._downloads.full

    def on_upstream_up(self) -> None:
        self._claims.ask_all()
        self._ownership.wake()

    def on_upstream_down(self) -> None:
        self._claims.lose_all()
        self._ownership.progressed()
        self._ownership.wake()

    def on_upstream_writable(self) -> None:
        self._sender.pump_all()

    def on_upstream(self, heard: Iterable[Heard]) -> None:
        slots = self._ownership.slots
        events: list[tuple[OwnedSlot, Event]] = []
        for message in heard:
            slot = slots.get(message.slot)
            if slot is None:
                continue
            try:
                if isinstance(message, Event):
                    # Without a claim it belongs to an earlier epoch; the next claim brings it
                    # again.
                    if slot.claim is not GRANTED:
                        continue
                    if message.kind == "inbound":
                        self._downloads.on_inbound(slot, message)
                    else:
                        events.append((slot, message))
                elif isinstance(message, Answer):
                    self._on_answer(slot, message)
                else:
                    self._hear(slot, message)
            except Exception as error:  # an error of one slot: the connection is everybody's
                self._ownership.tasks.failed(slot.current(), error)
        if events:
            self._receipts.on_events(events)

    def on_broken(self, broken: Broken) -> None:
        """A frame that cannot be decoded: an answer is asked for again as if it were lost."""
        what = broken.what if broken.what in (EVENT, ANSWER) else "other"
        self.broken[what] += 1
        # The one place where content is logged: nobody will see this event in another way.
        log.error(
            "upstream frame decoding failed",
            extra={
                "kind": what,
                "slot": broken.slot,
                "number": broken.number,
                "reason": broken.reason,
                "frame": broken.shown,
            },
        )
        slot = self._ownership.slots.get(-1 if broken.slot is None else broken.slot)
        if slot is not None and slot.claimed and broken.number is not None:
            self._receipts.ack(slot, [broken.number])

    def _hear(self, slot: OwnedSlot, message: Claimed | Refused | Revoked) -> None:
        match message:
            case Claimed():
                if self._claims.granted(slot, message):
                    self._sender.claimed(slot)
            case Refused():
                self._claims.refused(slot, message)
            case Revoked():
                self._claims.revoked(slot, message)
            case _:
                assert_never(message)

    def _on_answer(self, slot: OwnedSlot, answer: Answer) -> None:
        try:
            message_id = parse(answer.id)
        except ValueError as error:
            self.on_broken(Broken(ANSWER, slot.slot, None, str(error), encode(answer)))
            return
        self._sender.on_answer(slot, message_id, answer)
