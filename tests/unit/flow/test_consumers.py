"""Consumers of one log: when the slot's cursor covers a row, and what a record says of them."""

from __future__ import annotations

import pytest

from warouter.flow.aside import AsideReason, AsideRow
from warouter.flow.consumers import Consumers
from warouter.flow.log import Memory, SlotLog
from warouter.flow.progress import Unaside

ONE, OTHER, NUMBER = 11, 12, 1
BOTH = (ONE, OTHER)
WHY = AsideReason.DOWN


def opened(mark: int, next_seq: int, *rows: AsideRow) -> tuple[SlotLog, Consumers]:
    log = SlotLog(Memory(), 100, 1 << 20)
    log.opened(mark, [], next_seq)
    consumers = Consumers(log)
    consumers.opened(rows)
    return log, consumers


@pytest.fixture
def log() -> SlotLog:
    """Three rows, on disk and in memory."""
    return opened(0, 1)[0]


@pytest.fixture
def consumers(log: SlotLog) -> Consumers:
    found = Consumers(log)
    for seq in (1, 2, 3):
        assert log.take_seq() == seq
        log.appended(seq)
        assert found.take(seq, BOTH) == [*BOTH]
    return found


def enter(consumers: Consumers, *waiting: int, consumer: int = ONE, out: int = 0) -> list[int]:
    of = [out] if out else []
    return consumers.enter(consumer, NUMBER, WHY, waiting=waiting, out=of)


def leave(log: SlotLog, consumers: Consumers) -> None:
    """The first consumer ends with all that it has aside, and leaves with record 2."""
    position = consumers.aside[ONE]
    stretch = position.stretch(log.loaded, log.committed)
    assert stretch is not None
    for seq in position.read(stretch, [1, 2, 3], full=False):
        consumers.ended(ONE, seq)
    consumers.leave(ONE, record=2)


def test_a_row_is_covered_when_its_last_consumer_has_ended(
    log: SlotLog, consumers: Consumers
) -> None:
    consumers.ended(ONE, 1)
    assert not log.cursor.settled(1)
    consumers.ended(OTHER, 1)
    assert log.cursor.mark == 1


def test_a_row_of_one_consumer_is_covered_by_its_end(log: SlotLog, consumers: Consumers) -> None:
    assert consumers.take(4, [ONE]) == [ONE]
    consumers.ended(ONE, 4)
    assert log.cursor.settled(4)


def test_a_row_that_all_have_aside_is_covered_as_it_comes_up(
    log: SlotLog, consumers: Consumers
) -> None:
    for consumer in BOTH:
        enter(consumers, 1, 2, 3, consumer=consumer)
    assert log.cursor.mark == 3
    assert consumers.take(4, BOTH) == []
    assert log.cursor.mark == 4


def test_a_consumer_that_went_aside_is_waited_for_by_none(
    log: SlotLog, consumers: Consumers
) -> None:
    consumers.ended(OTHER, 2)
    consumers.ended(OTHER, 3)
    assert enter(consumers, 2, 3, out=1) == [2, 3]
    assert (log.cursor.mark, log.cursor.flat) == (0, [2, 3])
    consumers.ended(OTHER, 1)
    assert log.cursor.mark == 0  # it is out to the first, who takes it in FLOW
    consumers.ended(ONE, 1)
    assert log.cursor.mark == 3


def test_an_end_aside_leaves_the_slot_s_cursor_alone(log: SlotLog, consumers: Consumers) -> None:
    enter(consumers, 1, 2, 3)
    leave(log, consumers)
    assert log.cursor.mark == 0
    assert consumers.aside[ONE].own.mark == 3


def test_a_row_that_one_consumer_has_ended_with_goes_to_the_other_only(
    log: SlotLog, consumers: Consumers
) -> None:
    consumers.ended(ONE, 2)
    enter(consumers, 1, 3)
    stretch = consumers.aside[ONE].stretch(3, 3)
    assert stretch is not None
    assert consumers.aside[ONE].read(stretch, [1, 2, 3], full=False) == [1, 3]


def test_rows_not_loaded_belong_aside_to_who_enters(log: SlotLog, consumers: Consumers) -> None:
    log.take_seq()
    log.appended(4, wanted=False)
    assert log.behind
    enter(consumers, 3)
    assert not consumers.in_flow(ONE, 4)
    assert consumers.take(4, BOTH) == [OTHER]


def test_the_record_whose_cursor_passes_over_a_row_says_whose_it_is(
    log: SlotLog, consumers: Consumers
) -> None:
    for seq in (1, 2, 3):
        consumers.ended(OTHER, seq)
    enter(consumers, 1, 2, 3)
    assert log.dirty
    [stored] = consumers.record_begins(0)
    assert log.record_begins()[0].mark == 3
    assert isinstance(stored, AsideRow)
    assert (stored.consumer, stored.base, stored.since) == (ONE, 0, 3)
    assert consumers.record_begins(1) == []


def test_rows_are_flagged_while_one_of_the_consumers_needs_it(
    log: SlotLog, consumers: Consumers
) -> None:
    assert not consumers.flags(BOTH, 0)
    enter(consumers, 1, 2, 3)
    assert consumers.flags(BOTH, 1)
    assert not consumers.flags([OTHER], 1)
    leave(log, consumers)
    assert consumers.flags(BOTH, 1)
    assert not consumers.flags(BOTH, 2)


def test_a_row_aside_goes_with_the_record_that_covers_it(
    log: SlotLog, consumers: Consumers
) -> None:
    enter(consumers, 1, 2, 3)
    leave(log, consumers)
    [stored] = consumers.record_begins(1)
    assert isinstance(stored, AsideRow)
    assert (stored.upto, stored.mark) == (3, 3)
    log.record_begins()
    consumers.recorded(2)
    assert not log.dirty  # the other has not ended
    for seq in (1, 2, 3):
        consumers.ended(OTHER, seq)
    log.record_begins()
    consumers.recorded(3)
    assert log.dirty
    assert consumers.record_begins(3) == [Unaside(ONE)]
    assert consumers.in_flow(ONE, 3)


def test_a_consumer_may_turn_round(log: SlotLog, consumers: Consumers) -> None:
    assert consumers.may_enter(ONE, [])
    enter(consumers, 1, 2, 3)
    leave(log, consumers)
    assert consumers.may_enter(ONE, [])
    log.take_seq()
    log.appended(4)
    assert consumers.take(4, BOTH) == [*BOTH]
    assert enter(consumers, 4) == [4]
    assert not consumers.in_flow(ONE, 4)


def test_a_consumer_that_is_aside_may_stop_there(log: SlotLog, consumers: Consumers) -> None:
    enter(consumers, 1, 2, 3)
    aside = consumers.aside[ONE]
    page = aside.stretch(3, 3)
    assert page is not None
    assert aside.read(page, [1, 2, 3], full=False) == [1, 2, 3]
    assert consumers.may_enter(ONE, [1])
    gone = consumers.enter(ONE, NUMBER, WHY, waiting=[2, 3], out=[1])
    assert gone == [2, 3]
    assert aside.read(page._replace(after=3), [4], full=False) == []  # asked for before
    again = aside.stretch(3, 3)
    assert again is not None
    assert aside.read(again, [1, 2, 3], full=False) == [2, 3]


def test_a_row_that_is_passed_over_is_covered_and_has_not_ended(
    log: SlotLog, consumers: Consumers
) -> None:
    enter(consumers, 1, 2, 3)
    consumers.ended(OTHER, 1)
    assert log.record_begins()[1] == [1]
    assert consumers.take(2, [ONE]) == []
    assert log.cursor.mark == 2
    assert log.record_begins()[1] == []


def test_a_leaving_consumer_has_no_end_after_a_takeover() -> None:
    stored = AsideRow(ONE, NUMBER, 2, 5, 6, [], 6, [], WHY)
    log, consumers = opened(2, 9, stored)
    assert log.dirty
    assert consumers.take(8, BOTH) == [OTHER]
    [again] = consumers.record_begins(0)
    assert isinstance(again, AsideRow)
    assert (again.since, again.upto) == (8, None)
