"""heyoo, a client of 2024, at a host of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from heyoo import WhatsApp
from writing import Where, write

LINK = "https://example.org/a.jpg"


def verbs(where: Where) -> dict[str, Callable[[], Any]]:
    wa = WhatsApp(where.token, where.number)
    wa.base_url = wa.v15_base_url = f"{where.graph}/v25.0"
    wa.url = f"{wa.base_url}/{where.number}/messages"
    to, wamid = where.to, where.wamid
    replies = [{"type": "reply", "reply": {"id": str(n), "title": f"t{n}"}} for n in range(3)]
    buttons = {"type": "button", "body": {"text": "b"}, "action": {"buttons": replies}}
    rows = [{"id": "1", "title": "One", "description": ""}]
    listed = {
        "header": "h",
        "body": "b",
        "footer": "f",
        "action": {"button": "Open", "sections": [{"title": "all", "rows": rows}]},
    }
    card = {"name": {"formatted_name": "Ann B", "first_name": "Ann"}}
    body = [{"type": "body", "parameters": [{"type": "text", "text": "4711"}]}]

    def upload() -> str:
        return str(wa.upload_media(where.file)["id"])

    sent: dict[str, Callable[[], Any]] = {
        "text": lambda: wa.send_message("hi", to),
        "reply": lambda: wa.reply_to_message(wamid, to, "re"),
        "image by link": lambda: wa.send_image(LINK, to, caption="c"),
        "image by id": lambda: wa.send_image(upload(), to, link=False),
        "audio": lambda: wa.send_audio(LINK, to),
        "video": lambda: wa.send_video(LINK, to, caption="c"),
        "document": lambda: wa.send_document(LINK, to, caption="c"),
        "sticker": lambda: wa.send_sticker(LINK, to),
        "reaction": lambda: wa.send_reaction("\U0001f44d", wamid, to),
        "location": lambda: wa.send_location(52.5, -13.25, "n", "a", to),
        "contacts": lambda: wa.send_contacts([card], to),
        "buttons": lambda: wa.send_reply_button(buttons, to),
        "list": lambda: wa.send_button(listed, to),
        "template": lambda: wa.send_template("t", to, body, "en"),
    }
    return {
        **{
            name: (lambda send=send: {"id": send()["messages"][0]["id"]})
            for name, send in sent.items()
        },
        "upload": lambda: {"media": upload()},
        "look up": lambda: {"found": bool(wa.query_media_url(upload()))},
        "delete": lambda: wa.delete_media(upload()),
        "read": lambda: wa.mark_as_read(wamid),
    }


write(verbs)
