"""Attempts at passwords and pins, counted in the database for all webapps together.

A name may fail five times a minute; then it must wait, twice as long after each further failure, at
most 15 minutes. An address may have 20 checks a minute that fail or are under way. Both are decided
before anything is hashed, by the database's clock.

Nobody is locked out for good: the wait ends, and a user's failures from an address where that user
has logged in before count apart from all others, so that strangers cannot keep a user waiting.
"""

from __future__ import annotations

import msgspec

from warouter.store.bounded import Bounded

USER, PIN = "user", "pin"

_IS_KNOWN = """
select exists (select from attempt where what = 'known' and name = $1
                  and since > now() - make_interval(days => $2))"""
_WAIT = """
select extract(epoch from until - now())::float8 from attempt
 where what = $1 and name = $2 and until > now()"""
_TAKE = """
insert into attempt as a (what, name, failures) values ('address', $1, 1)
on conflict (what, name) do update
   set failures = case when a.since <= now() - $3::float8 * interval '1 s' then 1
                       else a.failures + 1 end,
       since = case when a.since <= now() - $3::float8 * interval '1 s' then now()
                    else a.since end
 where a.failures < $2 or a.since <= now() - $3::float8 * interval '1 s'
returning failures"""
_WINDOW_LEFT = """
select extract(epoch from since - now())::float8 + $2::float8
  from attempt where what = 'address' and name = $1"""
_GIVE_BACK = """
update attempt set failures = greatest(failures - 1, 0) where what = 'address' and name = $1"""
_FAILED = "select attempt_failed($1, $2, $3, $4, $5, $6)"
_FORGET = "delete from attempt where what = $1 and name = $2"
_KNOW = """
insert into attempt (what, name, failures) values ('known', $1, 0)
on conflict (what, name) do update set since = now()"""
# What is locked is in use, and not to be waited for.
_PRUNE = """
delete from attempt where (what, name) in (
    select what, name from attempt
     where since < now() - interval '1 hour' and coalesce(until, since) < now() - interval '1 hour'
       and (what <> 'known' or since < now() - make_interval(days => $1))
     order by since limit 1000 for update skip locked)"""


class Limits(msgspec.Struct, frozen=True):
    """After ``failures`` of a name in ``window`` seconds it waits for ``first`` seconds, after each
    further one twice as long, at most ``longest``. ``per_address`` checks a window.
    """

    failures: int = 5
    window: float = 60.0
    first: float = 30.0
    longest: float = 900.0
    per_address: int = 20
    known_days: int = 90


class Attempt(msgspec.Struct, frozen=True):
    """One attempt. ``wait`` above 0: it may not be checked for so many seconds."""

    what: str
    name: str
    source: str
    counted: str  # what its failure counts for
    address: str | None
    wait: float


class Logins(Bounded):
    """``begin`` an attempt, check it unless it must wait, and say how it ended."""

    limits = Limits()

    async def begin(self, what: str, name: str, source: str, address: str | None) -> Attempt:
        """``source`` is where it comes from, ``address`` what is limited for it, None for nothing.

        Counts a check for the address unless the attempt must wait.
        """
        limits = self.limits
        async with self._connection() as connection, connection.transaction():
            here = _at(name, source)
            known = await connection.fetchval(_IS_KNOWN, here, limits.known_days)
            counted = here if known else name
            wait = await connection.fetchval(_WAIT, what, counted)
            if wait is None and address is not None:
                taken = await connection.fetchval(_TAKE, address, limits.per_address, limits.window)
                if taken is None:
                    wait = await connection.fetchval(_WINDOW_LEFT, address, limits.window)
        return Attempt(what, name, source, counted, address, max(wait or 0.0, 0.0))

    async def failed(self, attempt: Attempt) -> None:
        """It was checked and was wrong."""
        limits = self.limits
        async with self._connection() as connection:
            await connection.execute(
                _FAILED,
                attempt.what,
                attempt.counted,
                limits.failures,
                limits.window,
                limits.first,
                limits.longest,
            )
            await connection.execute(_PRUNE, limits.known_days)

    async def succeeded(self, attempt: Attempt) -> None:
        """It was checked and was right: its failures are forgotten, its address is known now."""
        async with self._connection() as connection, connection.transaction():
            await connection.execute(_FORGET, attempt.what, attempt.counted)
            if attempt.address is not None:
                await connection.execute(_GIVE_BACK, attempt.address)
            if attempt.what == USER:
                await connection.execute(_KNOW, _at(attempt.name, attempt.source))


def _at(name: str, source: str) -> str:
    """A name at an address. No name has a line break."""
    return f"{name}\n{source}"
