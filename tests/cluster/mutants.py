"""Processes that lack one mechanism each: ``python mutants.py NAME coreapp``.

A checker counts only when the build without the mechanism fails it.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

from warouter import wire
from warouter.api.protocol import Connections
from warouter.cli import main
from warouter.cluster.lanes import Entry, Lanes
from warouter.node import edge
from warouter.owner.appender import Appender


def ack_before_commit() -> None:
    """I1: the webapp hears 201 while the row is still in memory."""
    commit = Appender._commit

    async def early(self: Appender, batch: list[Any]) -> None:
        for webapp, frame, _ in batch:
            webapp.send(webapp.frames.outcome(wire.ACKED, frame.slot, frame.epoch, [frame.id]))
        await asyncio.sleep(0.05)
        await commit(self, batch)

    Appender._commit = early  # type: ignore[method-assign]


def two_of_a_recipient_at_once() -> None:
    """I7: the next message of a recipient does not wait for the one that is to be tried again."""
    retry = Lanes.retry

    def impatient(self: Lanes, message_id: bytes, due: float) -> Entry | None:
        entry = retry(self, message_id, due)
        lane = self._lanes.get(entry.recipient) if entry else None
        if entry and lane and len(lane) > 1:
            lane.rotate(-1)
            self._later = [item for item in self._later if item[1] != entry.seq]
            self._ready.append((lane[0].seq, entry.recipient))
        return entry

    Lanes.retry = impatient  # type: ignore[method-assign]


def queue_is_reset() -> None:
    """I19: a listening socket is closed over the connections that wait in it."""

    def closed(listener: socket.socket) -> list[socket.socket]:
        listener.close()
        return []

    edge._queued = closed


def leave_at_once() -> None:
    """I19: connections are closed without a word, whoever is about to ask something."""

    async def none_is_left(self: Connections, within: float) -> bool:
        return True

    Connections.ended = none_is_left  # type: ignore[method-assign]


MUTANTS = {
    f.__name__: f
    for f in (ack_before_commit, two_of_a_recipient_at_once, queue_is_reset, leave_at_once)
}

if __name__ == "__main__":
    MUTANTS[sys.argv.pop(1)]()
    main()
