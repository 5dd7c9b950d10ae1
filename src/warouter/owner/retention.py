"""Retention: prunes what is settled and old, slot by slot, in small steps between other work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import asyncpg

from warouter.app_settings import ApplicationSettings
from warouter.background import wait_for
from warouter.errors import OutcomeUnknown
from warouter.owner.ownership import Ownership
from warouter.owner.slot import OwnedSlot
from warouter.store.bounded import Fetch
from warouter.store.history import prune_cloud, prune_history, prune_letters
from warouter.store.journal import Journal
from warouter.store.journal.slots import FROM_FIRST, PrunePositions

log = logging.getLogger(__name__)

PRUNE_SECONDS = 60.0
PRUNE_ROWS = 500
PRUNE_PAUSE = 0.05


class Retention:
    """Prunes the journals of the open slots after ``days``, dead letters after ``letters_days``.

    ``fetch`` is for what belongs to no slot: no write of a slot waits behind it.
    """

    def __init__(
        self,
        ownership: Ownership,
        journal: Journal,
        fetch: Fetch,
        app_settings: Callable[[], ApplicationSettings],
        days: float,
        letters_days: float,
    ) -> None:
        self._ownership = ownership
        self._journal = journal
        self._fetch = fetch
        self._app_settings = app_settings
        self._days = days
        self._letters_days = letters_days
        self._collect = asyncio.Event()
        self._put_off = False  # as was said in this round

    def collect(self) -> None:
        """Prune now, and all that may go: somebody asked for it."""
        self._collect.set()

    async def run(self) -> None:
        """Prune now and then, unless it was switched off, until cancelled."""
        while True:
            await wait_for(self._collect, PRUNE_SECONDS)
            asked = self._collect.is_set()
            self._collect.clear()
            self._put_off = False
            await self._prune_keys()
            if 0 in self._ownership.slots:
                await self._prune_history()
            if not (asked or self._app_settings().garbagecollector_enable.messages):
                continue
            days = 0.0 if asked else self._days
            for slot in list(self._ownership.slots.values()):
                await self._prune_slot(slot, days)
            if asked:
                log.info("garbage collected", extra={"slots": len(self._ownership.slots)})

    async def _prune_slot(self, slot: OwnedSlot, days: float) -> None:
        after: PrunePositions | None = FROM_FIRST
        while slot.accepts and after is not None:
            try:
                pruned = await self._journal.prune(slot.current(), days, PRUNE_ROWS, after)
            except (OutcomeUnknown, asyncpg.PostgresError) as error:
                log.warning("pruning failed", extra={"slot": slot.slot, "error": str(error)})
                return
            self._note(pruned)
            after = None if pruned is None else pruned.after
            await asyncio.sleep(PRUNE_PAUSE)

    def _note(self, pruned: object | None) -> None:
        """None: the database's clock was too far ahead of this node's."""
        if pruned is None and not self._put_off:
            self._put_off = True
            log.warning("pruning put off")

    async def _prune_keys(self) -> None:
        await self._in_steps(
            "request keys",
            lambda: self._journal.prune_keys(list(self._ownership.slots), PRUNE_ROWS),
        )

    async def _prune_history(self) -> None:
        """Prune what belongs to no slot; the owner of slot 0 does it."""
        fetch, days, letters = self._fetch, self._days, self._letters_days
        await self._in_steps("history", lambda: prune_history(fetch, days, PRUNE_ROWS))
        await self._in_steps("cloud history", lambda: prune_cloud(fetch, days, PRUNE_ROWS))
        if letters and await self._in_steps(
            "dead letters", lambda: prune_letters(fetch, letters, PRUNE_ROWS)
        ):
            log.warning("dead letters removed", extra={"older_than_days": letters})

    async def _in_steps(self, what: str, step: Callable[[], Awaitable[int | None]]) -> int:
        """Few rows at a time, until there are no more; how many went."""
        total, gone = 0, PRUNE_ROWS
        while gone >= PRUNE_ROWS and self._ownership.slots:
            try:
                done = await step()
            except (OutcomeUnknown, asyncpg.PostgresError) as error:
                log.warning("pruning failed", extra={"rows": what, "error": str(error)})
                break
            self._note(done)
            gone = done or 0
            total += gone
            await asyncio.sleep(PRUNE_PAUSE)
        return total
