"""Learns customers' ids, and who cannot be reached, from answers and statuses of the Cloud API.

Webhooks show the ids of users, too, and are read by webapps; whoever is only written to is known
from here. Nothing waits for these writes: they go every few seconds, all that came meanwhile at
once. A crash loses what was not written; the next answer that shows it brings it back.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict

import asyncpg

from warouter.errors import OutcomeUnknown
from warouter.store.journal import Journal
from warouter.upstream.cloud.answers import Judged
from warouter.upstream.cloud.meanings import UNREACHABLE

log = logging.getLogger(__name__)

FLUSH_SECONDS = 5.0
MOST_KNOWN = 20_000  # a pair that is forgotten is written once more


class LearnedUsers:
    """Writes what is new to this process, a batch at a time."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._known: OrderedDict[str, str] = OrderedDict()
        self._new: dict[str, str] = {}
        self._unreachable: dict[str, int] = {}  # numbers, and when they were not: unix s, 0 for now

    def note(self, judged: Judged, recipient: str | None) -> None:
        """An answer that shows whom a message to ``recipient`` went to, or that it could not."""
        if judged.meta_code == UNREACHABLE and recipient:
            self.unreachable(recipient, 0)
        user, number = judged.user_id, judged.wa_id
        if not user or not number.isdigit() or self._known.get(user) == number:
            return
        if len(self._known) >= MOST_KNOWN:
            self._known.popitem(last=False)
        self._known[user] = self._new[user] = number

    def unreachable(self, recipient: str, at: int) -> None:
        """A message to this number failed with 131026, at this time (unix s, 0 for now).

        A few seconds later POST /v1/contacts calls the number invalid, for a day. Beyond
        ``MOST_KNOWN`` numbers at once they stay valid: that is only advice.
        """
        if len(self._unreachable) < MOST_KNOWN or recipient in self._unreachable:
            self._unreachable[recipient] = at

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            if self._new:
                await self._write()
            if self._unreachable:
                await self._write_unreachable()

    async def _write(self) -> None:
        new, self._new = self._new, {}
        try:
            await self._journal.learn(list(new), list(new.values()))
        except (OutcomeUnknown, asyncpg.PostgresError) as error:
            log.warning("identity recording failed", extra={"error": str(error)})
            for user in new:  # noted again with the next answer that shows it
                self._known.pop(user, None)

    async def _write_unreachable(self) -> None:
        found, self._unreachable = self._unreachable, {}
        try:
            await self._journal.learn_unreachable(list(found), list(found.values()))
        except (OutcomeUnknown, asyncpg.PostgresError) as error:
            log.warning("unreachable number recording failed", extra={"error": str(error)})
