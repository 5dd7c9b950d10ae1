"""kapso-whatsapp-cloud-api as a client of the Graph API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kapso_whatsapp import WhatsAppClient
from writing import Where, write

LINK = {"link": "https://example.org/a.jpg"}
ROW = {"id": "1", "title": "One", "description": "first"}
NAME = {"formatted_name": "Ann B", "first_name": "Ann"}
TEMPLATE = {
    "name": "t",
    "language": {"code": "en"},
    "components": [{"type": "body", "parameters": [{"type": "text", "text": "4711"}]}],
}
# verb: the method of client.messages, and what it is told beside the recipient
SENT: dict[str, tuple[str, dict[str, Any]]] = {
    "text": ("text", {"body": "hi", "biz_opaque_callback_data": "of kapso"}),
    "image by link": ("image", {"image": LINK | {"caption": "c"}}),
    "audio": ("audio", {"audio": LINK}),
    "video": ("video", {"video": LINK}),
    "document": ("document", {"document": LINK | {"filename": "f.pdf"}}),
    "sticker": ("sticker", {"sticker": LINK}),
    "location": ("location", {"location": {"latitude": 52.5, "longitude": -13.25, "name": "n"}}),
    "contacts": ("contacts", {"contacts": [{"name": NAME}]}),
    "buttons": (
        "interactive_buttons",
        {"body_text": "b", "buttons": [{"id": "1", "title": "Yes"}], "footer_text": "f"},
    ),
    "list": (
        "interactive_list",
        {"body_text": "b", "button_text": "Open", "sections": [{"title": "s", "rows": [ROW]}]},
    ),
    "url button": (
        "interactive_cta_url",
        {"body_text": "b", "parameters": {"display_text": "d", "url": "https://example.org"}},
    ),
    "location request": ("interactive_location_request", {"body_text": "where"}),
    "template": ("template", {"template": TEMPLATE}),
}


def verbs(where: Where) -> dict[str, Callable[[], Any]]:
    number, to, wamid = where.number, where.to, where.wamid

    def asked(call: Callable[[WhatsAppClient], Any]) -> Any:
        async def asking() -> Any:
            base = {"access_token": where.token, "base_url": where.graph, "max_retries": 0}
            async with WhatsAppClient(**base) as client:
                return await call(client)

        return asyncio.run(asking())

    def sent(method: str, **more: Any) -> dict[str, str]:
        def call(client: WhatsAppClient) -> Any:
            send = getattr(client.messages, f"send_{method}")
            return send(phone_number_id=number, to=to, **more)

        return {"id": asked(call).messages[0].id}

    def upload() -> str:
        file = Path(where.file).read_bytes()
        given = {"phone_number_id": number, "file": file, "type": "image/jpeg"}
        return str(asked(lambda client: client.media.upload(**given)).id)

    def of_media(method: str, id: str) -> Any:
        return asked(lambda client: getattr(client.media, method)(media_id=id))

    def of_number(method: str, **more: Any) -> Any:
        given = {"phone_number_id": number, **more}
        return asked(lambda client: getattr(client.phone_numbers, method)(**given))

    def read(**more: Any) -> Any:
        given = {"phone_number_id": number, "message_id": wamid, **more}
        return asked(lambda client: client.messages.mark_read(**given))

    reaction = {"message_id": wamid, "emoji": "\U0001f44d"}
    return {
        **{
            name: (lambda method=method, more=more: sent(method, **more))
            for name, (method, more) in SENT.items()
        },
        "image by id": lambda: sent("image", image={"id": upload()}),
        "reaction": lambda: sent("reaction", reaction=reaction),
        "reply": lambda: sent("text", body="re", context={"message_id": wamid}),
        "upload": lambda: {"media": upload()},
        "look up": lambda: {"found": bool(of_media("get", upload()).url)},
        "delete": lambda: {"success": bool(of_media("delete", upload()))},
        "read": read,
        "profile": lambda: of_number("update_business_profile", about="open"),
        "settings": lambda: {"found": of_number("get_settings") is not None},
        "register": lambda: of_number("register", pin="123456"),
        "templates": lambda: {
            "found": "data" in asked(lambda c: c.templates.list(business_account_id=where.account))
        },
        "typing": lambda: read(typing_indicator=True),
    }


write(verbs)
