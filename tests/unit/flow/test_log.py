"""One log of a slot: every row goes on once, in order, and the mark waits for no gap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from warouter.flow.log import Memory, SlotLog
from warouter.flow.progress import Unpark

MOST, MOST_BYTES = 6, 60


def opened(mark: int, ranges: list[int], next_seq: int) -> SlotLog:
    log = SlotLog(Memory(), MOST, MOST_BYTES)
    log.opened(mark, ranges, next_seq)
    return log


@given(st.sets(st.integers(1, 60)), st.integers(1, 20))
def test_reading_the_journal_settles_what_was_never_used(rows: set[int], size: int) -> None:
    """A seq that a repeat used up has no row: whoever reads on must not wait for it."""
    last = max(rows, default=0)
    log = opened(0, [], last + 1)
    left = sorted(rows)
    while log.behind:
        page, left = left[:size], left[size:]
        log.settle_gaps(iter(page), page[-1] if len(page) == size else log.committed)
        for seq in page:
            log.settle(seq)
    assert (log.cursor.mark, log.cursor.flat) == (last, [])


def test_a_recorded_row_is_told_once() -> None:
    log = opened(0, [], 9)
    log.settle(1)
    log.settle(3)
    log.release(8)
    log.note(Unpark(8))
    progress, settled = log.record_begins()
    assert progress == (1, [3, 3], [Unpark(8)])
    assert settled == [1, 3, 8]
    assert not log.dirty
    log.settle(2)
    assert log.dirty
    assert log.record_begins() == ((3, [], []), [2])


class Model:
    """A journal as a list of rows, and who works them off."""

    def __init__(self) -> None:
        self.log = opened(0, [], 1)
        self.disk: list[int] = []
        self.seen: list[int] = []
        self.held: list[int] = []
        self.settled: set[int] = set()

    @property
    def memory(self) -> Memory:
        held = self.log.held
        assert isinstance(held, Memory)
        return held

    def commit(self, n: int) -> None:
        """A row is on disk; one in four is a repeat, which leaves a gap."""
        seq = self.log.take_seq()
        direct = self.log.appended(seq)
        if n == 0:
            self.log.settle(seq)
            self.settled.add(seq)
            return
        self.disk.append(seq)
        if direct:
            self.take(seq)

    def commit_run(self, n: int) -> None:
        """Some rows of one commit: they go on together if there is room for all of them."""
        seqs = [self.log.take_seq() for _ in range(1 + n)]
        self.disk += seqs
        if self.log.appended_run(seqs[-1], len(seqs), 10 * len(seqs)):
            going = seqs
            assert len(self.held) + len(seqs) <= MOST
        else:
            going = [seq for seq in seqs if self.log.appended(seq)]
        for seq in going:
            self.take(seq)

    def take(self, seq: int) -> None:
        self.seen.append(seq)
        self.held.append(seq)
        self.memory.hold(1, 10)

    def read(self, n: int) -> None:
        """A page of the journal is read, as a pager does it."""
        log = self.log
        if not (log.behind and log.has_room):
            return
        upto, limit = log.committed, 1 + n
        rows = [seq for seq in self.disk if log.loaded < seq <= upto][:limit]
        for seq in rows:
            if not log.cursor.settled(seq):
                self.take(seq)
        log.settle_gaps(rows, rows[-1] if len(rows) == limit else upto)

    def finish(self, n: int) -> None:
        """One of those in memory arrives."""
        if self.held:
            seq = self.held.pop(n % len(self.held))
            self.memory.let_go(1, 10)
            self.log.settle(seq)
            self.settled.add(seq)

    def check(self) -> None:
        log = self.log
        assert self.seen == sorted(set(self.seen))  # each once, in the order of the journal
        assert self.seen == [seq for seq in self.disk if seq <= log.loaded]
        assert log.loaded <= log.committed == log.next_seq - 1
        assert all(log.cursor.settled(seq) for seq in self.settled)
        assert not any(log.cursor.settled(seq) for seq in self.held)
        assert log.has_room == (len(self.held) < MOST)


steps = ("commit", "commit", "commit_run", "read", "finish")


@given(st.lists(st.tuples(st.sampled_from(steps), st.integers(0, 3)), max_size=80))
def test_every_row_goes_on_once_and_in_order(script: list[tuple[str, int]]) -> None:
    model = Model()
    for step, n in script:
        getattr(model, step)(n)
        model.check()
    while model.log.behind or model.held:
        model.read(3)
        model.finish(0)
        model.check()
    assert model.seen == model.disk
    assert (model.log.cursor.mark, model.log.cursor.flat) == (model.log.committed, [])
