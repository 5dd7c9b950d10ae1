"""Messages that refer to media, between their lane and the upstream.

Such a message is withheld while its media is prepared, so the order of its recipient holds and
nobody else waits; then it goes, unless it has expired. One that takes long gives its place in the
window back: it is parked, its media goes on being prepared, and it finds the handle ready when it
is taken up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from warouter.errors import ApiError
from warouter.flow.lanes import WINDOW, LaneEntry
from warouter.kinds import MEDIA, base_of
from warouter.media.references import Reference, find
from warouter.message_id import mark_of_id, text_of
from warouter.owner.backlog import Sending
from warouter.owner.listener import SlotListener
from warouter.owner.media.failures import Failures
from warouter.owner.media.uploads import Busy, Uploads
from warouter.owner.slot import OwnedSlot
from warouter.owner.tasks import SlotTasks
from warouter.upstream.protocol import Answer

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 2.0
# With more than FEW that wait in a slot each gives its place back sooner.
FEW, HURRIED_SECONDS = 16, 0.5
MOST_READY = 2 * WINDOW  # more than can be on their way
AGAIN_MS = 3_000
TROUBLE_MS, MOST_TROUBLE_MS = 2_000, 30_000
TROUBLE = 1014


class Attachments(SlotListener):
    """Prepares the media of entries that lanes gave out."""

    def __init__(
        self, uploads: Uploads, tasks: SlotTasks, failures: Failures | None = None
    ) -> None:
        self._uploads = uploads
        self._tasks = tasks
        self._failures = failures or Failures()
        self._slots: dict[OwnedSlot, _Prepared] = {}

    def prepared(
        self, slot: OwnedSlot, entries: Sequence[LaneEntry], sender: Sending
    ) -> Iterator[tuple[LaneEntry, tuple[str, ...]]]:
        """Yield the entries that may go now, with their media's handles; the rest comes again."""
        for entry in entries:
            if base_of(entry.kind) != MEDIA:
                yield entry, ()
                continue
            mine = self._slots.setdefault(slot, _Prepared({}, {}))
            handles = mine.ready.pop(entry.id, None)
            if handles is not None:
                yield entry, handles
            else:
                self._take(slot, mine, entry, sender)

    def gone(self, entry: LaneEntry) -> None:
        """The upstream does not know its media: they are prepared anew when it comes again."""
        for reference in self._references(entry):
            self._uploads.drop(reference, entry.number)

    def closed(self, slot: OwnedSlot) -> None:
        """Stop preparing and answering for the slot."""
        mine = self._slots.pop(slot, None)
        if mine is not None:
            for task in mine.preparing.values():
                task.cancel()
        self._uploads.forget(slot.slot)

    def _take(self, slot: OwnedSlot, mine: _Prepared, entry: LaneEntry, sender: Sending) -> None:
        slot.lanes.withhold(entry.id)
        if entry.id in mine.preparing:  # since before a new connection
            return
        patience = PATIENCE_SECONDS if len(mine.preparing) < FEW else HURRIED_SECONDS
        task = self._tasks.begin_task(slot, self._prepare(slot, entry, patience, sender))
        mine.preparing[entry.id] = task

    async def _prepare(
        self, slot: OwnedSlot, entry: LaneEntry, patience: float, sender: Sending
    ) -> None:
        answer: Answer | None = None
        handles: list[str] = []
        try:
            async with asyncio.timeout(patience):
                handles = [
                    await self._uploads.handle(
                        reference, slot.slot, mark_of_id(entry.id), entry.number
                    )
                    for reference in self._references(entry)
                ]
        except (TimeoutError, Busy):
            answer = _later(slot, entry, AGAIN_MS, "media is being prepared")
        except ApiError as error:
            if error.status < 500:
                answer = self._refused(slot, entry, error)
            else:
                answer = self._troubled(slot, entry, error)
        except Exception as error:
            answer = self._troubled(slot, entry, error)
        mine = self._slots.get(slot)
        if mine is None or not slot.open:
            return
        mine.preparing.pop(entry.id, None)
        if answer is None:
            if len(mine.ready) >= MOST_READY:  # the entries have expired
                mine.ready.clear()
            mine.ready[entry.id] = tuple(handles)
            slot.lanes.release(entry.id)
            sender.pump(slot)
        elif slot.lanes.is_out(entry.id):
            sender.on_answer(slot, entry.id, answer)

    def _references(self, entry: LaneEntry) -> list[Reference]:
        try:
            return find(entry.body)
        except (ValueError, msgspec.MsgspecError):
            return []  # the upstream judges it

    def _refused(self, slot: OwnedSlot, entry: LaneEntry, error: ApiError) -> Answer:
        """The answer for a message whose media cannot be had: it fails."""
        message = text_of(entry.id)
        kinds = ", ".join(reference.type for reference in self._references(entry))
        self._failures.note("outgoing", message, kinds, error.details or error.title)
        return Answer(slot.slot, message, error.code, error.title, error.details)

    def _troubled(self, slot: OwnedSlot, entry: LaneEntry, error: Exception) -> Answer:
        """The answer in a trouble that is not the message's fault: it waits, longer each time."""
        log.warning(
            "media preparation failed", extra={"slot": slot.slot, "error": repr(error)[:200]}
        )
        delay = min(TROUBLE_MS * 2 ** min(entry.attempts, 10), MOST_TROUBLE_MS)
        return _later(slot, entry, delay, "media cannot be prepared now")


class _Prepared(NamedTuple):
    """The prepared media of one slot, by message id."""

    preparing: dict[bytes, asyncio.Task[None]]
    ready: dict[bytes, tuple[str, ...]]


def _later(slot: OwnedSlot, entry: LaneEntry, delay_ms: int, why: str) -> Answer:
    return Answer(slot.slot, text_of(entry.id), TROUBLE, why, "", delay_ms)
