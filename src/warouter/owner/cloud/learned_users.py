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

from warouter.cloud_number import NumberCloud
from warouter.errors import OutcomeUnknown
from warouter.store.journal import Journal
from warouter.upstream.cloud.answers import Judged
from warouter.upstream.cloud.meanings import UNREACHABLE

log = logging.getLogger(__name__)

FLUSH_SECONDS = 5.0
MOST_KNOWN = 20_000  # a pair that is forgotten is written once more


class LearnedUsers:
    """Writes what is new to this process, a batch at a time: users of portfolios, and whom numbers
    could not reach.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        # wa_ids by portfolio and user id.
        self._known: OrderedDict[tuple[int, str], str] = OrderedDict()
        self._new: dict[tuple[int, str], str] = {}
        # When a number could not reach a recipient: unix s, 0 for now.
        self._unreachable: dict[tuple[int, str], int] = {}

    def note(self, judged: Judged, recipient: str | None, of: NumberCloud) -> None:
        """An answer that shows whom a message ``of`` a number to ``recipient`` went to, or that it
        could not.
        """
        if judged.meta_code == UNREACHABLE and recipient:
            self.unreachable(of.id, recipient, 0)
        user, wa_id = (of.portfolio, judged.user_id), judged.wa_id
        if not judged.user_id or not wa_id.isdigit() or self._known.get(user) == wa_id:
            return
        if len(self._known) >= MOST_KNOWN:
            self._known.popitem(last=False)
        self._known[user] = self._new[user] = wa_id

    def unreachable(self, number: int, recipient: str, at: int) -> None:
        """A message of the number to ``recipient`` failed with 131026, at this time (unix s, 0 for
        now).

        A few seconds later POST /v1/contacts of the number calls the recipient invalid, for a day.
        Beyond ``MOST_KNOWN`` at once they stay valid: that is only advice.
        """
        place = number, recipient
        if len(self._unreachable) < MOST_KNOWN or place in self._unreachable:
            self._unreachable[place] = at

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
            await self._journal.learn([(*user, wa_id) for user, wa_id in new.items()])
        except (OutcomeUnknown, asyncpg.PostgresError) as error:
            log.warning("identity recording failed", extra={"error": str(error)})
            for user in new:  # noted again with the next answer that shows it
                self._known.pop(user, None)

    async def _write_unreachable(self) -> None:
        found, self._unreachable = self._unreachable, {}
        try:
            await self._journal.learn_unreachable([(*place, at) for place, at in found.items()])
        except (OutcomeUnknown, asyncpg.PostgresError) as error:
            log.warning("unreachable number recording failed", extra={"error": str(error)})
