"""Whether the Graph API is there, asked by coreapps that no message of their own tells.

One that heard nothing but failures has lost its slots to others: without a question it would be
taken for cut off for ever. And a spare one would be taken for well while the Graph API is away for
all, and be given slots that it cannot send for: who begins to fail tells the others, and they ask.
So does who is well again: what all share begins and ends for all at about the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from warouter.upstream.cloud.graph.calls import CallFailed
from warouter.upstream.cloud.graph.client import CloudUpstream

LOOK_SECONDS = 2.0
QUIET_SECONDS = 10.0  # without a request, and between two questions
TELL_SECONDS = 3.0  # between two warnings; and who failed longer ago than that says nothing


class Recovery:
    """Tells ``upstream`` how it is by ``probe``, the cheapest call, and by ``tell`` the other
    coreapps that something is wrong; ``clock`` in seconds.
    """

    def __init__(
        self,
        upstream: CloudUpstream,
        probe: Callable[[], Awaitable[None]],
        tell: Callable[[], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        self._upstream = upstream
        self._probe = probe
        self._tell = tell
        self._clock = clock
        self._asked = self._told = float("-inf")
        self._warned = asyncio.Event()
        self._well = True  # at the last look

    async def run(self) -> None:
        """Look until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_loop())
            group.create_task(self._warning_loop())

    def warned(self) -> None:
        """Another coreapp hears nothing but failures, or is well again: is it the same here?"""
        self._warned.set()

    async def look(self) -> None:
        """Ask if nothing else has lately; an answer in Meta's form is enough, whatever it says."""
        upstream, now = self._upstream, self._clock()
        quiet = now - max(self._asked, upstream.failed_at) >= QUIET_SECONDS
        if not upstream.well and quiet and await self._there():
            upstream.revived()
        was, self._well = self._well, upstream.well
        if self._well and (not was or self._fails(now)):
            self._told = now
            await self._tell()

    async def look_too(self) -> None:
        """Ask, unless messages of our own are about to tell."""
        upstream = self._upstream
        if upstream.well and upstream.failing_since is not None:
            return
        if not await self._there():
            upstream.away()
        elif not upstream.well:
            upstream.revived()

    def _fails(self, now: float) -> bool:
        """It does, for a while, and nobody was told lately."""
        since = self._upstream.failing_since
        lately = now - self._upstream.failed_at < TELL_SECONDS
        if since is None or now - since < LOOK_SECONDS or not lately:
            return False
        return now - self._told >= TELL_SECONDS

    async def _there(self) -> bool:
        self._asked = self._clock()
        try:
            await self._probe()
        except CallFailed as error:
            return error.judged is not None and error.judged.meta_code >= 0
        return True

    async def _look_loop(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def _warning_loop(self) -> None:
        while True:
            await self._warned.wait()
            self._warned.clear()
            await self.look_too()
