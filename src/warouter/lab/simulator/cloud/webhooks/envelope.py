"""The form of a webhook: elements dealt over entries and changes, ASCII, signature. Pure.

Meta escapes what is not ASCII as ``\\uXXXX`` in small hexadecimal letters, and slashes, and signs
those bytes. Who decodes and encodes again before checking fails.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from itertools import groupby

import msgspec

from warouter.lab.simulator.cloud.columns import NONE

MESSAGES = "messages"
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


class WebhookElement(msgspec.Struct, frozen=True, gc=False):
    """One thing to tell. ``kind`` is the array of ``value`` it belongs to (statuses, messages,
    errors); "" means that ``raw`` is the whole value of a change. ``contact`` may be b"". ``row``
    is that of the request it is about in the record.
    """

    kind: str
    raw: bytes
    contact: bytes = b""
    field: str = MESSAGES
    row: int = NONE


class WebhookSubject(msgspec.Struct, frozen=True):
    """The account and the number that webhooks are about; ``number`` is digits."""

    waba_id: str
    phone_number_id: str
    number: str


def body(
    elements: Sequence[WebhookElement], sender: WebhookSubject, entries: int, changes: int, now: int
) -> bytes:
    """The body of one POST, in ASCII; elements keep their order within a change."""
    hands = [elements[n::entries] for n in range(entries)]
    head = b'{"id":"%b","time":%d,"changes":[' % (sender.waba_id.encode(), now)
    found = [head + b",".join(_changes(hand, sender, changes)) + b"]}" for hand in hands if hand]
    whole = b'{"object":"whatsapp_business_account","entry":[' + b",".join(found) + b"]}"
    return ascii_only(whole)


def signature(body: bytes, app_secret: str) -> str:
    """The value of X-Hub-Signature-256."""
    return "sha256=" + hmac.new(app_secret.encode(), body, "sha256").hexdigest()


def ascii_only(body: bytes) -> bytes:
    """JSON with every character that is not ASCII, and every slash, escaped."""
    if not body.isascii():
        body = _NOT_ASCII.sub(_escaped, body.decode()).encode()
    # A slash stands in strings only; one that is escaped already stays.
    return re.sub(rb"\\.|/", lambda found: rb"\/" if found[0] == b"/" else found[0], body)


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[n : n + 4]}" for n in range(0, len(units), 4))


def _changes(hand: Sequence[WebhookElement], sender: WebhookSubject, changes: int) -> list[bytes]:
    found = []
    for deal in (hand[n::changes] for n in range(changes)):
        for (field, kind), group in groupby(deal, key=lambda e: (e.field, e.kind)):
            said = list(group)
            values = [_value(kind, said, sender)] if kind else [e.raw for e in said]
            found += [b'{"field":"%b","value":%b}' % (field.encode(), value) for value in values]
    return found


def _value(kind: str, group: list[WebhookElement], sender: WebhookSubject) -> bytes:
    contacts = list(dict.fromkeys(e.contact for e in group if e.contact))
    middle = b'"contacts":[%b],' % b",".join(contacts) if contacts else b""
    return (
        b'{"messaging_product":"whatsapp","metadata":{"display_phone_number":"%b",'
        b'"phone_number_id":"%b"},%b"%b":[%b]}'
    ) % (
        sender.number.encode(),
        sender.phone_number_id.encode(),
        middle,
        kind.encode(),
        b",".join(e.raw for e in group),
    )
