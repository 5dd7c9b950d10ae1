"""Identities of customers that webhooks show, into ``contact_key``: only those that are new here.

Nearly every webhook of a number that checks identities shows one, and nearly all are known. What
this webapp has written is remembered, so the known ones cost no statement.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from warouter.upstream.cloud.batch import Element

# In the statement of receive_cloud, and after it: in that order are the locks of all webapps.
_KEEP = "select r.*, keep_keys({}) from receive_cloud({}) r"

MOST_SEEN = 20_000  # one that is forgotten is written once more, which changes nothing


class IdentityKey(NamedTuple):
    """One that was shown to a number.

    ``since`` is in unix s; ``changed`` if the customer is said to have had another one.
    """

    number: int
    wa_id: str
    hash: str
    since: int
    changed: bool


def keeping(arguments: int) -> str:
    """The statement that calls receive_cloud with so many arguments, and keeps keys behind it."""
    places = [f"${n}" for n in range(1, arguments + len(IdentityKey._fields) + 1)]
    return _KEEP.format(", ".join(places[arguments:]), ", ".join(places[:arguments]))


class SeenKeys:
    """The identities that this webapp has written lately, by number and customer."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[int, str], str] = OrderedDict()

    def has(self, element: Element) -> bool:
        """True if an element shows no identity of its number that is not written."""
        if not element.identity_hash or not element.timestamp:
            return True
        return self._seen.get((element.number, element.wa_id)) == element.identity_hash

    def new(self, shown: Iterable[tuple[str, Element]]) -> list[IdentityKey]:
        """The identities that are to be written, one a number and customer: the latest.
        ``shown`` is what v1 calls each element's customer.

        Customers whom v1 does not know by digits have none, as nobody could ask for it.
        """
        found: dict[tuple[int, str], IdentityKey] = {}
        for name, element in shown:
            if not element.identity_hash or not element.timestamp or not name.isdigit():
                continue
            place, hash = (element.number, name), element.identity_hash
            if self._seen.get(place) == hash:
                continue
            key = IdentityKey(*place, hash, element.timestamp, changed=element.identity_changed)
            before = found.get(place)
            if before is None or before.since <= key.since:
                # One that is said to have changed was not the first, whoever tells of it again.
                told = before is not None and before.hash == key.hash and before.changed
                found[place] = key._replace(changed=key.changed or told)
        return list(found.values())

    def written(self, keys: Iterable[IdentityKey]) -> None:
        """Remember identities that are on disk."""
        for key in keys:
            place = key.number, key.wa_id
            self._seen.pop(place, None)
            self._seen[place] = key.hash
        while len(self._seen) > MOST_SEEN:
            self._seen.popitem(last=False)
