"""Work for slots that nobody awaits: whatever goes wrong in it ends their epochs as doubted.

The next epoch reads the journal anew, so a recipient, or a slot's callbacks, never stand still
because a task of theirs is gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import asyncpg

from warouter import background
from warouter.errors import OutcomeUnknown
from warouter.owner.slot import OwnedSlot

log = logging.getLogger(__name__)

# What the database may answer at any time: worth a line, but no traceback.
FORESEEN = (OutcomeUnknown, asyncpg.PostgresError)


class SlotTasks:
    """``doubt`` ends epochs, given by slot, and is told why."""

    def __init__(self, doubt: Callable[[Mapping[int, int], str], None]) -> None:
        self._doubt = doubt

    def begin_task(self, slot: OwnedSlot, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run ``work`` of this epoch beside everything else."""
        return background.begin(work, lambda error: self.failed(slot.current(), error))

    async def guard(self, epochs: Callable[[], Mapping[int, int]], work: Awaitable[None]) -> bool:
        """Await ``work``; False: it failed, and what ``epochs`` then gave has ended."""
        try:
            await work
        except Exception as error:
            self.failed(epochs(), error)
            return False
        return True

    def failed(self, epochs: Mapping[int, int], error: Exception) -> None:
        """Work for these epochs ended with an error: what it has done, and not, is not known."""
        if not isinstance(error, FORESEEN):
            log.error("slot work failed", extra={"slots": sorted(epochs)}, exc_info=error)
        self._doubt(epochs, str(error) or repr(error))
