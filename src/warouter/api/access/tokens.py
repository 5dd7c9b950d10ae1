"""A cache of tokens and keys, so that a request needs no database to be authorised.

Each is looked up in PostgreSQL once and then answered from here. Every change of a user, a token or
a key raises a counter there and is noted at its number; each beat tells the counter, it is polled
while there are no beats, and when it has grown, what is kept of the changed numbers is read again.
So a revocation holds on every webapp within a second, and while the database is away, tokens and
keys that were seen before go on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from warouter.access.key import may_be_key
from warouter.access.scopes import Scope
from warouter.access.token import CHARS, hash_of
from warouter.api.access.caller import Caller, Grant, Realm
from warouter.api.access.numbers import Numbers
from warouter.background import rest, wait_for
from warouter.log import Outage
from warouter.store.account.accounts import Accounts, Holder, NumberRow, is_unavailable
from warouter.store.account.keys import KeyHolder, Keys

log = logging.getLogger(__name__)

POLL_SECONDS = 0.8
USES_SECONDS = 2.0
KEY_USES_SECONDS = 60.0

# used() -> callers, and when the token or key of each was used last by time.monotonic()
Uses = Callable[[], Iterable[tuple[Caller, float]]]


class Entry(NamedTuple):
    """The holder of a token or key, and its end by our clock (``time.monotonic()``)."""

    caller: Caller
    ends: float


class TokenCache:
    """Tokens and keys in memory, refreshed when the counter of changes grows. It is read when
    nobody has said for ``poll`` seconds where it stands; ``wake`` reads it at once.
    """

    def __init__(
        self,
        accounts: Accounts,
        keys: Keys,
        poll: float = POLL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._accounts = accounts
        self._keys = keys
        self._poll = poll
        self._clock = clock
        self._entries: dict[bytes, Entry] = {}
        self._realms: dict[int, Realm] = {}
        self.numbers = Numbers()
        self._loading: dict[bytes, asyncio.Future[Entry | None]] = {}
        self._version = -1
        self._reloads = 0  # grows whenever what is being read may be older than what is kept
        self._refreshing = asyncio.Lock()
        self._woken = asyncio.Event()
        self._told = 0.0  # when it was known last where the counter stands
        self._outage = Outage()
        self._uses: dict[bytes, float] = {}  # of tokens, since they were written last
        self._key_uses: dict[int, float] = {}
        self._written = self._keys_written = clock()
        self.others: Uses = lambda: ()  # of those who ask for what is ``known`` once

    async def caller(self, text: str) -> Caller | None:
        """The holder of the token or key; None if it is unknown or has ended."""
        if not text.isascii() or not (len(text) == CHARS or may_be_key(text)):
            return None
        credential = hash_of(text)
        entry = self._entries.get(credential)
        if entry is None:
            entry = await self._load(credential, is_token=len(text) == CHARS)
        return self._living(credential, entry)

    def known(self, text: str) -> Entry | None:
        """The holder of the token or key, from memory only: None means not known here.

        It holds no longer than the generation of its realm stays.
        """
        credential = hash_of(text)
        entry = self._entries.get(credential)
        return entry if self._living(credential, entry) is not None else None

    def realm(self, number: int) -> Realm:
        """The realm of a number, always the one object."""
        realm = self._realms.get(number)
        if realm is None:
            realm = self._realms[number] = Realm(number)
        return realm

    def forget(self, caller: Caller) -> None:
        """Drop a token or key at once, without waiting for the counter."""
        self._reloads += 1
        self.realm(caller.number).generation += 1
        self._entries.pop(caller.hash, None)

    def wake(self) -> None:
        """Refresh soon: users, tokens or keys may have changed."""
        self._woken.set()

    def saw(self, version: int) -> None:
        """A beat reported where the counter stands."""
        self._told = self._clock()
        if version != self._version:
            self._woken.set()

    async def refresh(self) -> None:
        """Read the counter and, if it has grown, what is in memory of the changed numbers."""
        async with self._refreshing:
            version = await self._accounts.auth_version()
            if version != self._version:
                # Of a database that was put back to an earlier state nothing may be as it was.
                seen = self._version if version > self._version else -1
                rows = await self._accounts.changed_since(seen)
                await self._reload(rows, others=seen >= 0)
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
        """Write to the database when tokens were used last, as far as that is news; of keys, which
        nobody ends for it, once a minute.
        """
        now, since, uses = self._clock(), self._written, self._uses
        self._written, self._uses = now, {}
        for caller, when in self.others():
            if caller.grant is not None:
                key = caller.grant.key
                if when > self._keys_written:
                    self._key_uses[key] = max(when, self._key_uses.get(key, when))
            elif when > since:
                uses[caller.hash] = max(when, uses.get(caller.hash, when))
        if uses:
            await self._accounts.used({each: now - when for each, when in sorted(uses.items())})
        if self._key_uses and now - self._keys_written >= KEY_USES_SECONDS:
            used, self._key_uses, self._keys_written = self._key_uses, {}, now
            await self._keys.used({key: now - when for key, when in sorted(used.items())})

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

    def _living(self, credential: bytes, entry: Entry | None) -> Caller | None:
        if entry is None:
            return None
        caller, now = entry.caller, self._clock()
        if now >= entry.ends:
            self._entries.pop(credential, None)
            return None
        if caller.grant is None:
            self._uses[credential] = now
        else:
            self._key_uses[caller.grant.key] = now
        return caller

    async def _load(self, credential: bytes, *, is_token: bool) -> Entry | None:
        """Read a token or key from the database; concurrent callers with it share one query.

        When many connections begin with one that is new here, that is one question.
        """
        loading = self._loading.get(credential)
        if loading is None:
            loading = asyncio.ensure_future(self._read(credential, is_token))
            self._loading[credential] = loading
            loading.add_done_callback(lambda done: self._loaded(credential, done))
        return await asyncio.shield(loading)

    def _loaded(self, credential: bytes, done: asyncio.Future[Entry | None]) -> None:
        del self._loading[credential]
        if not done.cancelled():
            done.exception()  # looked at, should everybody have gone

    async def _read(self, credential: bytes, is_token: bool) -> Entry | None:
        if not self.numbers.known:
            await self.refresh()
        while True:
            # A reload that began meanwhile may have missed this one: what was read could be older.
            reloads, now = self._reloads, self._clock()
            holder = await self._holder(credential, is_token)
            if reloads == self._reloads:
                break
        if holder is None:
            return None
        entry = self._entries[credential] = self._entry(holder, now)
        return entry

    async def _holder(self, credential: bytes, is_token: bool) -> Holder | KeyHolder | None:
        if is_token:
            tokens = await self._accounts.holders([credential])
            return tokens[0] if tokens else None
        keys = await self._keys.holders([credential])
        return keys[0] if keys else None

    async def _reload(self, rows: Sequence[NumberRow], *, others: bool) -> None:
        """Read again what is kept of these numbers; without ``others`` there are no more."""
        self._reloads += 1
        changed = {row.id: self.realm(row.id) for row in rows}
        if self.numbers.keep(rows, others=others):
            # With a token of another number, whoever comes by that host is refused from now on.
            for realm in self._realms.values():
                realm.generation += 1
        for realm in changed.values():
            realm.generation += 1
        kept = {h: e.caller for h, e in self._entries.items() if e.caller.number in changed}
        if not kept:
            return
        now = self._clock()
        for credential, living in (await self._living_of(kept)).items():
            if living is None:
                self._entries.pop(credential, None)
            elif credential in self._entries:
                self._entries[credential] = self._entry(living, now)
        self._reloads += 1
        for realm in changed.values():
            realm.generation += 1  # an answer from before this may be wrong now

    async def _living_of(
        self, kept: Mapping[bytes, Caller]
    ) -> dict[bytes, Holder | KeyHolder | None]:
        """The holders, as the database has them now, by hash; None of what has ended."""
        tokens = [each for each, caller in kept.items() if caller.grant is None]
        keys = [each for each, caller in kept.items() if caller.grant is not None]
        found: dict[bytes, Holder | KeyHolder | None] = dict.fromkeys(kept)
        if tokens:
            found |= {holder.hash: holder for holder in await self._accounts.holders(tokens)}
        if keys:
            found |= {holder.hash: holder for holder in await self._keys.holders(keys)}
        return found

    def _entry(self, holder: Holder | KeyHolder, now: float) -> Entry:
        ends, of = now + holder.seconds_left, self.numbers.prefix_of(holder.number)
        if isinstance(holder, Holder):
            name, role, must = holder.username, holder.role, holder.must_change
            return Entry(Caller(name, role, holder.hash, must, holder.number, None, of), ends)
        grant = Grant(holder.id, Scope(holder.scopes), holder.networks, holder.expires)
        name = f"key:{holder.id}"
        return Entry(Caller(name, "", holder.hash, False, holder.number, grant, of), ends)

    def _report(self, error: Exception) -> None:
        """Log the beginning of an outage, once."""
        if self._outage.begins():
            level = logging.WARNING if is_unavailable(error) else logging.ERROR
            log.log(level, "token refresh failed", extra={"error": repr(error)})
