"""The bodies that the probe sends, and the references in them. Pure.

A reference is ``probe.<run>.<question>.<n>``: none of warouter's own, so a webapp that gets one of
these statuses later takes it for another sender's.
"""

from __future__ import annotations

from typing import Any

import msgspec

PREFIX = "probe"


def reference(run: str, question: str, number: int) -> str:
    """The reference of a request."""
    return f"{PREFIX}.{run}.{question}.{number}"


def body(to: str, reference: str, kind: str, content: Any, **more: Any) -> bytes:
    """The body of a request; ``to`` is digits."""
    return msgspec.json.encode(
        {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": f"+{to}",
            "type": kind,
            kind: content,
            "biz_opaque_callback_data": reference,
            **more,
        }
    )


def content(kind: str, words: str) -> Any:
    """The content of a message of this kind; ``words`` tells its reader what it is for."""
    match kind:
        case "location":
            return {"latitude": 0, "longitude": 0, "name": words}
        case "interactive":
            button = {"type": "reply", "reply": {"id": "probe", "title": "nothing"}}
            action = {"buttons": [button]}
            return {"type": "button", "body": {"text": words}, "action": action}
        case _:
            return {"body": words, "preview_url": False}


def voice(media_id: str) -> Any:
    """The content of a voice note that was uploaded."""
    return {"id": media_id, "voice": True}
