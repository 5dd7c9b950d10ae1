"""The registered number as operators see it: no key, no pin, no certificate."""

from __future__ import annotations

from datetime import datetime

import msgspec

from warouter.store.database import Source

_NUMBER = """
select cc || phone_number as number, registered_at, two_step, cert_name, cert_ends
  from number_shown($1)"""
_ASKED = """
select cc || phone_number as asked_number, asked_at from registration where number = $1"""


class RegistrationStatus(msgspec.Struct, frozen=True, kw_only=True):
    """``number`` is registered, or None; for ``asked_number`` a code was asked.

    ``cert_name`` is its certificate's display name, ``cert_ends`` its end in unix s, None without.
    """

    number: str | None = None
    registered_at: datetime | None = None
    two_step: bool = False
    cert_name: str | None = None
    cert_ends: int | None = None
    asked_number: str | None = None
    asked_at: datetime | None = None


async def read_registration(source: Source, number: int) -> RegistrationStatus:
    found = await source.fetchrow(_NUMBER, number)
    asked = await source.fetchrow(_ASKED, number)
    return RegistrationStatus(**dict(found or {}), **dict(asked or {}))
