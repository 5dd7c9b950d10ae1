"""Names users of WhatsApp for v1, which knows digits only. Pure.

A user whose number is not shown has an alias: 999, the country code of no country, and 12 digits.
The alias stays for ever, so a business finds its customer under it again. Once a number is known,
the customer is who has it, also where a later webhook leaves it out; a business that knew the alias
is told by a ``user_changed_number``, a message that v1 clients know.

The number is not the key: users change it, and their id with it. An id of the past stands for the
one that its user has now: webhooks come in any order, what was sent under it at any time.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from warouter._hash import SLOTS, hash64_of_bytes, slot_of
from warouter.cloud_number import FIRST
from warouter.upstream.cloud.batch import INBOUND, Element

PREFIX = "999"
ALIAS, RAW, DROP = "alias", "raw", "drop"  # WAROUTER_CLOUD_BSUID
_DIGITS = 12


class CloudUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user by the id that the Cloud API gives; "" is what is not known. With a ``successor`` the
    id is one of the past, and stands for that one. ``stale``: it is to be stored that it was seen.
    """

    user_id: str
    wa_id: str = ""
    alias: str = ""
    parent_user_id: str = ""
    username: str = ""
    name: str = ""
    successor: str = ""
    stale: bool = False


def alias_of(user_id: str, salt: int = 0, portfolio: int = FIRST) -> str:
    """Fifteen digits for a user; with another ``salt``, should they be another user's.

    They are a person's of one portfolio: elsewhere the same user id is another user's.
    """
    salted = f"{user_id}#{salt}" if salt else user_id
    if portfolio != FIRST:
        salted = f"{portfolio}|{salted}"  # no user id begins with a digit
    return f"{PREFIX}{hash64_of_bytes(salted.encode()) % 10**_DIGITS:0{_DIGITS}}"


def slot_of_shown(name: str) -> int:
    """The slot of a number, an alias, or with RAW a user's id."""
    return slot_of(name) if name.isdigit() else hash64_of_bytes(name.encode()) % SLOTS


class UserDirectory:
    """The users of some elements of a portfolio: ``stored`` before, and as these change them.

    ``changed`` and ``gone`` (ids that a user had before, each with the one it has now) are to be
    stored, and ``revealed`` are elements to be received with the others: somebody with an alias has
    shown a number. ``stored`` has the successors of the elements' users, too.
    """

    def __init__(
        self,
        stored: Iterable[CloudUser],
        shows: str = ALIAS,
        salt: int = 0,
        portfolio: int = FIRST,
    ) -> None:
        found = list(stored)
        self._users = {user.user_id: user for user in found if not user.successor}
        self._successors = {user.user_id: user.successor for user in found if user.successor}
        self._by_number = {user.wa_id: user for user in self._users.values() if user.wa_id}
        self._shows = shows
        self._salt = salt
        self._portfolio = portfolio
        self.changed: dict[str, CloudUser] = {}
        self.gone: dict[str, str] = {}
        self.revealed: list[Element] = []

    def shown(self, element: Element) -> str:
        """The name that v1 has for the other side of an element.

        A number, an alias, with RAW the user's id; "" if it has no name that may be shown.
        """
        if element.previous_user_id or element.changed_to:
            return self._moved(element)
        if not element.user_id:
            return element.wa_id
        user_id = self._now(element.user_id)
        before = self._users.get(user_id) or CloudUser(user_id=user_id)
        # The number beside an id of the past may be of the past as well.
        user = _told(before, element) if user_id == element.user_id else before
        if not user.wa_id and not user.alias and self._shows == ALIAS and element.kind == INBOUND:
            alias = alias_of(user.user_id, self._salt, self._portfolio)
            user = msgspec.structs.replace(user, alias=alias)
        if user.wa_id and user.alias and not before.wa_id:
            self.revealed.append(_revealed(user, element))
        self._keep(user)
        return element.wa_id or self._name_of(user)

    def _moved(self, element: Element) -> str:
        """A user has another number, another id, or both; the element comes from the former."""
        previous = self._now(element.previous_user_id)
        old = self._users.get(previous) or self._by_number.get(element.wa_id)
        if old is None:
            old = CloudUser(user_id=previous, wa_id=element.wa_id)
        sender = element.wa_id or self._name_of(old) or element.changed_to
        user_id = element.user_id or old.user_id
        told_again = previous != element.previous_user_id and self._now(user_id) != user_id
        if not user_id or told_again:
            return sender
        if old.user_id and old.user_id != user_id:
            self._forget(old, user_id)
        known = self._users.get(user_id)
        user = msgspec.structs.replace(
            old,
            user_id=user_id,
            wa_id=element.changed_to or element.wa_id or (known.wa_id if known else old.wa_id),
            alias=(known.alias if known else "") or old.alias,
        )
        user = _named(user, element)
        if user.wa_id and old.alias not in ("", sender) and not old.wa_id:
            self.revealed.append(_revealed(user, element))
        self._keep(user)
        return sender

    def _name_of(self, user: CloudUser) -> str:
        if user.wa_id:
            return user.wa_id
        return {ALIAS: user.alias, RAW: user.user_id, DROP: ""}[self._shows]

    def _keep(self, user: CloudUser) -> None:
        before = self._users.get(user.user_id)
        if before == user and (not user.stale or user.user_id in self.changed):
            return
        if before is not None and before.wa_id != user.wa_id:
            self._by_number.pop(before.wa_id, None)
        holder = self._by_number.get(user.wa_id)
        if holder is not None and holder.user_id != user.user_id:
            self._lose_number(holder)
        self._users[user.user_id] = self.changed[user.user_id] = user
        if user.wa_id:
            self._by_number[user.wa_id] = user

    def _lose_number(self, holder: CloudUser) -> None:
        """The database does so with whoever else had the number."""
        without = msgspec.structs.replace(holder, wa_id="")
        self._users[holder.user_id] = without
        if holder.user_id in self.changed:
            self.changed[holder.user_id] = without

    def _now(self, user_id: str) -> str:
        """The id that the user of this one has now."""
        return self._successors.get(user_id, user_id)

    def _forget(self, user: CloudUser, successor: str) -> None:
        """The user has this id from now on, which may be one of the past."""
        self._users.pop(user.user_id, None)
        self.changed.pop(user.user_id, None)
        self._by_number.pop(user.wa_id, None)
        for ids in (self._successors, self.gone):
            ids.update({former: successor for former, now in ids.items() if now == user.user_id})
            ids[user.user_id] = successor
            ids.pop(successor, None)


def _told(user: CloudUser, element: Element) -> CloudUser:
    """The user with what an element says of it."""
    if element.wa_id and element.wa_id != user.wa_id:
        user = msgspec.structs.replace(user, wa_id=element.wa_id)
    return _named(user, element)


def _named(user: CloudUser, element: Element) -> CloudUser:
    said = (
        element.parent_user_id or user.parent_user_id,
        element.username or user.username,
        element.name or user.name,
    )
    if said == (user.parent_user_id, user.username, user.name):
        return user
    parent_user_id, username, name = said
    return msgspec.structs.replace(
        user, parent_user_id=parent_user_id, username=username, name=name
    )


def _revealed(user: CloudUser, element: Element) -> Element:
    """The message by which v1 hears that an alias is a number from now on."""
    key = f"w1.revealed.{user.alias}.{user.wa_id}"
    who = user.name or user.username or user.alias
    message = {
        "from": user.alias,
        "id": key,
        "timestamp": str(element.timestamp),
        "type": "system",
        "system": {
            "body": f"User {who} changed from {user.alias} to {user.wa_id}",
            "wa_id": user.wa_id,
            "user_id": user.user_id,
            "type": "user_changed_number",
        },
    }
    return Element(
        kind=INBOUND,
        key=key,
        wamid=key,
        wa_id=user.alias,
        user_id=user.user_id,
        timestamp=element.timestamp,
        raw=msgspec.json.encode(message),
        number=element.number,
    )
