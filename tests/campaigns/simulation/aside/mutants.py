"""The protocol without a rule each: the judge must miss every one of them in some seed.

The names say what is taken out.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from tests.campaigns.simulation.aside.judge import LOST, ORDER, REPEATED
from tests.campaigns.simulation.aside.owner import ModelOwner, Work
from tests.harness.mutants import Changes
from warouter.flow import aside
from warouter.flow.aside import Aside, AsideReason, AsideRow, AsideStretch
from warouter.flow.consumers import Consumers
from warouter.flow.cursor import Cursor


class Mutant(NamedTuple):
    """What is taken out, and the invariants of which it must break one."""

    changes: Changes
    breaks: tuple[str, ...]


_enter_again, _may_leave, _stretch = Aside.enter_again, Aside.may_leave, Aside.stretch
_over, _put_back, _read = Aside.over, Aside.put_back, Aside.read


def _one_list(self: Aside, seq: int) -> bool:
    beyond = self.upto is not None and seq > self.upto
    return beyond or self.flow.settled(seq) or self.own.settled(seq)


def _forgets_out(self: Aside, *given: Any) -> None:
    _enter_again(self, *given)
    self.held.clear()


def _put_back_out(self: Aside, why: AsideReason, _out: object) -> None:
    _put_back(self, why, ())


def _takes_old_page(self: Aside, stretch: AsideStretch, *given: Any, full: bool) -> list[int]:
    return _read(self, stretch._replace(after=self.position), *given, full=full)


def _read_early(self: Aside, _loaded: int, committed: int) -> AsideStretch | None:
    return _stretch(self, sys.maxsize, committed)


def _opened_as_it_was(_: type[Aside], row: AsideRow, *_given: object) -> Aside:
    return Aside(row)


def _moves_all_of_it(self: Aside, _cursor: Cursor) -> None:
    flat = self.flow.flat
    for low, high in zip(flat[0::2], flat[1::2], strict=True):
        self.own.settle_range(low, high)
    self.flow = Cursor(self.flow.mark)


def _cursor_first(self: ModelOwner) -> Work:
    if not self.log.dirty:
        return
    record = self.record_begins()
    yield
    self._disk.write_cursor(record)
    yield
    self._disk.write_aside(record)
    yield
    self.record_ends(record)


def _covered_by_the_first(self: Consumers, _consumer: int, seq: int) -> None:
    self._shared.pop(seq, None)
    self._log.settle(seq)


MUTANTS = {
    "one list for what is taken in FLOW and what is settled aside": Mutant(
        [(Aside, "in_flow", _one_list)], (REPEATED,)
    ),
    "the next seq is that of the rows": Mutant(
        [(aside, "next_seq", lambda seq, _rows: seq)], (LOST, ORDER)
    ),
    "leaves while rows of it are queued": Mutant(
        [(Aside, "may_leave", lambda self, *given, queued: _may_leave(self, *given, queued=False))],
        (ORDER, LOST),
    ),
    "rows that are out are read again": Mutant([(Aside, "enter_again", _forgets_out)], (REPEATED,)),
    "rows that are out as it stops are read again": Mutant(
        [(Aside, "put_back", _put_back_out)], (REPEATED,)
    ),
    "a page that was asked for before it stopped is taken": Mutant(
        [(Aside, "read", _takes_old_page)], (LOST,)
    ),
    "the flag ends before the end is on disk": Mutant(
        [(Aside, "flags", lambda self, _recorded: self.upto is None)], (LOST,)
    ),
    "deleted before its rows are covered": Mutant(
        [(Aside, "over", lambda self, _cursor, n: _over(self, Cursor(sys.maxsize), n))],
        (REPEATED,),
    ),
    "the cursor is recorded first": Mutant([(ModelOwner, "record", _cursor_first)], (LOST,)),
    "covered when the first consumer has ended": Mutant(
        [(Consumers, "_ended_in_flow", _covered_by_the_first)], (LOST,)
    ),
    "leaving goes on after a takeover": Mutant(
        [(Aside, "opened", classmethod(_opened_as_it_was))], (ORDER,)
    ),
    "read before the log is loaded so far": Mutant([(Aside, "stretch", _read_early)], (ORDER,)),
    "what is taken in FLOW is settled before it is covered": Mutant(
        [(Aside, "_trim", _moves_all_of_it)], (LOST,)
    ),
}
