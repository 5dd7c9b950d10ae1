"""The webhooks of Meta, taken apart into elements: statuses, inbound messages, errors. Pure.

One POST holds several entries, changes and elements, of several numbers. Each element is read by
itself, and what cannot be used is counted: nothing that is wrong in one costs another. The element
travels on as it came; the owner of its slot puts it into the v1 form (``statuses``, ``inbound``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from hashlib import sha256

from msgspec import Raw
from msgspec.structs import replace

from warouter.upstream.cloud import lenient
from warouter.upstream.cloud.batch import (
    KEEPS,
    MARK,
    OFF,
    Batch,
    Element,
    KeptElement,
    Modes,
    Notice,
    NoticeAction,
    Unreadable,
)
from warouter.upstream.cloud.parties import Parties, party_of, word_of
from warouter.upstream.cloud.readers import (
    LeftOut,
    echo_of,
    error_of,
    message_of,
    rename_of,
    status_of,
    time_of,
)
from warouter.upstream.cloud.usual_webhook import statuses_of

# Fields that say something about the account.
NOTICES = {
    "account_update": NoticeAction.ACCOUNT,
    "account_alerts": NoticeAction.ACCOUNT,
    "account_review_update": NoticeAction.ACCOUNT,
    "security": NoticeAction.ACCOUNT,
    "phone_number_quality_update": NoticeAction.LEVEL,
    "business_capability_update": NoticeAction.LOG,
    "phone_number_name_update": NoticeAction.LOG,
    "user_preferences": NoticeAction.LOG,
    "business_username_update": NoticeAction.LOG,
    "message_template_status_update": NoticeAction.TEMPLATES,
    "message_template_quality_update": NoticeAction.TEMPLATES,
    "message_template_components_update": NoticeAction.TEMPLATES,
    "template_category_update": NoticeAction.TEMPLATES,
}
# Fields of what is not offered here, and what they are counted as.
LEFT_OUT = {"history": "history", "smb_app_state_sync": "history", "calls": "call", "flows": "flow"}
# While somebody else answers (Meta's agent, or the business in its app), its field for what
# customers and it say, and for who has the word.
STANDBY, ECHOES, HANDOVERS = "standby", "smb_message_echoes", "messaging_handovers"
# What may carry a customer's words and calls nobody back, by its name in counts.
GROUPS, UNREADABLE, OLD = "group messages", "unreadable", "old"
WORDS = (STANDBY, ECHOES, HANDOVERS, "history", GROUPS, UNREADABLE, OLD)

_OBJECT = "whatsapp_business_account"
_HOUR = 3600
# Meta repeats for 7 days, and no event is pruned before 8: what is older, and signed, was captured,
# and could be news once its row has gone.
OLDEST_SECONDS = 8 * 86_400
_OLD = "an element is older than 8 days by this machine's clock"
_KEPT = (STANDBY, ECHOES, HANDOVERS)  # whole, unless it is passed on
_LONGEST_ACCOUNT = 64  # characters of its id
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}").fullmatch


def read(body: bytes, owned: Mapping[str, int], now: int = 0, modes: Modes = KEEPS) -> Batch:
    """Take a webhook apart, for the numbers that are ``owned``, by their phone number ids;
    Unreadable if it is no JSON object.

    ``now`` (unix s) is for errors, which have no time: the same one is another one an hour later.
    The time of their entry goes before it. What is more than 8 days older than ``now`` is left out.
    """
    try:
        return _read(body, owned, now, modes)
    except (ValueError, RecursionError):
        pass
    try:
        return _read(lenient.mended(body), owned, now, modes)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not JSON: {error}") from error


def _read(body: bytes, owned: Mapping[str, int], now: int, modes: Modes) -> Batch:
    usual = statuses_of(body, owned)
    if usual is not None:
        reading = _WebhookReading(owned, modes, now - OLDEST_SECONDS)
        for statuses, contacts, number in usual:
            reading.statuses(statuses, reading.parties(contacts), number)
        return reading.finished()
    top = lenient.fields(body)
    if top is None:
        raise Unreadable("not a JSON object")
    reading = _WebhookReading(owned, modes, now - OLDEST_SECONDS)
    if lenient.value(top.get("object")) not in (None, _OBJECT):
        reading.batch.counted["unknown_object"] += 1
        return reading.batch
    for entry in reading.objects(top, "entry"):
        time = time_of(lenient.value(entry.get("time"))) or now
        account = word_of({"id": lenient.value(entry.get("id"))}, "id", _LONGEST_ACCOUNT)
        for change in reading.objects(entry, "changes"):
            reading.change(change, time, account)
    return reading.finished()


class _WebhookReading:
    """One webhook, as far as it was read; what is before ``oldest`` (unix s) is left out."""

    def __init__(self, owned: Mapping[str, int], modes: Modes, oldest: int) -> None:
        self._oldest = oldest
        self.batch = Batch()
        self._modes = modes
        self._elements: dict[tuple[int, str], Element] = {}  # by number and key
        self._owned = owned

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

    def change(self, change: dict[str, Raw], time: int, account: str) -> None:
        """Take one change of an account's: its field says what its value is."""
        field, raw = lenient.value(change.get("field")), change.get("value")
        value = lenient.fields(raw)
        if raw is None or value is None or not isinstance(field, str):
            self._leave("unreadable", "a change has no field, or its value is not an object")
        elif field == "messages":
            self._messages(value, time)
        elif field in _KEPT:
            self._of_others(field, raw, value, time)
        elif field == "user_id_update":
            renames = self._items(value, field)
            if number := self._number_of(value, len(renames)):
                self._take(renames, rename_of, number)
        elif field in NOTICES:
            self._notice(Notice(field, bytes(raw), NOTICES[field], account), time)
        else:
            self._leave_out(field)

    def _of_others(self, field: str, raw: Raw, value: dict[str, Raw], time: int) -> None:
        """Take a field in which Meta's agent, or the business elsewhere, has a part."""
        if self._is_old(time):
            self._leave("old", _OLD)
        elif field == STANDBY:
            self._standby(raw, value, time)
        elif field == ECHOES:
            self._echoes(raw, value, field)
        elif number := self._number_of(value, 1):
            self._keep(raw, field, number)

    def _notice(self, notice: Notice, time: int) -> None:
        if self._is_old(time):
            self._leave("old", _OLD)
        else:
            self.batch.notices.append(notice)

    def _is_old(self, time: int) -> bool:
        """True if it is too old to be news; an element without a time is as old as its POST."""
        return 0 < time < self._oldest

    def _leave_out(self, field: str) -> None:
        kind = "group" if field.startswith("group_") else LEFT_OUT.get(field, "unknown_field")
        self.batch.counted[kind] += 1
        if field == "history":
            self.batch.left_out[field] += 1
        elif kind == "unknown_field":
            self.batch.left_out[field if _NAME(field) else "without a name"] += 1

    def _standby(self, raw: Raw, value: dict[str, Raw], time: int) -> None:
        """Take what came while Meta's agent answers. Statuses are evidence whoever answers."""
        messages = self._items(value, "messages")
        others = [name for name in ("statuses", "errors", "message_echoes") if name in value]
        keeps = self._modes.standby == OFF if messages else not others
        if keeps and (number := self._number_of(value, len(messages))):
            self._keep(raw, STANDBY, number, len(messages) or 1)
        mark = self._modes.standby == MARK
        self._messages(value, time, mark=mark, passes=self._modes.standby != OFF)
        if "message_echoes" in value:
            self._echoes(raw, value, STANDBY)

    def _echoes(self, raw: Raw, value: dict[str, Raw], field: str) -> None:
        """Take the messages that the business, or its agent, sent elsewhere."""
        echoes = self._items(value, "message_echoes")
        number = self._number_of(value, len(echoes))
        if not number:
            return
        if self._modes.echoes == OFF or not echoes:
            self._keep(raw, field, number, len(echoes) or 1)
            return
        mark = self._modes.echoes == MARK
        reader = partial(echo_of, parties=self._parties(value), mark=mark)
        self._take(echoes, reader, number, words=True)

    def _messages(
        self, value: dict[str, Raw], time: int, *, mark: bool = False, passes: bool = True
    ) -> None:
        statuses = self._items(value, "statuses")
        messages = self._items(value, "messages") if passes else []
        errors = self._items(value, "errors")
        number = self._number_of(value, len(statuses) + len(messages) + len(errors))
        if not number:
            return
        parties = self._parties(value) if statuses or messages else Parties([])
        self.statuses(statuses, parties, number)
        self._take(messages, lambda raw: message_of(raw, parties, mark=mark), number, words=True)
        self._take(errors, lambda raw: error_of(raw, time // _HOUR), number, time)

    def _keep(self, raw: Raw, field: str, number: int, count: int = 1) -> None:
        """Store a whole value: it may have a form that nobody knows here."""
        json = bytes(raw)
        key = f"{field}:{sha256(json).hexdigest()}"
        self.batch.kept.append(KeptElement(key, field, json, number))
        self.batch.left_out[field] += count

    def statuses(self, statuses: Iterable[Raw], parties: Parties, number: int) -> None:
        """Take statuses of a number of ours."""
        self._take(statuses, lambda raw: status_of(raw, parties), number)

    def _parties(self, value: dict[str, Raw]) -> Parties:
        return self.parties(self._items(value, "contacts"))

    def parties(self, contacts: Iterable[Raw]) -> Parties:
        """Whom a value is about."""
        found = [party_of(raw) for raw in contacts]
        if None in found:
            self._leave("unreadable", "an item of contacts is not an object")
        return Parties([party for party in found if party is not None])

    def _number_of(self, value: dict[str, Raw], count: int) -> int:
        """The number that the value came to; 0 if it is none of ours: ``count`` elements are left
        out.
        """
        metadata = lenient.value(value.get("metadata"))
        phone_number_id = metadata.get("phone_number_id") if isinstance(metadata, dict) else None
        number = self._owned.get(str(phone_number_id), 0)
        if not number:
            self.batch.counted["foreign_number"] += count
        return number

    def _items(self, of: dict[str, Raw], name: str) -> list[Raw]:
        raw = of.get(name)
        if raw is None:
            return []
        items = lenient.items(raw)
        if items is None and lenient.value(raw) is not None:
            self._leave("unreadable", f"{name} is not an array")
        return items or []

    def _take(
        self,
        raws: Iterable[Raw],
        reader: Callable[[Raw], Element],
        number: int,
        time: int = 0,
        *,
        words: bool = False,
    ) -> None:
        """Take elements; of those with a customer's ``words`` none goes without being counted.
        ``time`` is that of what has none of its own.
        """
        for raw in raws:
            try:
                element = reader(raw)
            except LeftOut as left_out:
                self._leave(left_out.kind, left_out.reason)
                if words and left_out.kind == "group":
                    self.batch.left_out[GROUPS] += 1
                elif words:
                    self._keep(raw, UNREADABLE, number, 0)  # counted already
                continue
            if self._is_old(element.timestamp or time):
                self._leave(OLD, _OLD)
                if words:  # or this machine's clock is wrong
                    self._keep(raw, OLD, number)
                continue
            if number != 1:
                element = replace(element, number=number)
            if self._elements.setdefault(element.unique, element) is not element:
                self.batch.counted["repeated"] += 1

    def _leave(self, kind: str, reason: str) -> None:
        self.batch.counted[kind] += 1
        if kind == UNREADABLE:
            self.batch.left_out[kind] += 1
        self.batch.reason = self.batch.reason or reason
