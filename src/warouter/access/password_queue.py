"""Turns at costly work, shared fairly: those who ask most wait longest, and are refused first."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from warouter.errors import TooManyRequests

T = TypeVar("T")


class FairQueue(Generic[T]):
    """A queue that serves addresses in turn, and the names of one address in turn. Pure.

    At most ``most`` wait. One more takes the place of the newest of the address that has most
    waiting (and of its name that has most), if that has two more than the newcomer's: so whoever
    asks little gets in however many requests another has waiting.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._waiting: dict[str, dict[str, deque[T]]] = {}  # by address and name, the next first

    def __len__(self) -> int:
        return self._size

    def join(self, address: str, name: str, item: T) -> T | None:
        """Add ``item``; returns the item that must leave for it, itself if nobody has more."""
        gone = None
        if self._size >= self._most:
            gone = self._give_way(address, name)
            if gone is None:
                return item
        self._waiting.setdefault(address, {}).setdefault(name, deque()).append(item)
        self._size += 1
        return gone

    def next(self) -> T | None:
        """Remove and return the item whose turn it is."""
        if not self._size:
            return None
        address = next(iter(self._waiting))
        names = self._waiting.pop(address)
        name = next(iter(names))
        items = names.pop(name)
        item = items.popleft()
        if items:
            names[name] = items
        if names:
            self._waiting[address] = names
        self._size -= 1
        return item

    def leave(self, address: str, name: str, item: T) -> None:
        """Remove an item that gave up."""
        items = self._waiting.get(address, {}).get(name)
        if items and item in items:
            items.remove(item)
            self._dropped(address, name)

    def _give_way(self, address: str, name: str) -> T | None:
        """Evict the newest waiter of the longest queue if the newcomer's is shorter."""
        fullest = max(self._waiting, key=self._of_address)
        names = self._waiting[fullest]
        longest = max(names, key=lambda each: len(names[each]))
        if fullest == address:
            fair = len(names[longest]) < len(names.get(name, ())) + 2
        else:
            fair = self._of_address(fullest) < self._of_address(address) + 2
        if fair:
            return None
        gone = names[longest].pop()
        self._dropped(fullest, longest)
        return gone

    def _of_address(self, address: str) -> int:
        return sum(map(len, self._waiting.get(address, {}).values()))

    def _dropped(self, address: str, name: str) -> None:
        self._size -= 1
        names = self._waiting[address]
        if not names[name]:
            del names[name]
        if not names:
            del self._waiting[address]


class PasswordQueue:
    """At most ``places`` run at a time; ``waiting`` wait in each of ``lines``, served in turn."""

    def __init__(self, places: int, waiting: int, lines: int = 1) -> None:
        self._free = places
        self._lines: deque[FairQueue[asyncio.Future[None]]] = deque()
        self._by_number = [FairQueue[asyncio.Future[None]](waiting) for _ in range(lines)]
        self._lines.extend(self._by_number)

    @asynccontextmanager
    async def turn(self, address: str, name: str = "", line: int = 0) -> AsyncIterator[None]:
        """Wait for a turn in this line; raises TooManyRequests in the caller that must leave."""
        await self._enter(address, name, self._by_number[line])
        try:
            yield
        finally:
            self._pass_on()

    async def _enter(self, address: str, name: str, line: FairQueue[asyncio.Future[None]]) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        gone = line.join(address, name, turn)
        if gone is not None and not gone.done():
            gone.set_exception(
                TooManyRequests("too many passwords are being checked, try again later")
            )
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                line.leave(address, name, turn)
            elif turn.exception() is None:
                self._pass_on()  # the turn had come, and is not wanted any more
            raise

    def _pass_on(self) -> None:
        for _ in range(len(self._lines)):
            line = self._lines[0]
            self._lines.rotate(-1)
            while (turn := line.next()) is not None:
                if not turn.done():  # a waiter that was cancelled has not left yet
                    turn.set_result(None)
                    return
        self._free += 1
