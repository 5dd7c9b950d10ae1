"""Users of WhatsApp whose id an answer of the Cloud API shows beside their number.

Webhooks show them, too, and are read by webapps; whoever is only written to is known from here.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict

import asyncpg

from warouter.errors import OutcomeUnknown
from warouter.store.journal import Journal
from warouter.upstream.cloud.answers import Judged

log = logging.getLogger(__name__)

FLUSH_SECONDS = 5.0
MOST_KNOWN = 20_000  # a pair that is forgotten is written once more


class Learned:
    """Writes pairs that are new to this process, a batch at a time."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._known: OrderedDict[str, str] = OrderedDict()
        self._new: dict[str, str] = {}

    def note(self, judged: Judged) -> None:
        """An answer that shows whom a message went to."""
        user, number = judged.user_id, judged.wa_id
        if not user or not number.isdigit() or self._known.get(user) == number:
            return
        if len(self._known) >= MOST_KNOWN:
            self._known.popitem(last=False)
        self._known[user] = self._new[user] = number

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            if self._new:
                await self._write()

    async def _write(self) -> None:
        new, self._new = self._new, {}
        try:
            await self._journal.learn(list(new), list(new.values()))
        except (OutcomeUnknown, asyncpg.PostgresError) as error:
            log.warning("identity recording failed", extra={"error": str(error)})
            for user in new:  # noted again with the next answer that shows it
                self._known.pop(user, None)
