"""A check that this coreapp can write its journals: made often, told with each beat.

A coreapp that beats but cannot write (its address or its role lost a right, a further session is
refused) would keep its slots for ever, and a spare like that would be given them. So an owner and a
spare are asked the same: whether each session that an owner needs does what it is for. With the
Cloud API issue rows and the inbox belong to that.
"""

from __future__ import annotations

import asyncio
import logging

from warouter.log import Outage
from warouter.store.journal import Journal

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
AGAIN_SECONDS = 0.2  # while it cannot


class Writable:
    """``problem`` is why it cannot, "" if it can.

    ``requests``: an owner here also writes issue rows and reads the inbox.
    """

    def __init__(self, journal: Journal, *, requests: bool = False) -> None:
        self._journal = journal
        self._requests = requests
        self._outage = Outage()
        self.problem = "not looked at yet"

    def ok(self) -> bool:
        return not self.problem

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(AGAIN_SECONDS if self.problem else LOOK_SECONDS)

    async def look(self) -> None:
        before = self.problem
        self.problem = await self._journal.problem(requests=self._requests)
        if self.problem and self.problem != before:
            self._outage.begins()
            log.warning("journal check failed", extra={"reason": self.problem})
        elif not self.problem and self._outage.ends():
            log.info("journal check recovered")
