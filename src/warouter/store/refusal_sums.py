"""Refusals for the audit log: equal ones are summed here and written once a second.

What a stranger is refused costs no statement each, and cannot fill memory or table. A second's
worth is lost if the process is killed; whatever is *done* has its row at once (``store/audit.py``).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from warouter.log import Outage

log = logging.getLogger(__name__)

MOST = 256  # kinds that are kept apart until they are written
PAUSE_SECONDS = 1.0
ANYBODY = "*"  # too short for the name of a user


class Note(msgspec.Struct, frozen=True):
    """The key by which equal refusals, or equal log-ins, are counted together."""

    actor: str
    action: str
    source: str
    outcome: str


class RefusalSums:
    """Sums notes; ``run`` writes the sums with ``add``."""

    def __init__(self, add: Callable[[Mapping[Note, int]], Awaitable[None]]) -> None:
        self._add = add
        self._sums: Counter[Note] = Counter()
        self._noted = asyncio.Event()
        self._writing = asyncio.Lock()

    def note(self, actor: str, action: str, source: str, outcome: str, times: int = 1) -> None:
        """Count one more. ``action`` and ``outcome`` are from a small set of our own texts."""
        note = Note(actor, action, source, outcome)
        if note not in self._sums and len(self._sums) >= MOST:
            note = Note(ANYBODY, action, ANYBODY, outcome)
        self._sums[note] += times
        self._noted.set()

    async def flush(self) -> None:
        """Write the sums; if that fails, they are kept for the next attempt."""
        async with self._writing:
            sums, self._sums = self._sums, Counter()
            self._noted.clear()
            try:
                await self._add(sums)
            except BaseException:
                for note, times in sums.items():
                    self.note(note.actor, note.action, note.source, note.outcome, times)
                raise

    async def run(self) -> None:
        """Write every second until cancelled. Never ends by itself."""
        outage = Outage()
        while True:
            await self._noted.wait()
            try:
                await self.flush()
                outage.ends()
            except Exception as error:
                if outage.begins():
                    log.warning("refusal write failed", extra={"error": repr(error)})
            await asyncio.sleep(PAUSE_SECONDS)
