"""Asks at most once a second, while something is in doubt, for the proof that webhooks come in."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

import asyncpg

from warouter import background
from warouter.errors import OutcomeUnknown
from warouter.flow.proof import COHORT_SECONDS, ProofState, way
from warouter.flow.windows import Windows
from warouter.store.journal import Journal

log = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0
SHARED_SECONDS = 1.0  # doubts that began within the same one share an answer
MOST_KNOWN = 4_096


class Proving:
    """Answers from what was read last, and reads anew. Doubts of one second share an answer."""

    def __init__(self, journal: Journal, windows: Windows, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._windows = windows
        self._clock = clock
        # By second: when it was read last, and since when it is known to be proven.
        self._known: dict[int, tuple[float, float]] = {}
        self._wanted: set[int] = set()  # seconds that are to be read
        self._reading = False
        self._ahead: float | None = None  # of Meta's clock, of the owner's: nobody sets that one

    def server_said(self, unix_seconds: float) -> None:
        """The other side's clock, as it said with an answer."""
        self._ahead = unix_seconds - self._clock()

    def proven_at(self, since: float) -> float:
        """The time by which a status of a request that ended at ``since`` would have come in; inf
        while nobody knows.
        """
        second, now = int(since), self._clock()
        read_at, proven_at = self._known.get(second, (-math.inf, math.inf))
        if proven_at == math.inf and now - read_at >= AGAIN_SECONDS:
            self._wanted.add(second)
            if not self._reading:
                self._reading = True
                background.begin(self._read_all(), self._failed)
        return proven_at

    async def _read_all(self) -> None:
        """One second after the other, as long as there are any: after an outage there are many."""
        try:
            while self._wanted:
                second = min(self._wanted)
                await self._read(second)
                self._wanted.discard(second)
        finally:
            self._wanted.clear()
            self._reading = False

    async def _read(self, second: int) -> None:
        try:
            age = self._clock() - second
            within = SHARED_SECONDS + self._windows.scaled(COHORT_SECONDS)
            found = await self._journal.way(age, within)
            offset = None
            if self._ahead is not None and found.now:
                offset = self._ahead + self._clock() - found.now
            told = way(
                age,
                found.cohort,
                found.listeners,
                offset=offset,
                windows=self._windows,
                spread=SHARED_SECONDS,
            )
            if len(self._known) >= MOST_KNOWN:
                self._known.pop(next(iter(self._known)))
            now = self._clock()
            self._known[second] = now, now if told is ProofState.PROVEN else math.inf
        except (OutcomeUnknown, asyncpg.PostgresError) as error:
            self._wanted.clear()  # they are asked for again
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        log.warning("proof of webhooks failed", extra={"error": str(error) or repr(error)})
