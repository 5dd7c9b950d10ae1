"""whatsapp-models as a validator of webhooks and of bodies that are sent."""

from __future__ import annotations

from typing import Any

from answering import fact, run
from pydantic import BaseModel, TypeAdapter
from whatsapp_models import WebhookNotification
from whatsapp_models.messages import MessageStatusUpdate, OutgoingMessage

SENT: TypeAdapter[Any] = TypeAdapter(OutgoingMessage)
MEDIA = ("image", "audio", "video", "document", "sticker")


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    if "sent" in asked:
        if "status" in asked["sent"]:
            MessageStatusUpdate.model_validate(asked["sent"])
        else:
            SENT.validate_python(asked["sent"])
        return {}
    read = WebhookNotification.model_validate_json(asked["body"])
    values = [(change.field, change.value) for entry in read.entry for change in entry.changes]
    facts = []
    for field, value in values:
        if field != "messages":
            facts.append(fact("notice", name=str(field)))
            continue
        facts += [message(one) for one in value.messages]
        facts += [status(one) for one in value.statuses]
        facts += [fact("error", code=one.code) for one in value.errors]
    return {"facts": facts}


def message(said: Any) -> dict[str, Any]:
    kind = str(said.type)
    errors = getattr(said, "errors", None)
    return fact(
        "message",
        id=said.id,
        party=getattr(said, "from_", None) or getattr(said, "from_number", None) or said.sender,
        name=kind,
        code=errors[0].code if errors else None,
        content=content(kind, getattr(said, kind, None)),
        media=getattr(said, kind).id if kind in MEDIA else None,
    )


def content(kind: str, said: Any) -> Any:
    if kind in MEDIA:
        return said.sha256
    match kind:
        case "text":
            return said.body
        case "button":
            return said.text
        case "location":
            return [said.latitude, said.longitude]
        case "contacts":
            return said[0].name.formatted_name
        case "reaction":
            return [said.message_id, said.emoji or ""]
        case "order":
            return said.catalog_id
        case "system":
            return said.wa_id
        case "interactive":
            return replied(said)
    return None


def replied(said: BaseModel) -> Any:
    replies = (getattr(said, name, None) for name in ("button_reply", "list_reply", "nfm_reply"))
    reply = next(one for one in replies if one)
    return getattr(reply, "id", None) or reply.response_json


def status(said: Any) -> dict[str, Any]:
    return fact(
        "status",
        id=said.id,
        party=said.recipient_id,
        name=str(said.status),
        code=said.errors[0].code if said.errors else None,
    )


run(answer)
