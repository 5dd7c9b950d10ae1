"""The webhooks of Meta, taken apart into elements: statuses, inbound messages, errors. Pure.

One POST holds several entries, changes and elements, of several numbers. Each element is read by
itself, and what cannot be used is counted: nothing that is wrong in one costs another. The element
travels on as it came; the owner of its slot puts it into the v1 form (``statuses``, ``inbound``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from msgspec import Raw

from warouter.upstream.cloud import lenient
from warouter.upstream.cloud.batch import (
    ERROR,
    INBOUND,
    INBOX_KINDS,
    LONGEST_ID,
    LONGEST_KEY,
    STATUS,
    WORD,
    Action,
    Batch,
    Element,
    Notice,
    Unreadable,
)
from warouter.upstream.cloud.parties import Parties, party_of
from warouter.upstream.cloud.readers import (
    LeftOut,
    error_of,
    message_of,
    rename_of,
    status_of,
    time_of,
)

__all__ = [
    "ERROR",
    "INBOUND",
    "INBOX_KINDS",
    "LONGEST_ID",
    "LONGEST_KEY",
    "STATUS",
    "WORD",
    "Action",
    "Batch",
    "Element",
    "Notice",
    "Unreadable",
    "read",
]

# Fields that say something about the account.
NOTICES = {
    "account_update": Action.ACCOUNT,
    "account_alerts": Action.ACCOUNT,
    "account_review_update": Action.ACCOUNT,
    "security": Action.ACCOUNT,
    "phone_number_quality_update": Action.LEVEL,
    "business_capability_update": Action.LOG,
    "phone_number_name_update": Action.LOG,
    "user_preferences": Action.LOG,
    "business_username_update": Action.LOG,
    "message_template_status_update": Action.TEMPLATES,
    "message_template_quality_update": Action.TEMPLATES,
    "message_template_components_update": Action.TEMPLATES,
    "template_category_update": Action.TEMPLATES,
}
# Fields of what is not offered here, and what they are counted as.
LEFT_OUT = {
    "history": "history",
    "smb_app_state_sync": "history",
    "smb_message_echoes": "echo",
    "calls": "call",
    "flows": "flow",
}

_OBJECT = "whatsapp_business_account"
_HOUR = 3600


def read(body: bytes, phone_number_id: str, now: int = 0) -> Batch:
    """Take a webhook apart, for the number of this id; Unreadable if it is no JSON object.

    ``now`` (unix s) is for errors, which have no time: the same one is another one an hour later.
    The time of their entry goes before it.
    """
    try:
        return _read(body, phone_number_id, now)
    except (ValueError, RecursionError):
        pass
    try:
        return _read(lenient.mended(body), phone_number_id, now)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not JSON: {error}") from error


def _read(body: bytes, phone_number_id: str, now: int) -> Batch:
    top = lenient.fields(body)
    if top is None:
        raise Unreadable("not a JSON object")
    reading = _Reading(phone_number_id)
    if lenient.value(top.get("object")) not in (None, _OBJECT):
        reading.batch.counted["unknown_object"] += 1
        return reading.batch
    for entry in reading.objects(top, "entry"):
        hour = (time_of(lenient.value(entry.get("time"))) or now) // _HOUR
        for change in reading.objects(entry, "changes"):
            reading.change(change, hour)
    return reading.finished()


class _Reading:
    """One webhook, as far as it was read."""

    def __init__(self, phone_number_id: str) -> None:
        self.batch = Batch()
        self._elements: dict[str, Element] = {}  # by key
        self._phone_number_id = phone_number_id

    def finished(self) -> Batch:
        self.batch.elements = list(self._elements.values())
        self.batch.newest = max((found.timestamp for found in self.batch.elements), default=0)
        return self.batch

    def objects(self, of: dict[str, Raw], name: str) -> Iterator[dict[str, Raw]]:
        """The objects in the array of this name; an item that is none is counted."""
        for item in self._items(of, name):
            found = lenient.fields(item)
            if found is None:
                self._leave("unreadable", f"an item of {name} is not an object")
            else:
                yield found

    def change(self, change: dict[str, Raw], hour: int) -> None:
        """Take one change: its field says what its value is."""
        field, raw = lenient.value(change.get("field")), change.get("value")
        value = lenient.fields(raw)
        if raw is None or value is None or not isinstance(field, str):
            self._leave("unreadable", "a change has no field, or its value is not an object")
        elif field == "messages":
            self._messages(value, hour)
        elif field == "user_id_update":
            renames = self._items(value, field)
            if self._is_ours(value, len(renames)):
                self._take(renames, rename_of)
        elif field in NOTICES:
            self.batch.notices.append(Notice(field, bytes(raw), NOTICES[field]))
        else:
            kind = "group" if field.startswith("group_") else LEFT_OUT.get(field, "unknown_field")
            self.batch.counted[kind] += 1

    def _messages(self, value: dict[str, Raw], hour: int) -> None:
        statuses = self._items(value, "statuses")
        messages = self._items(value, "messages")
        errors = self._items(value, "errors")
        if not self._is_ours(value, len(statuses) + len(messages) + len(errors)):
            return
        parties = self._parties(value) if statuses or messages else Parties([])
        self._take(statuses, lambda raw: status_of(raw, parties))
        self._take(messages, lambda raw: message_of(raw, parties))
        self._take(errors, lambda raw: error_of(raw, hour))

    def _parties(self, value: dict[str, Raw]) -> Parties:
        found = [party_of(raw) for raw in self._items(value, "contacts")]
        if None in found:
            self._leave("unreadable", "an item of contacts is not an object")
        return Parties([party for party in found if party is not None])

    def _is_ours(self, value: dict[str, Raw], count: int) -> bool:
        """True if the value is our number's; else ``count`` elements are left out."""
        metadata = lenient.value(value.get("metadata"))
        number = metadata.get("phone_number_id") if isinstance(metadata, dict) else None
        if str(number) == self._phone_number_id:
            return True
        self.batch.counted["foreign_number"] += count
        return False

    def _items(self, of: dict[str, Raw], name: str) -> list[Raw]:
        raw = of.get(name)
        if raw is None:
            return []
        items = lenient.items(raw)
        if items is None and lenient.value(raw) is not None:
            self._leave("unreadable", f"{name} is not an array")
        return items or []

    def _take(self, raws: Iterable[Raw], reader: Callable[[Raw], Element]) -> None:
        for raw in raws:
            try:
                element = reader(raw)
            except LeftOut as left_out:
                self._leave(left_out.kind, left_out.reason)
                continue
            if self._elements.setdefault(element.key, element) is not element:
                self.batch.counted["repeated"] += 1

    def _leave(self, kind: str, reason: str) -> None:
        self.batch.counted[kind] += 1
        self.batch.reason = self.batch.reason or reason
