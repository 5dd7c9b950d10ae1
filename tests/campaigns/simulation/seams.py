"""Sizes and times of the product made small, by seed: batches of one, early timeouts, tiny windows.

They make what is rare at full size common.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Any

from tests.campaigns.simulation import loop, webhook
from tests.harness.patch import patched
from warouter.flow import cursor, lanes
from warouter.flow import parking as parked
from warouter.link import client
from warouter.owner import (
    appender,
    backlog,
    expiry,
    pager,
    receipts,
    recorder,
    sender,
    slot,
)
from warouter.owner.callbacks import events, feed, letters
from warouter.owner.parked import messages as parked_rows
from warouter.store import election
from warouter.store.journal import sessions
from warouter.upstream import client as upstream
from warouter.webhook import callbacks

WINDOW = lanes.WINDOW
Seam = tuple[tuple[Any, ...], str, tuple[Any, ...]]

# Where, which name, what it may be.
_SEAMS: tuple[Seam, ...] = (
    ((appender,), "MAX_ROWS", (1, 2, 5)),
    ((receipts,), "MAX_ROWS", (1, 3)),
    ((pager,), "PAGE", (1, 2, 3)),
    ((parked_rows, events), "PARKED_PAGE", (1, 2)),
    ((parked,), "MAX_PARKED", (1, 2, 3)),
    ((parked,), "PAGE_LANES", (1, 2)),
    ((parked,), "LOOK_SECONDS", (0.1, 1.0)),
    ((parked_rows,), "LANES_AT_ONCE", (1, 2)),
    ((parked_rows,), "MAX_FLYING", (1, 3)),
    ((letters,), "LETTERS_PAGE", (1, 2)),
    ((pager,), "PAGE_BYTES", (1, 100)),
    ((slot, backlog), "MAX_IN_MEMORY", (2, 4)),
    ((slot, parked_rows), "MAX_BYTES_IN_MEMORY", (2, 200)),
    ((slot,), "MAX_EVENTS_IN_MEMORY", (2, 4)),
    ((cursor,), "MAX_RANGES", (1, 3)),
    ((sender,), "PARK_AFTER_MS", (10, 100)),
    ((sender,), "PARK_AFTER_TRIES", (1, 2)),
    ((sessions,), "WRITE_SECONDS", (0.3, 1.0)),
    ((election,), "WRITE_SECONDS", (0.3, 2.0)),
    ((recorder,), "FLUSH_SECONDS", (0.001, 0.3)),
    ((recorder,), "FEW_SECONDS", (0.001, 0.5)),
    ((recorder,), "MANY", (1, 3)),
)
_SHARE = 0.3


@contextmanager
def drawn(random: Random, *, small: bool = True) -> Iterator[int]:
    """Some of the seams for one run, unless it is to have the product's own sizes and times.

    Gives the window of unsettled sends.
    """
    chosen = [
        (module, name, value)
        for modules, name, values in _SEAMS
        if random.random() < _SHARE
        for value in (random.choice(values),)
        for module in modules
    ]
    window = random.choice((2, 4, 8)) if random.random() < _SHARE else WINDOW
    if not small:
        chosen, window = [], WINDOW
    else:
        chosen += [(sender, "ANSWER_SECONDS", 1.0), (sender, "UNANSWERED_MS", 1_000)]
    chosen.append((slot, "Lanes", partial(lanes.Lanes, window)))
    way = Random(random.getrandbits(64))
    chosen += [(client, "Random", lambda: way), (upstream, "random", way.random)]
    chosen += [(feed, "Receiver", webhook.Receiver), (callbacks, "body", list)]
    chosen.append((expiry, "wall", loop.wall))
    with patched(chosen):
        yield window
