"""How soon an owner knows, of each of many messages in doubt, whether webhooks came in."""

from __future__ import annotations

import asyncio
import math
from typing import Any, cast

from tests.harness.wait import soon
from warouter.errors import OutcomeUnknown
from warouter.flow.proof import Cohort, ListenerAges
from warouter.flow.windows import Windows
from warouter.owner.cloud.proving import AGAIN_SECONDS, Proving
from warouter.store.journal.proofs import CloudPath

OUTAGE = range(600)  # in each of these seconds a doubt began
LATER = 3_600.0


class Journal:
    """It says that all went well; ``broken``: nothing can be read."""

    def __init__(self) -> None:
        self.readings = 0
        self.broken = False

    async def way(self, age: float, _within: float) -> CloudPath:
        self.readings += 1
        await asyncio.sleep(0)
        if self.broken:
            raise OutcomeUnknown("away")
        return CloudPath(Cohort(100, 0), [ListenerAges(age + 60.0, 0.0, meta=0.0)], 0.0)


async def test_after_an_outage_all_is_known_at_the_second_look() -> None:
    """It was a second of the outage a look."""
    journal = Journal()
    proving = Proving(cast("Any", journal), Windows(), lambda: LATER)
    assert not any([proving.proven_at(float(second)) < math.inf for second in OUTAGE])
    await soon(lambda: not proving._reading)
    assert all([proving.proven_at(float(second)) < math.inf for second in OUTAGE])
    assert journal.readings == len(OUTAGE)


async def test_a_reading_that_fails_is_asked_for_again() -> None:
    journal, now = Journal(), [LATER]
    proving = Proving(cast("Any", journal), Windows(), lambda: now[0])
    journal.broken = True
    for second in OUTAGE:
        proving.proven_at(float(second))
    await soon(lambda: not proving._reading)
    assert journal.readings == 1
    journal.broken = False
    now[0] += AGAIN_SECONDS
    assert proving.proven_at(0.0) == math.inf
    await soon(lambda: not proving._reading)
    assert proving.proven_at(0.0) < math.inf


class Silence(Journal):
    """Of what was answered at ``answered`` nothing was heard; customers write all the while."""

    def __init__(self, answered: float) -> None:
        super().__init__()
        self.answered = answered

    async def way(self, age: float, within: float) -> CloudPath:
        self.readings += 1
        silent = int(LATER - age <= self.answered < LATER - age + within)
        return CloudPath(Cohort(silent, silent), [ListenerAges(age + 60.0, 0.0, meta=0.0)], 0.0)


async def test_a_cohort_goes_on_after_the_last_doubt_that_shares_the_answer() -> None:
    """One near the end of a second was taken for that of an idle number, and sent again though
    all that was answered with it was late.
    """
    doubted = LATER - 60.0 - 0.05
    journal = Silence(doubted + 0.9)
    proving = Proving(cast("Any", journal), Windows(2.0), lambda: LATER)
    proving.proven_at(doubted)
    await soon(lambda: journal.readings and not proving._reading)
    assert proving.proven_at(doubted) == math.inf
