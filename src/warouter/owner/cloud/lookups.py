"""Looks up the ids, users and identities that a message for the Cloud API names.

A message that quotes or reacts to one of ours names our id, and a recipient without a number is
known by an alias. Such a message is withheld until it is looked up; all others pass at once, unless
the number checks the identities of those whom it writes to.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from warouter.flow.lanes import LaneEntry
from warouter.log import of_number
from warouter.message_id import parse, text_of
from warouter.owner.backlog import Sending
from warouter.owner.slot import OwnedSlot
from warouter.owner.tasks import SlotTasks
from warouter.store.journal import Journal
from warouter.upstream.cloud.identity import PREFIX
from warouter.upstream.cloud.outgoing import Addressee, Untranslatable, mentions, translate
from warouter.upstream.cloud.reference import MAX_ATTEMPT, reference

log = logging.getLogger(__name__)

MOST_KNOWN = 20_000
ALIAS_DIGITS = 15
UNKNOWN_ALIAS, NO_ATTEMPT, UNREADABLE = 1013, 1014, 500


class Found(msgspec.Struct, frozen=True):
    """Where a message goes, and the Cloud API's ids of those of ours that it mentions.

    ``unknown``: its recipient is an alias of nobody.
    """

    address: Addressee
    wamids: dict[str, str]
    unknown: bool = False


def written(entry: LaneEntry, attempt: int, found: Found, media: Sequence[str]) -> bytes:
    """The request's body; raises Untranslatable for a message that cannot be sent."""
    if attempt > MAX_ATTEMPT:
        raise Untranslatable(NO_ATTEMPT, "the Cloud API did not take it in so many attempts")
    if found.unknown:
        raise Untranslatable(UNKNOWN_ALIAS, "nobody is known under this number")
    name = reference(entry.id, attempt)
    try:
        return translate(entry.body, found.address, name, media=media, wamids=found.wamids)
    except Untranslatable:
        raise
    except Exception as error:  # a fault of ours, which would end one epoch after another
        extra = {"id": text_of(entry.id), **of_number(entry.number)}
        log.exception("message translation failed", extra=extra)
        raise Untranslatable(UNREADABLE, "no request could be made of it") from error


class _Asked(NamedTuple):
    """An entry that is withheld, and the ids that it mentions."""

    entry: LaneEntry
    named: list[str]
    alias: bool


class Lookups:
    """Looks up what entries mention; remembers what was found.

    What comes while a slot's look-up is under way goes with the next one, all of it at once.
    ``checks`` tells of a number if its messages say whose identity they are meant for: then each is
    looked up. Aliases are those of users of the ``portfolio``.
    """

    def __init__(
        self, journal: Journal, tasks: SlotTasks, checks: Callable[[int], bool], portfolio: int
    ) -> None:
        self._journal = journal
        self._tasks = tasks
        self._checks = checks
        self._portfolio = portfolio
        self._waiting: dict[OwnedSlot, list[_Asked]] = {}  # of slots with a look-up under way
        self._ready: OrderedDict[bytes, Found] = OrderedDict()

    def found(self, slot: OwnedSlot, entry: LaneEntry, sender: Sending) -> Found | None:
        """The ids and users for ``entry``; None: it is withheld, and comes again with a pump."""
        alias = len(entry.recipient) == ALIAS_DIGITS and entry.recipient.startswith(PREFIX)
        named = mentions(entry.body)
        if not alias and not named and not self._checks(entry.number):
            return Found(Addressee(entry.recipient), {})
        ready = self._ready.pop(entry.id, None)
        if ready is None:
            slot.lanes.withhold(entry.id)
            asked = _Asked(entry, named, alias)
            if slot in self._waiting:
                self._waiting[slot].append(asked)
            else:
                self._waiting[slot] = [asked]
                self._tasks.begin_task(slot, self._look_up(slot, sender))
        return ready

    async def _look_up(self, slot: OwnedSlot, sender: Sending) -> None:
        """Look up whatever waits, until nothing does."""
        try:
            while some := self._waiting[slot]:
                self._waiting[slot] = []
                found = await self._found(some)
                self._keep(found)
                if slot.open:
                    for asked in some:
                        slot.lanes.release(asked.entry.id)
                    sender.pump(slot)
        finally:
            del self._waiting[slot]

    async def _found(self, some: Sequence[_Asked]) -> dict[bytes, Found]:
        """Look up all of these, with a statement for each kind of need."""
        journal = self._journal
        ids = {(asked.entry.number, parse(name)): name for asked in some for name in asked.named}
        aliases = list(dict.fromkeys(asked.entry.recipient for asked in some if asked.alias))
        wamids = await journal.wamids_of(list(ids)) if ids else {}
        users = await journal.users_of(self._portfolio, aliases) if aliases else {}
        checking = {asked.entry.number for asked in some if self._checks(asked.entry.number)}
        of_them = (asked.entry for asked in some if asked.entry.number in checking)
        contacts = list(dict.fromkeys((entry.number, entry.recipient) for entry in of_them))
        keys = await journal.keys_of(contacts) if contacts else {}
        known = {(place[0], ids[place]): wamid for place, wamid in wamids.items()}
        found: dict[bytes, Found] = {}
        for entry, named, alias in some:
            user = users.get(entry.recipient, "")
            key = keys.get((entry.number, entry.recipient), "")
            address = Addressee(entry.recipient, user, key)
            places = {name: (entry.number, name) for name in named}
            of_it = {name: known[place] for name, place in places.items() if place in known}
            found[entry.id] = Found(address, of_it, unknown=alias and not user)
        return found

    def _keep(self, found: Mapping[bytes, Found]) -> None:
        for message_id, each in found.items():
            if len(self._ready) >= MOST_KNOWN:
                self._ready.popitem(last=False)
            self._ready[message_id] = each
