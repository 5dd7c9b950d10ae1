"""The number for which a registration code was requested, until it is registered."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from warouter.store.bounded import Bounded

_BEGIN = """
insert into registration (cc, phone_number, cert, pin_hash) values ($1, $2, $3, $4)
on conflict (one) do update
   set cc = excluded.cc, phone_number = excluded.phone_number, cert = excluded.cert,
       pin_hash = excluded.pin_hash, asked_at = now()"""
_PENDING = "select cc, phone_number, cert, pin_hash from registration"
_COMPLETE = """
insert into account (one, cc, phone_number, cert, authority_key, pin_hash)
values (true, $1, $2, $3, $4, $5) on conflict (one) do nothing"""
_REGISTERED = "select cc = $1 and phone_number = $2 from account"
_IS_REGISTERED = "select exists (select from account)"
_UNREGISTER = "delete from account returning cc || phone_number"
_FORGET = "delete from registration"
# The row of a stop may outlive a switch to the simulator.
_STANDING = """
select exists (select from account) as registered,
       (select p.code from cloud_pause p, format f where f.upstream <> 'simulator'
         order by p.at limit 1) as stopped"""


class PendingRegistration(msgspec.Struct, frozen=True):
    """A number whose code was sent. ``pin_hash`` is set if a pin was given."""

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
    """One registration at a time: requesting a code for another number replaces it."""

    async def begin(self, pending: PendingRegistration) -> None:
        await self._fetch(_BEGIN, *msgspec.structs.astuple(pending))

    async def pending(self) -> PendingRegistration | None:
        """The last number that a code was requested for, kept for a repeated verification."""
        row = await self._fetchrow(_PENDING)
        return PendingRegistration(*row) if row else None

    async def complete(
        self, pending: PendingRegistration, authority_key: bytes | None, *, two_step: bool
    ) -> bool:
        """Register the number now; False if another is registered, no change if the same is."""
        async with self._connection() as connection, connection.transaction():
            await connection.execute(
                _COMPLETE,
                pending.cc,
                pending.phone_number,
                pending.cert,
                authority_key,
                pending.pin_hash if two_step else None,
            )
            same: bool = await connection.fetchval(_REGISTERED, pending.cc, pending.phone_number)
        return same

    async def is_registered(self) -> bool:
        return bool(await self._fetchval(_IS_REGISTERED))


async def unregister(connection: Any) -> str | None:
    """No number is registered any more, nor waits for a code; the one that was, None if none was.

    Settings, profile and messages stay, for the number when it is registered again.
    """
    await connection.execute(_FORGET)
    number: str | None = await connection.fetchval(_UNREGISTER)
    return number


async def read_standing(source: Any) -> NumberStanding:
    """How the cluster's number stands; ``source`` is a pool or a connection."""
    return NumberStanding(*await source.fetchrow(_STANDING))
