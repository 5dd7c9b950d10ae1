"""Asks if the Graph API is there, for coreapps whose own requests do not tell.

One that heard nothing but failures has lost its slots to others: without a question it would be
taken for cut off for ever. And one that has nothing to send would be taken for well while the Graph
API is away for all, and be given slots that it cannot send for.

So coreapps tell each other, in words that may be lost:
  away SECONDS  said by who has failed for so long, from ``LOOK_SECONDS`` on, and at once when it
                counts as cut off. Who has heard no answer lately asks; where it fails too, it has
                for as long. So all count as cut off at the same time, and what all share moves
                nothing (``cluster.trouble``)
  there         said by who is well again: the others ask as well, and are well at the same time
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from warouter.background import wait_for
from warouter.upstream.cloud.graph.failed import CallFailed
from warouter.upstream.cloud.graph.reach import Reach

LOOK_SECONDS = 2.0
QUIET_SECONDS = 10.0  # without a request, and between two questions
TELL_SECONDS = 3.0  # between two words, whoever said the last
# For an answer, and until the next question: who is told has asked before the others count as cut
# off, and need not ask anew when they do.
ASK_SECONDS = 5.0
AWAY, THERE = "cloud away ", "cloud there"


class Recovery:
    """Tells ``reach`` what the Graph API says to ``probe``, the cheapest call, and the other
    coreapps by ``tell`` what they should ask for themselves; ``clock`` in seconds.
    """

    def __init__(
        self,
        reach: Reach,
        probe: Callable[[], Awaitable[None]],
        tell: Callable[[str], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        self._reach = reach
        self._probe = probe
        self._tell = tell
        self._clock = clock
        self._asked = self._told = float("-inf")
        self._well = True  # at the last look
        self._since: float | None = None  # for whom said the last word, as ``hear`` has it
        self._came = asyncio.Event()

    async def run(self) -> None:
        """Look and hear until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_on())
            group.create_task(self._hear_on())

    def on_word(self, word: str) -> None:
        """A coreapp, maybe this one, has said AWAY with its seconds, or THERE; a word of another
        form, maybe of a later version, says nothing.
        """
        try:
            since = None if word == THERE else self._clock() - float(word.removeprefix(AWAY))
        except ValueError:
            return
        self._since = since
        self._came.set()

    async def look(self) -> None:
        """Ask if nothing else has lately, and say what others should ask for."""
        reach, now = self._reach, self._clock()
        quiet = now - max(self._asked, reach.failed_at) >= QUIET_SECONDS
        if reach.failing_since is not None and quiet:
            await self._ask()
        was, self._well = self._well, reach.well
        if was is not reach.well or self._fails(now):
            self._told = now
            failing = reach.failing_since is not None
            await self._tell(f"{AWAY}{reach.failing_for:.3f}" if failing else THERE)

    async def hear(self, since: float | None) -> None:
        """Another coreapp fails ``since`` then, None: it is well again. Is it the same here?"""
        reach = self._reach
        if since is None:
            if reach.failing_since is not None:
                await self._ask()
            return
        self._told = now = self._clock()
        if now - reach.answered_at < LOOK_SECONDS:
            return
        lately = now - reach.failed_at < ASK_SECONDS
        if (lately and reach.failing_for >= LOOK_SECONDS) or not await self._ask():
            reach.failed_with_others(since)

    def _fails(self, now: float) -> bool:
        """True if it has failed for a while and lately, and nobody has said so lately."""
        lately = now - self._reach.failed_at < TELL_SECONDS
        return (
            lately and self._reach.failing_for >= LOOK_SECONDS and now - self._told >= TELL_SECONDS
        )

    async def _ask(self) -> bool:
        """True if an answer in Meta's form came, whatever it says."""
        self._asked = self._clock()
        try:
            async with asyncio.timeout(ASK_SECONDS):
                await self._probe()
        except TimeoutError:
            there = False
        except CallFailed as error:
            there = error.judged is not None and error.judged.meta_code >= 0
        else:
            there = True
        if there:
            self._reach.answered()
        else:
            self._reach.failed()
        return there

    async def _look_on(self) -> None:
        while True:
            await wait_for(self._reach.turned, LOOK_SECONDS)
            self._reach.turned.clear()
            await self.look()

    async def _hear_on(self) -> None:
        while True:
            await self._came.wait()
            self._came.clear()
            await self.hear(self._since)
