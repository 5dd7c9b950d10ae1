"""Attempts at passwords, pins and the API key, counted in the database for all webapps together.

A user's failures count for the address that they come from: five a minute, then that address must
wait for that user, twice as long after each further failure, at most 15 minutes. So nobody is kept
out by what others guess elsewhere: the right password from an address that has not failed is always
checked. An address may have 20 checks a minute that fail or are under way, for all users together.

Who guesses from many addresses is slowed by what is left to each: once a user had 20 failures in
an hour, from wherever, one failure, and no more five, makes an address wait. Addresses where the
user has logged in before keep their five.

All is decided before anything is hashed, by the database's clock, and no wait is for good: what
lies further ahead than a wait can reach was written before that clock went back, and is void. How
far ahead is asked by clock_timestamp(): now() stands still from a transaction's begin on, and the
longest wait, if another one has just written it, would look void.
"""

from __future__ import annotations

from typing import Any

import msgspec

from warouter.store.bounded import Bounded

USER, PIN, KEY = "user", "pin", "key"

# What is known before a check: the wait of what the attempt counts for and of its address, whether
# the user has logged in from there, and whether a check from there has failed lately.
_LOOK = """
select coalesce(greatest(
           (select extract(epoch from until - now()) from attempt
             where what = $1 and name = $2
               and until <= clock_timestamp() + $8::float8 * interval '1 s'),
           (select extract(epoch from since - now()) + $6::float8 from attempt
             where what = 'address' and name = $4 and failures >= $5
               and since <= now() + $6::float8 * interval '1 s')), 0)::float8,
       exists (select from attempt where what = 'known' and name = $3
                  and since > now() - make_interval(days => $7)),
       exists (select from attempt where failures > 0
                  and (what, name) in (($1, $2), ('address', $4)))"""
_WAIT = """
select extract(epoch from until - now())::float8 from attempt
 where what = $1 and name = $2 and until > now()
   and until <= clock_timestamp() + $3::float8 * interval '1 s'"""
_OVER = """(a.since <= now() - $3::float8 * interval '1 s'
                               or a.since > now() + $3::float8 * interval '1 s')"""
_TAKE = f"""
insert into attempt as a (what, name, failures) values ('address', $1, 1)
on conflict (what, name) do update
   set failures = case when {_OVER} then 1 else a.failures + 1 end,
       since = case when {_OVER} then now() else a.since end
 where a.failures < $2 or {_OVER}
returning failures"""
_WINDOW_LEFT = """
select extract(epoch from since - now())::float8 + $2::float8
  from attempt where what = 'address' and name = $1"""
_GIVE_BACK = """
update attempt set failures = greatest(failures - 1, 0) where what = 'address' and name = $1"""
_SPREAD = "select attempt_spread($1, $2, $3)"
_FAILED = "select attempt_failed($1, $2, $3, $4, $5, $6, $7)"
_FORGET = "delete from attempt where what = $1 and name = $2"
_KNOW = """
insert into attempt (what, name, failures) values ('known', $1, 0)
on conflict (what, name) do update set since = now()"""
# From wherever a name was guessed; the checks of an address are not this name's alone.
_FORGIVE = """
delete from attempt
 where what = 'spread' and name = $1 or what = 'user' and starts_with(name, $1 || E'\\n')"""
# What is locked is in use, and not to be waited for.
_PRUNE = """
delete from attempt where (what, name) in (
    select what, name from attempt
     where since < now() - interval '1 hour' and coalesce(until, since) < now() - interval '1 hour'
       and (what <> 'known' or since < now() - make_interval(days => $1))
     order by since limit 1000 for update skip locked)"""


class Limits(msgspec.Struct, frozen=True):
    """Limits on failed attempts. After ``failures`` of a name at an address within
    ``window`` seconds it must wait ``first`` seconds, and twice as long after each further
    one, at most ``longest``. ``per_address`` is the number of checks in a window. ``spread``
    failures of a name within ``spread_window`` seconds leave one attempt to each address.
    """

    failures: int = 5
    window: float = 60.0
    first: float = 30.0
    longest: float = 900.0
    per_address: int = 20
    known_days: int = 90
    spread: int = 20
    spread_window: float = 3600.0


class Attempt(msgspec.Struct, frozen=True):
    """An attempt before its check. ``wait`` is how many seconds it must wait.

    ``known``: the user has logged in from there. ``failed``: something there failed lately.
    """

    what: str
    name: str
    prefix: str
    address: str | None
    wait: float
    known: bool
    failed: bool

    @property
    def counted(self) -> str:
        """The key of its failures: one for all pins, which only callers may guess."""
        return self.name if self.what == PIN else self.at

    @property
    def at(self) -> str:
        """The key of the name at the address."""
        return _at(self.name, self.prefix)


class Logins(Bounded):
    """Counts attempts: ``look`` at one, ``begin`` it at its turn, then report how it ended."""

    limits = Limits()

    async def look(self, what: str, name: str, prefix: str, address: str | None) -> Attempt:
        """The state of an attempt. ``prefix`` is the address that
        failures count for, ``address`` the one with a limit.

        Changes nothing.
        """
        limits, at = self.limits, _at(name, prefix)
        row = await self._fetchrow(
            _LOOK,
            what,
            name if what == PIN else at,
            at,
            address,
            limits.per_address,
            limits.window,
            limits.known_days,
            limits.longest,
        )
        assert row is not None
        return Attempt(what, name, prefix, address, max(row[0], 0.0), row[1], row[2])

    async def begin(self, attempt: Attempt) -> float:
        """Begin an attempt, which counts for its address; returns seconds to wait, 0 for none."""
        limits = self.limits
        async with self._connection() as connection, connection.transaction():
            wait = await connection.fetchval(_WAIT, attempt.what, attempt.counted, limits.longest)
            if wait is None and attempt.address is not None:
                arguments = (attempt.address, limits.per_address, limits.window)
                if await connection.fetchval(_TAKE, *arguments) is None:
                    wait = await connection.fetchval(_WINDOW_LEFT, attempt.address, limits.window)
        return max(wait or 0.0, 0.0)

    async def failed(self, attempt: Attempt) -> None:
        """Count a failed attempt."""
        limits, at_once = self.limits, False
        async with self._connection() as connection:
            if attempt.what == USER:
                spread = await connection.fetchval(
                    _SPREAD, attempt.name, limits.spread, limits.spread_window
                )
                at_once = spread and not attempt.known
            await connection.execute(
                _FAILED,
                attempt.what,
                attempt.counted,
                limits.failures,
                limits.window,
                limits.first,
                limits.longest,
                at_once,
            )
            await connection.execute(_PRUNE, limits.known_days)

    async def succeeded(self, attempt: Attempt) -> None:
        """Forget the failures of this attempt's name at its address, and remember the address."""
        async with self._connection() as connection, connection.transaction():
            await connection.execute(_FORGET, attempt.what, attempt.counted)
            if attempt.address is not None:
                await connection.execute(_GIVE_BACK, attempt.address)
            if attempt.what == USER:
                await connection.execute(_KNOW, attempt.at)


async def forgive(connection: Any, number: int, username: str) -> None:
    """Forget this user's failures at all addresses: the right password is checked at once."""
    await connection.execute(_FORGIVE, name_of(number, username))


def name_of(number: int, username: str) -> str:
    """The name that failures of a user count for. No user name has a slash."""
    return username if number == 1 else f"{number}/{username}"


def _at(name: str, prefix: str) -> str:
    """The key of a name at an address. No name has a line break."""
    return f"{name}\n{prefix}"
