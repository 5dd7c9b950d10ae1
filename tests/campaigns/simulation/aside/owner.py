"""An owner of the slot under one epoch. Each decision about who is aside is the product's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from tests.campaigns.simulation.aside.disk import CONSUMERS, NUMBER_OF, Disk, LogRow, Record
from warouter.flow import aside
from warouter.flow.aside import AsideReason
from warouter.flow.consumers import Consumers
from warouter.flow.log import Memory, SlotLog

MOST = 8  # rows of the log in memory
SHARE = 6  # rows that a consumer has aside in memory before no more are read
PAGE = 3

Work = Iterator[None]
Said = Callable[[int, int, str], None]


class ModelOwner:
    """Lanes, and statements under way by name. ``stopped`` consumers neither send nor read.

    ``sent`` and ``ended`` hear of each (seq, consumer, lane) that goes out, or was answered.
    """

    def __init__(self, disk: Disk, random: Random, stopped: set[int], sent: Said, ended: Said):
        self._disk, self._random, self.stopped = disk, random, stopped
        self._sent, self._ended = sent, ended
        self.memory = Memory()
        self.log = SlotLog(self.memory, MOST, 1 << 20)
        self.consumers = Consumers(self.log)
        self.lanes: dict[tuple[int, str], list[int]] = {}
        self.out: dict[tuple[int, int], str] = {}  # (seq, consumer) -> lane
        self.in_flow: set[tuple[int, int]] = set()  # what counts as memory of the log
        self.queue: list[LogRow] = []
        self.committing: list[LogRow] = []
        self.works: dict[str, Work] = {}
        self.records = self.recorded = 0
        rows = list(disk.aside.values())
        self.log.opened(disk.mark, disk.ranges, aside.next_seq(disk.next_seq, rows))
        self.consumers.opened(rows)

    # statements

    def begin(self, name: str, work: Work, *_shown: int) -> bool:
        """Begin a statement, unless one of its name is under way, or it has nothing to do."""
        if name in self.works or next(work, self) is self:
            return False
        self.works[name] = work
        return True

    def go_on(self, name: str) -> bool:
        """A statement reaches the disk, or its answer is heard."""
        if next(self.works[name], self) is self:
            del self.works[name]
        return True

    def commit(self) -> Work:
        """Some of the queue, in its order."""
        if not self.queue:
            return
        most = self._random.randint(1, len(self.queue))
        self.committing, self.queue = self.queue[:most], self.queue[most:]
        yield
        self._disk.append(self.committing)
        yield
        rows, self.committing = self.committing, []
        for row in rows:
            if self.log.appended(row.seq):
                self._take(row)

    def page(self) -> Work:
        """The slot's own pager reads on."""
        log = self.log
        if not (log.behind and log.has_room):
            return
        log.loading, upto = True, log.committed
        yield
        rows = self._disk.page(log.loaded, upto, PAGE)
        yield
        for row in rows:
            if not log.cursor.settled(row.seq):
                self._take(row)
        log.settle_gaps((row.seq for row in rows), rows[-1].seq if len(rows) == PAGE else upto)
        log.loading = False

    def read(self, consumer: int) -> Work:
        """The reader of what is aside comes to a consumer."""
        position = self.consumers.aside.get(consumer)
        if position is None or consumer in self.stopped or len(position.held) >= SHARE:
            return
        stretch = position.stretch(self.log.loaded, self.log.committed)
        if stretch is None:
            return
        stretch = stretch._replace(limit=min(stretch.limit, PAGE))
        yield
        after, upto, flagged, limit = stretch
        number = NUMBER_OF[consumer]
        rows = self._disk.page_of(number, after, upto, limit, flagged=flagged)
        yield
        lanes = {row.seq: row.lane for row in rows}
        for seq in position.read(stretch, [*lanes], full=len(rows) == limit):
            self.lanes.setdefault((consumer, lanes[seq]), []).append(seq)
        self.log.dirty = True

    def record(self) -> Work:
        """Progress, if there is any."""
        if not self.log.dirty:
            return
        record = self.record_begins()
        yield
        self._disk.record(record)
        yield
        self.record_ends(record)

    def record_begins(self) -> Record:
        changes = self.consumers.record_begins(self.recorded)
        progress, _ = self.log.record_begins()
        self.records += 1
        return Record(self.records, changes, progress.mark, progress.ranges)

    def record_ends(self, record: Record) -> None:
        self.recorded = record.number
        self.consumers.recorded(record.number)

    # what needs no statement

    def give(self, number: int, lane: str) -> bool:
        """A row is to be appended."""
        flag = self.consumers.flags(CONSUMERS[number], self.recorded)
        self.queue.append(LogRow(self.log.take_seq(), number, lane, flag))
        return True

    def waiting(self, consumer: int) -> list[int]:
        """Seqs of its rows in the lanes that are not out."""
        mine = [seqs for (of, _), seqs in self.lanes.items() if of == consumer]
        return sorted(seq for seqs in mine for seq in seqs if (seq, consumer) not in self.out)

    def enter(self, consumer: int) -> bool:
        """Send a consumer aside, or stop it there."""
        out = [seq for seq, of in self.out if of == consumer]
        if not self.consumers.may_enter(consumer, out):
            return False
        waiting, number, why = self.waiting(consumer), NUMBER_OF[consumer], AsideReason.BEHIND
        gone = self.consumers.enter(consumer, number, why, waiting=waiting, out=out)
        for (of, _), seqs in self.lanes.items():
            if of == consumer:
                seqs[:] = [seq for seq in seqs if seq not in gone]
        for seq in gone:
            self._let_go(seq, consumer)
        return True

    def leave(self, consumer: int) -> bool:
        """Let a consumer go on in FLOW, if it may."""
        position = self.consumers.aside.get(consumer)
        if position is None or consumer in self.stopped:
            return False
        number = NUMBER_OF[consumer]
        queued = any(row.number == number for row in (*self.queue, *self.committing))
        if not position.may_leave(self.log.committed, SHARE, queued=queued):
            return False
        self.consumers.leave(consumer, self.records + 1)
        return True

    def send(self) -> bool:
        """The head of a lane goes out."""
        heads = [
            (seqs[0], consumer, lane)
            for (consumer, lane), seqs in self.lanes.items()
            if seqs and (seqs[0], consumer) not in self.out and consumer not in self.stopped
        ]
        if not heads:
            return False
        seq, consumer, lane = self._random.choice(heads)
        self.out[seq, consumer] = lane
        self._sent(seq, consumer, lane)
        return True

    def answer(self) -> bool:
        """One that is out is answered."""
        if not self.out:
            return False
        seq, consumer = self._random.choice([*self.out])
        lane = self.out.pop((seq, consumer))
        self.lanes[consumer, lane].remove(seq)
        self._let_go(seq, consumer)
        self._ended(seq, consumer, lane)
        self.consumers.ended(consumer, seq)
        return True

    def _take(self, row: LogRow) -> None:
        for consumer in self.consumers.take(row.seq, CONSUMERS[row.number]):
            self.lanes.setdefault((consumer, row.lane), []).append(row.seq)
            self.in_flow.add((row.seq, consumer))
            self.memory.hold(1, 1)

    def _let_go(self, seq: int, consumer: int) -> None:
        if (seq, consumer) in self.in_flow:
            self.in_flow.remove((seq, consumer))
            self.memory.let_go(1, 1)
