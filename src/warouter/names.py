"""Names that clients chose, looked up in threads of their own.

The loop's own lookups share a handful of threads, and a name whose server is silent keeps one for
up to half a minute: eight such links, and the process cannot find its database by name any more. So
what a client of the API named never goes there. Here a thread serves one lookup and ends with it;
what was given up counts until then, so there are never more than ``threads`` of them, nor more than
``each`` of one asker.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Any
from weakref import WeakValueDictionary

from aiohttp.abc import AbstractResolver, ResolveResult

THREADS, EACH = 32, 4
SECONDS = 5.0  # for a lookup, waiting for a thread included

Lookup = Callable[..., list[Any]]


class Names:
    """``lookup`` stands in for getaddrinfo, with its arguments and results."""

    def __init__(
        self,
        threads: int = THREADS,
        each: int = EACH,
        seconds: float = SECONDS,
        lookup: Lookup | None = None,
    ) -> None:
        self._each = each
        self._seconds = seconds
        self._lookup = lookup or socket.getaddrinfo
        self._free = asyncio.Semaphore(threads)
        # Kept alive by whoever waits for it or holds it.
        self._shares: WeakValueDictionary[Hashable, asyncio.Semaphore] = WeakValueDictionary()

    def of(self, asker: Hashable) -> AbstractResolver:
        """A resolver whose lookups count as this asker's."""
        return _Resolver(self, asker)

    async def addresses(
        self, asker: Hashable, host: str, port: int, family: socket.AddressFamily
    ) -> list[ResolveResult]:
        """The addresses of a name; OSError if there are none, or none in time."""
        try:
            async with asyncio.timeout(self._seconds):
                share = self._shares.setdefault(asker, asyncio.Semaphore(self._each))
                found = await self._begin(share, host, port, family)
                return _results(host, port, await found)
        except TimeoutError as error:
            raise OSError(errno.ETIMEDOUT, f"{host} was not found in time") from error

    async def _begin(
        self, share: asyncio.Semaphore, host: str, port: int, family: socket.AddressFamily
    ) -> asyncio.Future[list[Any]]:
        await share.acquire()
        try:
            await self._free.acquire()
        except BaseException:
            share.release()
            raise
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Any]] = loop.create_future()

        def ended(result: list[Any] | OSError) -> None:
            self._free.release()
            share.release()
            if answer.done():  # given up
                return
            if isinstance(result, OSError):
                answer.set_exception(result)
            else:
                answer.set_result(result)

        def run() -> None:
            result: list[Any] | OSError
            try:
                result = self._lookup(host, port, family=family, type=socket.SOCK_STREAM)
            except OSError as error:
                result = error
            except Exception as error:  # a name that cannot be written in DNS
                result = OSError(errno.EINVAL, f"{host} is no name: {error}")
            with suppress(RuntimeError):  # the process ends
                loop.call_soon_threadsafe(ended, result)

        try:
            # A daemon: the end of the process does not wait for it.
            threading.Thread(target=run, name="names", daemon=True).start()
        except RuntimeError as error:
            ended(OSError(errno.EAGAIN, str(error)))
        return answer


class _Resolver(AbstractResolver):
    """What aiohttp asks."""

    def __init__(self, names: Names, asker: Hashable) -> None:
        self._names = names
        self._asker = asker

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return await self._names.addresses(self._asker, host, port, family)

    async def close(self) -> None:
        return None


def _results(host: str, port: int, found: list[Any]) -> list[ResolveResult]:
    return [
        ResolveResult(
            hostname=host,
            host=address[0],
            port=port,
            family=family,
            proto=proto,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for family, _, proto, _, address in found
        if family in (socket.AF_INET, socket.AF_INET6)
    ]
