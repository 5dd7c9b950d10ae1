"""Inbound media that could not be fetched at once: tried again while the upstream may have it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from warouter.background import rest
from warouter.media.received import MOST_AT_ONCE, REFUSED, Received
from warouter.owner.media.failures import Failures
from warouter.store.media import WantedMedia

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0


class Late:
    """Looks for what is wanted of the owned slots, and due."""

    def __init__(
        self, received: Received, slots: Callable[[], Sequence[int]], failures: Failures
    ) -> None:
        self._received = received
        self._rows = received.library.rows
        self._slots = slots
        self._failures = failures

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await rest(LOOK_SECONDS)
            try:
                while await self.look() == MOST_AT_ONCE:
                    pass
            except Exception as error:
                # The database or the volume is away: there is a next time.
                log.warning("late media look-up failed", extra={"error": repr(error)[:200]})

    async def look(self) -> int:
        """Try what is due, a few at once; returns how many."""
        slots = self._slots()
        due = await self._rows.take_wanted(slots, MOST_AT_ONCE) if slots else []
        await asyncio.gather(*(self._try(wanted, over=over) for wanted, over in due))
        return len(due)

    async def _try(self, wanted: WantedMedia, *, over: bool) -> None:
        try:
            await self._received.fetch(wanted)
        except REFUSED as error:
            await self._give_up(wanted, str(error))
        except Exception as error:
            if over:
                await self._give_up(wanted, str(error) or type(error).__name__)
        else:
            # The media may have been stored before.
            await self._rows.forget_wanted(wanted.number, wanted.handle)
            log.info("inbound media fetched late", extra={"media": str(wanted.id)})

    async def _give_up(self, wanted: WantedMedia, why: str) -> None:
        if await self._rows.forget_wanted(wanted.number, wanted.handle):
            self._failures.note("inbound", str(wanted.id), wanted.mime, why)
            told = {"media": str(wanted.id), "error": why[:200]}
            log.error("inbound media given up", extra=told)
