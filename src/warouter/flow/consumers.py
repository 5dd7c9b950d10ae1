"""The consumers of one log of a slot: which of them take a row in FLOW, and which have it aside.

The slot's cursor covers a row when each consumer that takes it in FLOW has ended with it: at once
if there is none. Nearly every row has one, of which nothing is noted here. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from warouter.flow.aside import Aside, AsideReason, AsideRow, Entering
from warouter.flow.log import SlotLog
from warouter.flow.progress import Unaside


class Consumers:
    """Positions aside and shared rows of one log, under one epoch. Consumers have ids."""

    __slots__ = ("_log", "_shared", "aside")

    def __init__(self, log: SlotLog) -> None:
        self._log = log
        self.aside: dict[int, Aside] = {}
        # Of rows that several take in FLOW, until the last of them has ended.
        self._shared: dict[int, _Shared] = {}

    def opened(self, rows: Iterable[AsideRow]) -> None:
        """Take over the rows of those that are aside, once the log has opened."""
        last, cursor = self._log.next_seq - 1, self._log.cursor
        self.aside = {row.consumer: Aside.opened(row, last, cursor) for row in rows}
        self._log.dirty |= any(aside.dirty for aside in self.aside.values())

    def flags(self, consumers: Iterable[int], recorded: int) -> bool:
        """True if a row that is given now, for these consumers, needs the flag ``aside``.

        ``recorded`` is the number of the last record that is on disk.
        """
        found = (self.aside.get(consumer) for consumer in consumers)
        return any(aside is not None and aside.flags(recorded) for aside in found)

    def take(self, seq: int, consumers: Iterable[int]) -> list[int]:
        """A row comes up in the log, from memory or from a page; returns who takes it in FLOW."""
        takers = [consumer for consumer in consumers if self.in_flow(consumer, seq)]
        if len(takers) > 1:
            self._shared[seq] = _Shared(takers)
        elif not takers:
            self._log.pass_over(seq)
        return takers

    def in_flow(self, consumer: int, seq: int) -> bool:
        """True if the consumer takes this row of its number in FLOW."""
        aside = self.aside.get(consumer)
        return aside is None or aside.in_flow(seq)

    def ended(self, consumer: int, seq: int) -> None:
        """The consumer needs no more of the row, which is settled where it belongs."""
        aside = self.aside.get(consumer)
        if aside is None or aside.in_flow(seq):
            self._ended_in_flow(consumer, seq)
        else:
            aside.settle(seq)
            self._log.dirty = True

    def may_enter(self, consumer: int, out: Collection[int]) -> bool:
        """True if the consumer is in FLOW, or aside, or is leaving and may turn round."""
        aside = self.aside.get(consumer)
        if aside is None or aside.upto is None:
            return True
        return aside.may_enter_again(self._entering(consumer, out))

    def enter(
        self,
        consumer: int,
        number: int,
        why: AsideReason,
        *,
        waiting: Sequence[int],
        out: Collection[int],
    ) -> list[int]:
        """Go aside, or stop there, with rows in memory that wait or are out.

        Returns those of the waiting that leave memory, to be read again in their order.
        """
        in_flow = [seq for seq in waiting if self.in_flow(consumer, seq)]
        of, aside = self._entering(consumer, out), self.aside.get(consumer)
        if aside is None:
            lowest = min((*in_flow, self._log.loaded + 1))
            aside = Aside.entered(consumer, number, why, lowest, of)
            self.aside[consumer] = aside
        elif aside.upto is None:
            aside.put_back(why, out)
        else:
            aside.enter_again(why, of)
        for seq in in_flow:
            if not aside.in_flow(seq):
                self._withdrawn(consumer, seq)
        self._log.dirty = True
        return [seq for seq in waiting if not aside.in_flow(seq)]

    def leave(self, consumer: int, record: int) -> None:
        """Take what is given from now on in FLOW; ``record`` is the number of the next record."""
        self.aside[consumer].leave(self._log.next_seq - 1, record)
        self._log.dirty = True

    def record_begins(self, recorded: int) -> list[AsideRow | Unaside]:
        """Return the changes for the record that has the log's cursor of now: each row is written
        before it.
        """
        cursor = self._log.cursor
        over = [consumer for consumer, aside in self.aside.items() if aside.over(cursor, recorded)]
        for consumer in over:
            del self.aside[consumer]
        moved = [aside for aside in self.aside.values() if aside.dirty]
        rows = (aside.record_begins(cursor) for aside in moved)
        return [*map(Unaside, over), *rows]

    def recorded(self, recorded: int) -> None:
        """A record is on disk; the next one is due if somebody's row may go now."""
        cursor = self._log.cursor
        self._log.dirty |= any(aside.over(cursor, recorded) for aside in self.aside.values())

    def _entering(self, consumer: int, out: Collection[int]) -> Entering:
        ended = [seq for seq, shared in self._shared.items() if consumer in shared.ended]
        return Entering(self._log.next_seq - 1, self._log.cursor, out, ended)

    def _ended_in_flow(self, consumer: int, seq: int) -> None:
        shared = self._shared.get(seq)
        if shared is not None:
            shared.waiting.discard(consumer)
            shared.ended.add(consumer)
        if self._may_cover(seq):
            self._log.settle(seq)

    def _withdrawn(self, consumer: int, seq: int) -> None:
        """The row belongs aside now: the slot's cursor waits for the others only."""
        if (shared := self._shared.get(seq)) is not None:
            shared.waiting.discard(consumer)
        if self._may_cover(seq):
            self._log.pass_over(seq)

    def _may_cover(self, seq: int) -> bool:
        """True if nobody takes the row in FLOW who has not ended with it."""
        shared = self._shared.get(seq)
        if shared is not None and shared.waiting:
            return False
        self._shared.pop(seq, None)
        return True


class _Shared:
    """A row that several consumers take in FLOW, and who of them has ended."""

    __slots__ = ("ended", "waiting")

    def __init__(self, takers: Iterable[int]) -> None:
        self.waiting = set(takers)
        self.ended: set[int] = set()
