"""Contacts of the Cloud API, which cannot be asked who is on WhatsApp: what its webhooks and its
answers have shown stands in the database. Meta checks identities, by a switch of the number.
"""

from __future__ import annotations

from collections.abc import Sequence

from warouter.api.graph_refusals import refusal, unanswered
from warouter.cloud_number import NumberCloud
from warouter.errors import ApiError
from warouter.store.cloud.contacts import CloudContacts, KnownKey
from warouter.upstream.cloud.answers import Class
from warouter.upstream.cloud.graph.failed import CallFailed, CallRefused
from warouter.upstream.cloud.graph.number_calls import NumberCalls
from warouter.upstream.number_services import ContactIdentity, NumberLookup

IDENTITY_CHECK = "identity_check"  # in the name of a row of cloud_switch


class CloudDirectory(NumberLookup):
    """Everybody is on WhatsApp but those whom a message could not reach within the last 24 hours.

    Who became reachable meanwhile is found out when these are over, or by a message: to look for
    it in each status would cost every message something.
    """

    local = True

    def __init__(self, contacts: CloudContacts) -> None:
        self._contacts = contacts

    async def on_whatsapp(self, number: int, wa_ids: Sequence[str]) -> set[str]:
        return set(wa_ids) - await self._contacts.unreachable(number, wa_ids)

    async def identity(self, number: int, wa_id: str) -> ContactIdentity | None:
        """The identity that a webhook has shown since identities are checked, or None."""
        return _identity(await self._contacts.key(number, wa_id))

    async def acknowledge(self, number: int, wa_id: str, hash: str) -> ContactIdentity | None:
        return _identity(await self._contacts.acknowledge(number, wa_id, hash))

    async def close(self) -> None:
        """Close nothing, as nothing is open."""


class IdentityCheck:
    """The switch of the number by which Meta shows identities, and compares those in messages.

    What Meta was told is kept apart from the setting, which older builds and backups change without
    a word to Meta.
    """

    def __init__(self, of: NumberCloud, contacts: CloudContacts, calls: NumberCalls) -> None:
        self._of = of
        self._contacts = contacts
        self._calls = calls
        # Another phone number of this number's, later, has a switch of its own.
        self._name = f"{IDENTITY_CHECK}:{of.phone_number_id}"

    async def set(self, wanted: bool) -> None:
        """Have it so at Meta. NotReady or ParameterInvalid if Meta has not done it."""
        before = await self.told()
        if before is wanted:
            return
        await self._tell(None)  # until Meta has answered, and that is kept
        try:
            await self._calls.check_identity(self._of, wanted)
        except CallFailed as error:
            if error.judged is not None and error.judged.cls is not Class.DOUBT:
                await self._tell(before)
            raise _refused(error) from None
        await self._tell(wanted)

    async def told(self) -> bool | None:
        """How it is at Meta, None if nobody knows."""
        return await self._contacts.told(self._of.id, self._name)

    async def _tell(self, told: bool | None) -> None:
        await self._contacts.tell(self._of.id, self._name, told)


def _identity(key: KnownKey | None) -> ContactIdentity | None:
    return ContactIdentity(key.hash, key.since, key.acknowledged) if key is not None else None


def _refused(error: CallFailed) -> ApiError:
    """The error that the client gets for a switch that Meta has not set."""
    made = refusal if isinstance(error, CallRefused) else unanswered
    return made(error, "show_security_notifications")
