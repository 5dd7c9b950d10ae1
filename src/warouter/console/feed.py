"""Readings shared by all who look at the same: one a second, however many look.

Whoever follows gets the newest text when it differs from what they have, and never more than one a
second. A reading that fails is no news: followers keep what they have, and hear nothing until
readings succeed again, by which they know how old it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from typing import NamedTuple

from warouter.log import Outage

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0

Render = Callable[[], Awaitable[str]]


class News(NamedTuple):
    """``number`` grows with each reading that succeeds; ``text`` is the reading."""

    number: int
    text: str


class Feed:
    """One reading, made again each second while somebody follows it."""

    def __init__(self, render: Render) -> None:
        self._render = render
        self._changed = asyncio.Condition()
        self._outage = Outage()
        self.followers = 0
        self.news = News(0, "")

    async def run(self) -> None:
        """Read until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                text = await self._render()
                self._outage.ends()
            except Exception as error:
                if self._outage.begins():
                    log.warning("page reading failed", extra={"error": repr(error)})
            else:
                await self._tell(text)
            await asyncio.sleep(max(EVERY_SECONDS - (loop.time() - began), EVERY_SECONDS / 2))

    async def after(self, number: int) -> News:
        """The first reading later than this one."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.news.number > number)
        return self.news

    async def _tell(self, text: str) -> None:
        async with self._changed:
            self.news = News(self.news.number + 1, text)
            self._changed.notify_all()


class Feeds:
    """The feeds that somebody follows, by what is looked at."""

    def __init__(self) -> None:
        self._feeds: dict[Hashable, tuple[Feed, asyncio.Task[None]]] = {}

    def __len__(self) -> int:
        return len(self._feeds)

    async def follow(self, key: Hashable, render: Render) -> AsyncIterator[News]:
        """Every reading of ``key`` from now on, begun by the first follower, ended by the last."""
        feed = self._joined(key, render)
        number = 0
        try:
            while True:
                news = await feed.after(number)
                number = news.number
                yield news
        finally:
            self._left(key)

    async def close(self) -> None:
        """End all readings."""
        tasks = [task for _, task in self._feeds.values()]
        self._feeds.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _joined(self, key: Hashable, render: Render) -> Feed:
        if key not in self._feeds:
            feed = Feed(render)
            self._feeds[key] = feed, asyncio.create_task(feed.run())
        feed, _ = self._feeds[key]
        feed.followers += 1
        return feed

    def _left(self, key: Hashable) -> None:
        if key not in self._feeds:  # all have been closed
            return
        feed, task = self._feeds[key]
        feed.followers -= 1
        if not feed.followers:
            del self._feeds[key]
            task.cancel()
