"""Looks up host names that clients chose, in threads of their own.

The loop's own lookups share a handful of threads, and a name whose server is silent keeps one for
up to half a minute: eight such links, and the process cannot find its database by name any more. So
what a client of the API named never goes there. Here a thread serves one lookup and ends with it;
what was given up counts until then, so there are never more than ``threads`` of them, nor more than
``each`` of one asker. A name has one thread at most, or a few silent ones that are asked for again
and again would keep all: who asks meanwhile shares its answer, or fails as those before did.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from aiohttp.abc import AbstractResolver, ResolveResult

THREADS, EACH = 32, 4
SECONDS = 5.0  # for a lookup, waiting for a thread included

Lookup = Callable[..., list[Any]]
_Name = tuple[str, socket.AddressFamily]


class _Begun(NamedTuple):
    """A thread that looks up a name, and its start by the loop's clock."""

    at: float
    answer: asyncio.Future[list[Any] | OSError]


class HostLookups:
    """Look-ups with limits. ``lookup`` replaces getaddrinfo, with its arguments and results."""

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
        self._begun: dict[_Name, _Begun] = {}
        # Kept alive by whoever waits for it or holds it.
        self._shares: WeakValueDictionary[Hashable, asyncio.Semaphore] = WeakValueDictionary()

    def of(self, asker: Hashable) -> AbstractResolver:
        """A resolver whose look-ups count for this user."""
        return _Resolver(self, asker)

    async def addresses(
        self, asker: Hashable, host: str, port: int, family: socket.AddressFamily
    ) -> list[ResolveResult]:
        """The addresses of a name; raises OSError if there are none, or none in time."""
        try:
            async with asyncio.timeout(self._seconds):
                found = await self._found(asker, host, port, family)
        except TimeoutError as error:
            raise _late(host) from error
        if isinstance(found, OSError):
            raise OSError(*found.args) from found
        return _results(host, port, found)

    async def _found(
        self, asker: Hashable, host: str, port: int, family: socket.AddressFamily
    ) -> list[Any] | OSError:
        name = host.lower().rstrip("."), family
        begun = self._begun.get(name)
        if begun is None:
            share = self._shares.setdefault(asker, asyncio.Semaphore(self._each))
            async with _places(share, self._free) as places:
                begun = self._begun.get(name)  # by somebody who waited as well
                if begun is None:
                    begun = self._begin(name, host, port, places.pop_all().close)
        elif asyncio.get_running_loop().time() - begun.at >= self._seconds:
            return _late(host)
        return await asyncio.shield(begun.answer)  # others may wait for it too

    def _begin(self, name: _Name, host: str, port: int, leave: Callable[[], None]) -> _Begun:
        """Start a thread for this name; it keeps its places until it ends."""
        loop = asyncio.get_running_loop()
        begun = self._begun[name] = _Begun(loop.time(), loop.create_future())

        def ended(result: list[Any] | OSError) -> None:
            del self._begun[name]
            leave()
            begun.answer.set_result(result)

        def run() -> None:
            result: list[Any] | OSError
            try:
                result = self._lookup(host, port, family=name[1], type=socket.SOCK_STREAM)
            except OSError as error:
                result = error
            except Exception as error:  # a name that cannot be written in DNS
                result = OSError(errno.EINVAL, f"{host} is not a valid host name: {error}")
            with suppress(RuntimeError):  # the process ends
                loop.call_soon_threadsafe(ended, result)

        try:
            # A daemon: the end of the process does not wait for it.
            threading.Thread(target=run, name="names", daemon=True).start()
        except RuntimeError as error:
            ended(OSError(errno.EAGAIN, str(error)))
        return begun


@asynccontextmanager
async def _places(*semaphores: asyncio.Semaphore) -> AsyncIterator[ExitStack]:
    """One place of each kind, until the end of the block."""
    with ExitStack() as places:
        for semaphore in semaphores:
            await semaphore.acquire()
            places.callback(semaphore.release)
        yield places


def _late(host: str) -> OSError:
    return OSError(errno.ETIMEDOUT, f"{host} was not found in time")


class _Resolver(AbstractResolver):
    """The resolver for aiohttp."""

    def __init__(self, names: HostLookups, asker: Hashable) -> None:
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
