"""Metrics of a coreapp, collected from its parts for each report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from warouter.kinds import EVENT_TYPES
from warouter.link.listen import LinkServer
from warouter.metrics import Sample
from warouter.node.end import End
from warouter.owner.appender import Appender
from warouter.owner.callbacks.feed import CallbackFeed
from warouter.owner.hearing import UpstreamListener
from warouter.owner.listener import BeatListener
from warouter.owner.media.work import MediaWork
from warouter.owner.ownership import Ownership
from warouter.owner.receipts import Receipts
from warouter.owner.sender import Sender
from warouter.owner.slot import OwnedSlot
from warouter.owner.writable import Writable
from warouter.store.beats import Beat
from warouter.store.reports import WEBHOOK
from warouter.upstream.protocol import Upstream


class CoreappParts(Protocol):
    """The parts of a coreapp that have metrics."""

    ownership: Ownership
    writable: Writable
    link: LinkServer
    appender: Appender
    sender: Sender
    upstream: Upstream
    hearing: UpstreamListener
    receipts: Receipts
    feed: CallbackFeed
    media: MediaWork
    beat_count: BeatCount

    @property
    def end(self) -> End: ...


class BeatCount(BeatListener):
    """Beats that came back, and how many of them late. ``beat_seconds`` is their interval."""

    def __init__(self, beat_seconds: float, clock: Callable[[], float]) -> None:
        self._late_after = 2 * beat_seconds
        self._clock = clock
        self._last: float | None = None
        self.all = self.late = 0

    def beaten(self, _beat: Beat) -> None:
        now = self._clock()
        self.all += 1
        if self._last is not None and now - self._last > self._late_after:
            self.late += 1
        self._last = now


class CoreappFigures:
    """Collects the metrics of a coreapp; counts beats from its creation on."""

    def __init__(self, parts: CoreappParts) -> None:
        self._parts = parts

    def samples(self) -> list[Sample]:
        c = self._parts
        slots = list(c.ownership.slots.values())
        return [
            Sample("pending_outgoing_messages", c.appender.queued + sum(map(_unsettled, slots))),
            Sample("warouter_slots_owned", len(slots)),
            Sample("warouter_upstream_connected", int(c.upstream.well)),
            Sample("warouter_journal_writable", int(c.writable.ok())),
            Sample("warouter_link_webapps", c.link.webapps),
            Sample("warouter_parked_recipients", sum(len(s.messages.parked) for s in slots)),
            Sample("warouter_messages_appended_total", c.appender.appended),
            Sample("warouter_append_commits_total", c.appender.commits),
            Sample("warouter_append_queued_messages", c.appender.queued),
            Sample("warouter_messages_sent_total", c.sender.sent),
            Sample("warouter_messages_answered_total", c.sender.answered),
            Sample("warouter_messages_asked_again_total", c.sender.asked_again),
            Sample("warouter_events_appended_total", c.receipts.appended),
            Sample("warouter_events_refused_total", c.receipts.refused),
            *(
                Sample("warouter_upstream_broken_total", c.hearing.broken[what], {"what": what})
                for what in ("event", "answer", "other")
            ),
            Sample("warouter_beats_total", c.beat_count.all),
            Sample("warouter_beats_late_total", c.beat_count.late),
            *self._callbacks(slots),
            *(sample for slot in slots for sample in _of_slot(slot)),
            *c.end.samples(),
        ]

    def state(self) -> dict[str, Any]:
        """Facts besides those of the host: of the upstream for /v1/support, of the webhook for
        ``store.views.webhook_status``, of media for ``store.views.media``.
        """
        return {
            "socket_conn": "UP" if self._parts.upstream.well else "DN",
            WEBHOOK: self._parts.feed.callbacks.outlook(),
            "media_failed": self._parts.media.failures.shown(),
        }

    def _callbacks(self, slots: list[OwnedSlot]) -> list[Sample]:
        callbacks = self._parts.feed.callbacks
        behind = sum(max(0, e.committed - e.loaded) for s in slots for e in s.events)
        dropped = self._parts.feed.dropped
        samples = [
            Sample("callback_queue_size", callbacks.queue_size + behind),
            Sample("warouter_callback_events_dropped_total", dropped),
        ]
        for label, count in callbacks.requests.items():
            labels = {"result": label.result, "type": label.type}
            took = callbacks.duration_ms[label]
            samples += [
                Sample("callback_requests", count, labels),
                Sample("callback_requests_duration_ms_count", count, labels),
                Sample("callback_requests_duration_ms_sum", took, labels),
            ]
        for kind in EVENT_TYPES:
            failing = int(kind in callbacks.failing)
            samples += [
                Sample("warouter_callbacks_failing", failing, {"type": kind}),
                Sample("warouter_callback_events_total", callbacks.delivered[kind], {"type": kind}),
            ]
        return samples


def _unsettled(slot: OwnedSlot) -> int:
    """Messages of a slot that the upstream has not taken: in memory,
    on disk only, and at least one for each parked recipient.
    """
    behind = max(0, slot.messages.committed - slot.messages.loaded)
    return slot.lanes.waiting + behind + len(slot.messages.parked)


def _of_slot(slot: OwnedSlot) -> list[Sample]:
    label = {"slot": str(slot.slot)}
    return [
        Sample("warouter_slot_epoch", slot.epoch, label),
        Sample("warouter_slot_journal_seq", slot.messages.committed, label),
        Sample("warouter_slot_settled_seq", slot.messages.cursor.mark, label),
        Sample("warouter_slot_waiting_messages", slot.lanes.waiting, label),
        Sample("warouter_slot_waiting_callbacks", sum(m.waiting for m in slot.delivered), label),
    ]
