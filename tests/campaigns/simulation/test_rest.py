"""A run ends some time after its faults, or later: when what is left falls no more."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from tests.campaigns.simulation import world
from tests.campaigns.simulation.history import History
from tests.campaigns.simulation.judge import left
from tests.campaigns.simulation.tables import Tables
from tests.campaigns.simulation.world import REST, World
from tests.harness.patch import patched

END = 30.0
Left = tuple[int, int]


def rested(lefts: Sequence[Left]) -> float:
    """How long a run goes on of which so much is left at its end, and after each further look."""
    clock = SimpleNamespace(now=END)
    clock.run = lambda until: vars(clock).update(now=until)
    looks = iter(lefts)
    run: Any = SimpleNamespace(clock=clock)
    with patched([(world, "left", lambda _world: next(looks))]):
        World._come_to_rest(run)
    return clock.now - END


@pytest.mark.parametrize(
    ("lefts", "looks"),
    [
        ([(0, 0)], 0),
        ([(2, 0), (1, 3), (0, 2), (0, 0)], 3),  # a message that ends may have statuses
        ([(2, 0), (2, 0)], 1),
        ([(0, 1), (0, 2)], 1),
    ],
    ids=["nothing", "all comes to rest", "it stands still", "it grows"],
)
def test_a_run_goes_on_while_what_is_left_falls(lefts: list[Left], looks: int) -> None:
    assert rested(lefts) == pytest.approx(looks * REST)


def test_parked_and_unsettled_rows_remain() -> None:
    tables = Tables(History(), 2)
    run: Any = SimpleNamespace(tables=tables, upstream=SimpleNamespace(unacked=0))
    assert left(run) == (0, 0)
    row: Any = SimpleNamespace(seq=1, recipient="49151", number=1)
    tables.messages[3].add(row)
    tables.events[3][0].add(row)
    assert left(run) == (1, 1)
    tables.messages[3].settle(1, "{}")
    tables.messages[3].parked[1] = row
    aside = {"number": 1, "base": 0, "upto": None, "flow": [], "mark": 0, "ranges": []}
    run.upstream.unacked = 2
    assert left(run) == (1, 3)
    tables.aside[3, 0, 1] = aside
    assert left(run) == (2, 3)
