"""kapso-whatsapp-cloud-api as a reader of whole batches."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from answering import fact, run
from kapso_whatsapp.webhooks import normalize_webhook, verify_signature

MEDIA = ("image", "audio", "video", "document", "sticker")


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    body: str = asked["body"]
    signed = verify_signature(
        app_secret=asked["secret"],
        raw_body=body.encode(),
        signature_header=asked["signature"],
    )
    result = normalize_webhook(body)
    facts = [message(one) for one in result.messages]
    facts += [status(one) for one in result.statuses]
    for field, values in result.raw.items():
        if field != "messages":
            facts += [fact("notice", name=snake(field)) for _ in values]
        facts += [
            fact("error", code=error["code"])
            for value in values
            for error in value.get("errors", ())
        ]
    return {"signed": signed, "facts": facts}


def message(said: dict[str, Any]) -> dict[str, Any]:
    kind = said["type"]
    errors = said.get("errors") or [{}]
    return fact(
        "message",
        id=said["id"],
        party=said.get("from") or said.get("fromUserId"),
        name=kind,
        code=errors[0].get("code"),
        content=content(kind, said.get(kind)),
        media=said[kind]["id"] if kind in MEDIA else None,
    )


def content(kind: str, said: Any) -> Any:
    return said["sha256"] if kind in MEDIA else CONTENT.get(kind, lambda _said: None)(said)


def replied(said: dict[str, Any]) -> Any:
    reply = said.get("buttonReply") or said.get("listReply") or said.get("nfmReply") or {}
    return reply.get("id") or reply["responseJson"]


CONTENT: dict[str, Callable[[Any], Any]] = {
    "text": lambda said: said["body"],
    "button": lambda said: said["text"],
    "location": lambda said: [said["latitude"], said["longitude"]],
    "contacts": lambda said: said[0]["name"]["formattedName"],
    "reaction": lambda said: [said["messageId"], said.get("emoji", "")],
    "order": lambda said: said["catalogId"],
    "system": lambda said: said.get("waId") or said.get("identity") or said.get("userId"),
    "edit": lambda said: said["originalMessageId"],
    "revoke": lambda said: said["originalMessageId"],
    "interactive": replied,
}


def status(said: Any) -> dict[str, Any]:
    return fact(
        "status",
        id=said.id,
        party=said.recipient_id or said.extra.get("recipientUserId"),
        name=said.status,
        code=said.errors[0]["code"] if said.errors else None,
        reference=said.extra.get("bizOpaqueCallbackData"),
    )


def snake(field: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", field).lower()


run(answer)
