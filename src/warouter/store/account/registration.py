"""The phone number for which a number has requested a registration code, until it is registered."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from warouter.store.bounded import Bounded

_BEGIN = """
insert into registration (number, cc, phone_number, cert, pin_hash) values ($1, $2, $3, $4, $5)
on conflict (number) do update
   set cc = excluded.cc, phone_number = excluded.phone_number, cert = excluded.cert,
       pin_hash = excluded.pin_hash, asked_at = now()"""
_PENDING = "select cc, phone_number, cert, pin_hash from registration where number = $1"
_COMPLETE = """
insert into account (number, cc, phone_number, cert, authority_key, pin_hash)
values ($1, $2, $3, $4, $5, $6) on conflict (number) do nothing"""
_REGISTERED = "select cc = $2 and phone_number = $3 from account where number = $1"
_IS_REGISTERED = "select exists (select from account where number = $1)"
_UNREGISTER = "delete from account where number = $1 returning cc || phone_number"
_FORGET = "delete from registration where number = $1"
# The row of a stop may outlive a switch to the simulator.
_STANDING = """
select exists (select from account where number = $1) as registered,
       (select p.code from cloud_pause p, format f
         where p.number = $1 and f.upstream <> 'simulator'
         order by p.at limit 1) as stopped"""


class PendingRegistration(msgspec.Struct, frozen=True):
    """A phone number whose code was sent. ``pin_hash`` is set if a pin was given."""

    cc: str
    phone_number: str
    cert: str
    pin_hash: str | None

    @property
    def number(self) -> str:
        return self.cc + self.phone_number


class NumberStanding(NamedTuple):
    """The state in which a number may serve or not.

    ``stopped``: Meta's code for which an operator must act.
    """

    registered: bool
    stopped: int | None


class Registrations(Bounded):
    """One at a time for each number: requesting a code for another phone number replaces it."""

    async def begin(self, number: int, pending: PendingRegistration) -> None:
        await self._fetch(_BEGIN, number, *msgspec.structs.astuple(pending))

    async def pending(self, number: int) -> PendingRegistration | None:
        """The last phone number that a code was requested for, kept for a repeated verification."""
        row = await self._fetchrow(_PENDING, number)
        return PendingRegistration(*row) if row else None

    async def complete(
        self,
        number: int,
        pending: PendingRegistration,
        authority_key: bytes | None,
        *,
        two_step: bool,
    ) -> bool:
        """Register it now; False if the number has registered another, no change if it has this."""
        async with self._connection() as connection, connection.transaction():
            await connection.execute(
                _COMPLETE,
                number,
                pending.cc,
                pending.phone_number,
                pending.cert,
                authority_key,
                pending.pin_hash if two_step else None,
            )
            same: bool = await connection.fetchval(
                _REGISTERED, number, pending.cc, pending.phone_number
            )
        return same

    async def is_registered(self, number: int) -> bool:
        return bool(await self._fetchval(_IS_REGISTERED, number))


async def unregister(connection: Any, number: int) -> str | None:
    """The number has no phone number any more, nor waits for a code; the one it had, or None.

    Settings, profile and messages stay, for the number when it is registered again.
    """
    await connection.execute(_FORGET, number)
    phone: str | None = await connection.fetchval(_UNREGISTER, number)
    return phone


async def read_standing(source: Any, number: int) -> NumberStanding:
    """How a number stands; ``source`` is a pool or a connection."""
    return NumberStanding(*await source.fetchrow(_STANDING, number))
