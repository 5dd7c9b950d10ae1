"""A cache of tokens, so that a request needs no database to be authorised.

A token is looked up in PostgreSQL once and then answered from here. Every change of a user or a
token raises a counter there; each beat tells it, it is polled while there are no beats, and when it
has grown, all tokens that are kept are read again. So a revocation holds on every webapp within a
second, and while the database is away, tokens that were seen before go on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

import msgspec

from warouter.access.token import CHARS, hash_of
from warouter.background import rest, wait_for
from warouter.log import Outage
from warouter.store.account.accounts import Accounts, Holder, is_unavailable

log = logging.getLogger(__name__)

POLL_SECONDS = 0.8
USES_SECONDS = 2.0

# used() -> tokens by hash, and when each was used last by time.monotonic()
Uses = Callable[[], Iterable[tuple[bytes, float]]]


class Caller(msgspec.Struct, frozen=True):
    """The user who makes a request; the API key and open endpoints have no ``token_hash``."""

    username: str
    role: str
    token_hash: bytes = b""
    must_change: bool = False

    @property
    def session(self) -> str:
        """Distinguishes callers with the same name, such as the holder of a stolen token."""
        return self.token_hash.hex()


class TokenCache:
    """Tokens in memory, refreshed when the counter of changes grows. It is read when nobody has
    said for ``poll`` seconds where it stands; ``wake`` reads it at once.
    """

    def __init__(
        self,
        accounts: Accounts,
        poll: float = POLL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._accounts = accounts
        self._poll = poll
        self._clock = clock
        self._entries: dict[bytes, tuple[Caller, float]] = {}
        self._loading: dict[bytes, asyncio.Future[tuple[Caller, float] | None]] = {}
        self._version = -1
        self.generation = 0  # grows whenever an earlier answer about a token may be wrong now
        self._refreshing = asyncio.Lock()
        self._woken = asyncio.Event()
        self._told = 0.0  # when it was known last where the counter stands
        self._outage = Outage()
        self._uses: dict[bytes, float] = {}  # since they were written last
        self._written = clock()
        self.others: Uses = lambda: ()  # of those who ask for what is ``known`` once

    async def caller(self, token: str) -> Caller | None:
        """The holder of the token; None if it is unknown or has ended."""
        if len(token) != CHARS or not token.isascii():
            return None
        key = hash_of(token)
        entry = self._entries.get(key)
        if entry is None:
            entry = await self._load(key)
        return self._living(key, entry)

    def known(self, token: str) -> tuple[Caller, float] | None:
        """The holder of the token and its end by our clock, from
        memory only: None means not known here.

        It holds no longer than the generation stays.
        """
        key = hash_of(token)
        entry = self._entries.get(key)
        return entry if self._living(key, entry) is not None else None

    def forget(self, token_hash: bytes) -> None:
        """Drop a token at once, without waiting for the counter."""
        self.generation += 1
        self._entries.pop(token_hash, None)

    def wake(self) -> None:
        """Refresh soon: users or tokens may have changed."""
        self._woken.set()

    def saw(self, version: int) -> None:
        """A beat reported where the counter stands."""
        self._told = self._clock()
        if version != self._version:
            self._woken.set()

    async def refresh(self) -> None:
        """Read the counter and, if it has grown, all tokens in memory."""
        async with self._refreshing:
            version = await self._accounts.auth_version()
            if version != self._version:
                await self._reload()
                self._version = version

    async def run(self) -> None:
        """Refresh on changes until cancelled. Never ends by itself."""
        while True:
            self._woken.clear()
            try:
                await self.refresh()
                self._outage.ends()
            except Exception as error:
                self._report(error)
            self._told = self._clock()
            await self._untold()

    async def write_uses(self) -> None:
        """Write to the database when tokens were used last, as far as that is news."""
        now, since, uses = self._clock(), self._written, self._uses
        self._written, self._uses = now, {}
        for key, when in self.others():
            if when > since:
                uses[key] = max(when, uses.get(key, when))
        if uses:
            await self._accounts.used({key: now - when for key, when in sorted(uses.items())})

    async def keep_uses(self) -> None:
        """Write uses every two seconds until cancelled. Never ends by itself: what could not be
        written is not known, and no more.
        """
        while True:
            await rest(USES_SECONDS)
            try:
                await self.write_uses()
            except Exception as error:
                self._report(error)

    async def _untold(self) -> None:
        """Wait until it is woken, or nobody has said for too long where the counter stands."""
        while not self._woken.is_set():
            left = self._told + self._poll - self._clock()
            if left <= 0:
                return
            await wait_for(self._woken, left)

    def _living(self, key: bytes, entry: tuple[Caller, float] | None) -> Caller | None:
        if entry is None:
            return None
        caller, ends = entry
        now = self._clock()
        if now >= ends:
            self._entries.pop(key, None)
            return None
        self._uses[key] = now
        return caller

    async def _load(self, key: bytes) -> tuple[Caller, float] | None:
        """Read a token from the database; concurrent callers for the same token share one query.

        When many connections begin with a token that is new here, that is one question.
        """
        loading = self._loading.get(key)
        if loading is None:
            loading = self._loading[key] = asyncio.ensure_future(self._read(key))
            loading.add_done_callback(lambda done: self._loaded(key, done))
        return await asyncio.shield(loading)

    def _loaded(self, key: bytes, done: asyncio.Future[tuple[Caller, float] | None]) -> None:
        del self._loading[key]
        if not done.cancelled():
            done.exception()  # looked at, should everybody have gone

    async def _read(self, key: bytes) -> tuple[Caller, float] | None:
        while True:
            # A reload that began meanwhile may have missed this one: what was read could be older.
            generation, now = self.generation, self._clock()
            holders = await self._accounts.holders([key])
            if generation == self.generation:
                break
        if not holders:
            return None
        entry = _entry(holders[0], now)
        self._entries[key] = entry
        return entry

    async def _reload(self) -> None:
        self.generation += 1
        kept, now = list(self._entries), self._clock()
        if not kept:
            return
        living = {holder.hash: holder for holder in await self._accounts.holders(kept)}
        for key in kept:
            holder = living.get(key)
            if holder is None:
                self._entries.pop(key, None)
            elif key in self._entries:
                self._entries[key] = _entry(holder, now)
        self.generation += 1  # an answer from before this may be wrong now

    def _report(self, error: Exception) -> None:
        """Log the beginning of an outage, once."""
        if self._outage.begins():
            level = logging.WARNING if is_unavailable(error) else logging.ERROR
            log.log(level, "token refresh failed", extra={"error": repr(error)})


def _entry(holder: Holder, now: float) -> tuple[Caller, float]:
    caller = Caller(holder.username, holder.role, holder.hash, holder.must_change)
    return caller, now + holder.seconds_left
