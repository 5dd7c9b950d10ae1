"""The simulation's tables answer as PostgreSQL does, and hold the same rows afterwards.

Otherwise the simulation would prove another product. The statements are those that the product
sends, by its own store objects, on both sides. ``WAROUTER_PLAYS=10000`` draws so many plays anew,
and makes the one that fails small.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.campaigns.simulation import owners
from tests.campaigns.simulation.cloud.inbox import Inbox
from tests.campaigns.simulation.journals import Journal, Parked
from tests.campaigns.simulation.owners import Owners
from tests.campaigns.simulation.plays.calls import Call, plays, whole_plays
from tests.campaigns.simulation.plays.model import Model
from tests.campaigns.simulation.plays.outcome import Outcome
from tests.campaigns.simulation.plays.postgres import PostgreSQL
from tests.campaigns.simulation.plays.written import WRITTEN
from tests.campaigns.simulation.tables import Tables
from tests.harness.patch import patched
from tests.harness.postgres import clone
from warouter.flow.lane_key import parts_of
from warouter.local.postgres import Postgres
from warouter.store import election
from warouter.store.journal import messages, parked

PLAYS, WHOLE_PLAYS = 40, 4
MORE = int(os.environ.get("WAROUTER_PLAYS", "0"))
ALL = list(HealthCheck)
pytestmark = pytest.mark.timeout(300 + MORE)
Played = tuple[list[Call], Outcome]  # what PostgreSQL did in a play


@pytest.fixture(scope="module")
def real(postgres: Postgres) -> Iterator[PostgreSQL]:
    side = PostgreSQL(asyncio.run(clone(postgres)))
    yield side
    side.close()


@pytest.fixture(scope="module")
def played(real: PostgreSQL) -> list[Played]:
    """The same plays each time, some of which have every call, some of which are written out."""
    found: list[Played] = [(calls, real.play(calls)) for calls in WRITTEN]

    for count, drawn in ((PLAYS, plays), (WHOLE_PLAYS, whole_plays)):

        @_the_same(count)
        @given(drawn)
        def play(calls: list[Call]) -> None:
            found.append((calls, real.play(calls)))

        play()
    return found


def _the_same(plays: int) -> settings:
    """So many plays, equal in each run."""
    return settings(
        max_examples=plays,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=ALL,
    )


def difference(calls: list[Call], model: Outcome, real: Outcome) -> str:
    """Where the two come apart first; empty if they do not."""
    for n, (call, here, there) in enumerate(zip(calls, model.answers, real.answers, strict=True)):
        if here != there:
            before = "\n".join(map(str, calls[:n]))
            return f"{before}\n{call}:\n  model      {here}\n  PostgreSQL {there}"
    for table, rows in real.rows.items():
        if rows != model.rows[table]:
            here, there = _unlike(model.rows[table], rows), _unlike(rows, model.rows[table])
            before = "\n".join(map(str, calls))
            return f"{before}\nrows of {table}:\n  model      {here}\n  PostgreSQL {there}"
    return ""


def _unlike(rows: list[Any], others: list[Any]) -> list[Any]:
    return [row for row in rows if row not in others]


def test_the_model_does_what_postgresql_does(real: PostgreSQL, played: list[Played]) -> None:
    for calls, outcome in played:
        found = difference(calls, Model().play(calls), outcome)
        assert not found, found
    if MORE:
        _play_more(real)


def _play_more(real: PostgreSQL) -> None:
    @settings(max_examples=MORE, database=None, deadline=None, suppress_health_check=ALL)
    @given(plays)
    def same(calls: list[Call]) -> None:
        found = difference(calls, Model().play(calls), real.play(calls))
        assert not found, found

    same()


_park, _append_events = Journal.park, Tables.append_events
_take_over, _change, _heard = Owners.take_over, Owners.change, Inbox.heard


def unfenced(self: Tables, *a: Any) -> Any:
    with patched([(Owners, "held", lambda _self, _inc, slots, _epochs: set(slots))]):
        return _append_events(self, *a)


def own_requests(_self: Tables, _held: set[int], a: tuple[Any, ...]) -> list[tuple[bytes, bytes]]:
    return list(zip(a[4], a[11], strict=True))


def park_once(self: Journal, p: dict[str, Any], now: float) -> None:
    if p["seq"] not in self.parked:
        _park(self, p, now)


def lead_by_any(self: Journal, lanes: Any, _now: float, _ends: Any) -> None:
    for seq, p in self.parked.items():
        if p.lane in lanes and p.look is None:
            self.parked[seq] = p._replace(look=p.due)


def lane_without_number(self: Journal, lane: str) -> list[Parked]:
    recipient = parts_of(lane)[1]
    return [p for _, p in sorted(self.parked.items()) if p.recipient == recipient]


def heard_of_any_number(self: Inbox) -> set[tuple[bytes, int]]:
    return {(message_id, number) for message_id, _ in _heard(self) for number in (1, 2)}


def take_over_unseen(self: Owners, term: int, inc: Any, slots: list[int], *a: Any) -> Any:
    return _take_over(self, term, inc, slots, [self.epochs[s] for s in slots], *a[1:])


def change_without_floor(
    self: Owners, slot: int, to: Any, term: Any, reason: str, above: int = 0
) -> None:
    _change(self, slot, to, term, reason)


def next_by_rows(_self: Tables, _slot: int, _log: int, journal: Journal) -> int:
    return journal.next_seq()


# Mistakes, each of which a play must show.
MISTAKES: dict[str, tuple[Any, str, Any]] = {
    "events are not fenced": (Tables, "append_events", unfenced),
    "keys are not looked at": (Tables, "_first_requests", own_requests),
    "a taken place is overwritten": (Journal, "free", lambda *_: None),
    "what is parked again waits as before": (Journal, "park", park_once),
    "any row leads its lane": (Journal, "lead", lead_by_any),
    "lane without number": (Journal, "lane", lane_without_number),
    "wamid of another number settles": (Inbox, "heard", heard_of_any_number),
    "a stale leader takes over": (Owners, "hold_term", lambda *_: None),
    "an old picture takes over": (Owners, "take_over", take_over_unseen),
    "a renewal goes below the floor": (Owners, "change", change_without_floor),
    "seqs of who is aside are given again": (Tables, "_next_seq", next_by_rows),
    "an old request is begun": (owners, "WAITED_SECONDS", 1e9),
}


# One test, not one a mistake: workers of a test run would each play everything once more.


def test_each_mistake_in_the_model_is_found(played: list[Played]) -> None:
    """Which of the drawn plays show what is up to Hypothesis; what none shows is written out."""
    missed = [name for name, change in MISTAKES.items() if not _found(played, change)]
    assert missed == [], "write plays for these in written.py"


def _found(played: list[Played], change: tuple[Any, str, Any]) -> bool:
    with patched([change]):
        return any(difference(calls, Model().play(calls), outcome) for calls, outcome in played)


STATEMENTS = (
    (messages, "_PAGES", "seq > w.after", "seq >= w.after"),
    (
        parked,
        "_PARKED_OF",
        "order by number, recipient, seq limit $4",
        "order by seq desc limit $4",
    ),
    (election, "_LOOK", "in ('waiting', 'running')", "= 'waiting'"),
)


def test_each_changed_statement_is_found(real: PostgreSQL, played: list[Played]) -> None:
    """The model knows a statement by a piece of its text, and does not see what else it says."""
    missed = []
    for where, name, text, other in STATEMENTS:
        changed = vars(where)[name].replace(text, other)
        assert changed != vars(where)[name]
        with patched([(where, name, changed)]):
            if not any(difference(calls, outcome, real.play(calls)) for calls, outcome in played):
                missed.append(name)
    assert not missed
