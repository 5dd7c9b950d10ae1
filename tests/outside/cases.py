"""Webhooks of every kind that the Cloud door tells, each with the facts that it must say.

The facts are those of the door's record and of what was asked of it, never of the webhook itself.
``content`` is, by type: the body of a text, the SHA-256 of media, the text of a button, the id of
a reply or the answer of a flow, the emoji with its target, the coordinates, the first name of
contacts, the catalog of an order, who a system message is about now, the message that was edited.
"""

from __future__ import annotations

import hashlib
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.harness.cloud import TO
from warouter.lab.simulator.cloud.people import user_id

Json = dict[str, Any]
DATA = b"what a customer sent"
DIGEST = b64encode(hashlib.sha256(DATA).digest()).decode()
NEW = "491511234999"
BRAZIL = "5511912345678"
HIDDEN = "491511234570"
MEDIA = ("image", "audio", "voice", "video", "document", "sticker")
THEIRS = "wamid.HBgLMTU1NTAwMDExMTEVAgASGBI5QTNEQTA2RjdGMEY4RTRGAA=="
OF_THE_DOOR = "known to the door alone"
FLOW = '{"flow_token":"t","answer":"7"}'
REPLIES: dict[str, Json] = {
    "button_reply": {"id": "b1", "title": "Yes"},
    "list_reply": {"id": "r1", "title": "One", "description": "first"},
    "nfm_reply": {"name": "flow", "body": "Sent", "response_json": FLOW},
}
ITEM = {"product_retailer_id": "p", "quantity": 2, "item_price": 1.5, "currency": "EUR"}
CARD = {"name": {"formatted_name": "Ann B", "first_name": "Ann"}, "phones": [{"phone": "+49151"}]}
AD = {
    "source_url": "https://fb.me/1",
    "source_id": "1",
    "source_type": "ad",
    "body": "b",
    "headline": "h",
    "ctwa_clid": "c",
    "image": {"data": b64encode(DATA).decode()},
}


class Case(NamedTuple):
    """A webhook of one element: what is asked of the door, and what it must say.

    ``asked`` goes to the control port, or to the Graph API if there is a ``status`` to wait for.
    """

    asked: Json
    fact: Json
    status: str = ""
    switches: Mapping[str, Any] = MappingProxyType({})


def said(kind: str, fact: Json, party: str = TO, name: str = "", **asked: Any) -> Case:
    """A customer's message; ``name`` is Meta's for its type, if that is another one."""
    expected = {"what": "message", "party": party, "name": name or kind, **fact}
    return Case({"from": TO, "type": kind, "name": "Ann", **asked}, expected)


def _media() -> Iterator[tuple[str, Case]]:
    data = b64encode(DATA).decode()
    more: dict[str, Json] = {
        "document": {"document": {"filename": "f.pdf"}},
        "sticker": {"sticker": {"animated": False}},
    }
    for kind in MEDIA:
        name = "audio" if kind == "voice" else kind
        yield kind, said(kind, {"content": DIGEST}, name=name, data=data, **more.get(kind, {}))


def _messages() -> Iterator[tuple[str, Case]]:
    yield (
        "text",
        said("text", {"content": "hi \u00e4\U0001f44d / <"}, body="hi \u00e4\U0001f44d / <"),
    )
    context = {"from": "15557770000", "id": THEIRS}
    yield "text that quotes", said("text", {"content": "re"}, body="re", context=context)
    forwarded = {"forwarded": True}
    yield "text that was forwarded", said("text", {"content": "f"}, body="f", context=forwarded)
    yield "text from an ad", said("text", {"content": "ad"}, body="ad", referral=AD)
    yield from _media()
    button = {"text": "Yes", "payload": "p"}
    yield "button", said("button", {"content": "Yes"}, button=button, context=context)
    place = {"latitude": 52.5, "longitude": -13.25, "name": "n", "address": "a"}
    yield "location", said("location", {"content": [52.5, -13.25]}, location=place)
    yield "contacts", said("contacts", {"content": "Ann B"}, contacts=[CARD])
    for kind, reply in REPLIES.items():
        content = reply.get("id", FLOW)
        given = {"type": kind, kind: reply}
        yield kind, said("interactive", {"content": content}, interactive=given, context=context)
    order = {"catalog_id": "c1", "text": "soon", "product_items": [ITEM]}
    yield "order", said("order", {"content": "c1"}, order=order)
    yield "unsupported", said("unknown", {"code": 131051}, name="unsupported")
    yield "ephemeral", said("ephemeral", {})
    for text, emoji in (("reaction", "\U0001f44d"), ("reaction that was taken back", "")):
        given = {"message_id": THEIRS} | ({"emoji": emoji} if emoji else {})
        yield text, said("reaction", {"content": [THEIRS, emoji]}, reaction=given)
    new = {"type": "text", "text": {"body": "new"}}
    edit = {"original_message_id": THEIRS, "message": new}
    yield "edit", said("edit", {"content": THEIRS}, edit=edit)
    revoke = {"original_message_id": THEIRS}
    yield "revoke", said("revoke", {"content": THEIRS}, revoke=revoke)
    yield "request_welcome", said("request_welcome", {})


def _of_users() -> Iterator[tuple[str, Case]]:
    """Users without a number, and what WhatsApp says of users."""
    hidden = said("text", {"content": "no number"}, user_id(HIDDEN), body="no number")
    asked = hidden.asked | {"from": HIDDEN}
    yield "text without a number", hidden._replace(asked=asked, switches={"withheld": [HIDDEN]})
    moved = {"body": "User Ann changed", "type": "user_changed_number", "wa_id": NEW}
    yield "new number", said("system", {"content": NEW}, system=moved)
    other = {"body": "x", "type": "user_identity_changed"}
    yield "new identity", said("system", {"content": OF_THE_DOOR}, system=other)
    renamed = {
        "from": TO,
        "from_user_id": user_id(TO),
        "id": "wamid.HBgRenamed",
        "timestamp": str(int(time.time())),
        "type": "system",
        "system": {
            "body": "User Ann changed",
            "type": "user_changed_user_id",
            "user_id": "DE.77",
            "previous_user_id": user_id(TO),
        },
    }
    fact = {"what": "message", "party": TO, "name": "system", "content": "DE.77"}
    yield "new user id", Case({"raw": renamed}, fact)


def _of_the_account() -> Iterator[tuple[str, Case]]:
    error = {"code": 131035, "title": "Webhook could not be delivered", "details": "d"}
    yield (
        "error",
        Case({"from": TO, "type": "error", "error": error}, {"what": "error", "code": 131035}),
    )
    banned = {
        "event": "DISABLED_UPDATE",
        "ban_info": {
            "waba_ban_state": "SCHEDULE_FOR_DISABLE",
            "waba_ban_date": "November 28, 2026",
        },
    }
    notice = {"what": "notice", "name": "account_update"}
    yield "account_update", Case({"value": banned, "field": "account_update"}, notice)


def status(name: str, sent: Json | None = None, code: int = 0, **switches: Any) -> Case:
    """A status of a message that is sent."""
    fact = {"what": "status", "name": name} | ({"code": code} if code else {})
    return Case(sent or {}, fact, name, switches)


TEMPLATE = {"type": "template", "template": {"name": "t", "language": {"code": "en"}}}
TO_USER = {"to": "", "recipient": user_id(HIDDEN)}


def _statuses() -> Iterator[tuple[str, Case]]:
    for name in ("sent", "delivered", "read"):
        yield name, status(name)
    yield "played", status("played", {"type": "audio", "audio": {"voice": True}})
    yield "failed", status("failed", code=131026, failed=1.0)
    yield (
        "failed without reference",
        status("failed", code=131049, failed=1.0, failed_code=131049, opaque="not_failed"),
    )
    yield "delivered of a template", status("delivered", TEMPLATE)
    yield "sent with a conversation", status("sent", webhook_version=23)
    yield "delivered without contacts", status("delivered", contacts=False)
    yield (
        "read by a number that is spelled otherwise",
        status("read", {"to": f"+{BRAZIL}"}, respell=True),
    )
    yield "delivered to a user without a number", status("delivered", TO_USER, withheld=[HIDDEN])


CASES: dict[str, Case] = dict([*_messages(), *_of_users(), *_of_the_account(), *_statuses()])
