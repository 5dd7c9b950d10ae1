"""What a message needs to know before it can be written for the Cloud API: ids and users.

A message that quotes or reacts to one of ours names our id, and a recipient without a number is
known by an alias. Such a message is withheld until it is looked up; all others pass at once.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import msgspec

from warouter.flow.lanes import Entry
from warouter.message_id import parse, text_of
from warouter.owner.slot import OwnedSlot
from warouter.owner.tasks import SlotTasks
from warouter.store.journal import Journal
from warouter.upstream.cloud.identity import PREFIX
from warouter.upstream.cloud.outgoing import Address, Refused, mentions, translate
from warouter.upstream.cloud.reference import MAX_ATTEMPT, reference

log = logging.getLogger(__name__)

MOST_KNOWN = 20_000
ALIAS_DIGITS = 15
UNKNOWN_ALIAS, NO_ATTEMPT, UNREADABLE = 1013, 1014, 500


class Waiting(Protocol):
    """Whose entries are looked up: the sender."""

    def pump(self, slot: OwnedSlot) -> None: ...


class Found(msgspec.Struct, frozen=True):
    """Where a message goes, and the Cloud API's ids of those of ours that it mentions.

    ``unknown``: its recipient is an alias of nobody.
    """

    address: Address
    wamids: dict[str, str]
    unknown: bool = False


def written(entry: Entry, attempt: int, found: Found, media: Sequence[str]) -> bytes:
    """The request's body; raises Refused for a message that cannot be sent."""
    if attempt > MAX_ATTEMPT:
        raise Refused(NO_ATTEMPT, "the Cloud API did not take it in so many attempts")
    if found.unknown:
        raise Refused(UNKNOWN_ALIAS, "nobody is known under this number")
    name = reference(entry.id, attempt)
    try:
        return translate(entry.body, found.address, name, media=media, wamids=found.wamids)
    except Refused:
        raise
    except Exception as error:  # a fault of ours, which would end one epoch after another
        log.exception("message translation failed", extra={"id": text_of(entry.id)})
        raise Refused(UNREADABLE, "no request could be made of it") from error


class Lookups:
    """Looks up what entries mention; remembers what was found."""

    def __init__(self, journal: Journal, tasks: SlotTasks) -> None:
        self._journal = journal
        self._tasks = tasks
        self._ready: OrderedDict[bytes, Found] = OrderedDict()

    def found(self, slot: OwnedSlot, entry: Entry, sender: Waiting) -> Found | None:
        """What ``entry`` needs; None: it is withheld, and comes again with the next pump."""
        alias = len(entry.recipient) == ALIAS_DIGITS and entry.recipient.startswith(PREFIX)
        named = mentions(entry.body)
        if not alias and not named:
            return Found(Address(entry.recipient), {})
        ready = self._ready.pop(entry.id, None)
        if ready is None:
            slot.lanes.withhold(entry.id)
            self._tasks.begin(slot, self._look_up(slot, entry, named, sender, alias=alias))
        return ready

    async def _look_up(
        self, slot: OwnedSlot, entry: Entry, named: list[str], sender: Waiting, *, alias: bool
    ) -> None:
        ids = {parse(name): name for name in named}
        wamids = await self._journal.wamids_of(list(ids)) if ids else {}
        users = await self._journal.users_of([entry.recipient]) if alias else {}
        user = users.get(entry.recipient, "")
        found = {ids[message_id]: wamid for message_id, wamid in wamids.items()}
        if len(self._ready) >= MOST_KNOWN:
            self._ready.popitem(last=False)
        self._ready[entry.id] = Found(
            Address(entry.recipient, user), found, unknown=alias and not user
        )
        if slot.open:
            slot.lanes.release(entry.id)
            sender.pump(slot)
